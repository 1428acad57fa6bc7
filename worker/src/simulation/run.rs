//! One world of one seed: steps at random, with faults, and comparisons between them.

use std::collections::{BTreeMap, HashMap};

use domain::time::{DAY_MS, MINUTE_MS, SECOND_MS};
use serde_json::Value as Json;

use super::buyers::Buyers;
use super::invariants::Watch;
use super::merchants::Town;
use super::post::{Habit, Parcel, Post};
use super::random::Die;
use super::reference::Reference;
use super::told::Telling;
use crate::jobs::{self, Message};
use crate::replay::{self, Wanted};
use crate::store::{Database, packs};
use crate::testing::{Answer, NextWrite, World};

const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What is wrong, in one sentence; and of what sort it is.
#[derive(Debug)]
pub enum Finding {
    /// Something that was acknowledged is not there.
    Lost(String),
    /// Something counts twice.
    Doubled(String),
    /// An invariant does not hold, or the model says otherwise.
    Broken(String),
}

pub type Found = Result<(), Finding>;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Deliveries from Stripe, reports, refunds, clicks and acts.
    pub events: u64,
    pub faults: u64,
    pub comparisons: u64,
    pub conversions: u64,
}

pub struct Simulation {
    pub world: World,
    pub town: Town,
    pub die: Die,
    pub post: Post,
    pub buyers: Buyers,
    pub references: Vec<Reference>,
    /// What Stripe was told is kept, by scope and event id: whether it is of this mode, and its telling's ids.
    pub accepted: Vec<BTreeMap<String, Option<Telling>>>,
    /// What a person did last to a commission.
    pub acts: HashMap<String, &'static str>,
    /// The conversions of reports that were taken, by scope and transaction.
    pub reports: Vec<BTreeMap<String, String>>,
    pub watch: Watch,
    pub tally: Tally,
    queue: Vec<Message>,
    sweeps: u64,
}

impl Simulation {
    pub fn new(seed: u64) -> Self {
        let mut die = Die::new(seed);
        let world = World::new();
        let town = Town::build(&world, &mut die);
        let habits = (0..4).map(|_| *die.pick(&[Habit::Old, Habit::New, Habit::Mixed])).collect();
        let mut simulation = Self {
            world,
            town,
            die,
            post: Post::with(habits),
            buyers: Buyers::default(),
            references: (0..4).map(|_| Reference::default()).collect(),
            accepted: vec![BTreeMap::new(); 4],
            acts: HashMap::new(),
            reports: vec![BTreeMap::new(); 4],
            watch: Watch::default(),
            tally: Tally::default(),
            queue: Vec::new(),
            sweeps: 0,
        };
        for scope in 0..4 {
            simulation.click(scope);
        }
        simulation
    }

    /// Takes so many steps, delivers what is left, and looks whether all came to what it should.
    pub fn run(&mut self, steps: u64) -> Found {
        for _ in 0..steps {
            self.step()?;
            self.watch.look(&self.world)?;
        }
        while let Some(next_ms) = self.post.next_ready_ms() {
            let wait_ms = next_ms - self.now_ms();
            self.world.pass_ms(wait_ms.max(1));
            self.deliver()?;
            self.work();
        }
        self.compare()?;
        self.compare_with_the_truth()?;
        self.replayed()
    }

    /// Every decision, made again from its inputs, and every family, rebuilt from its facts, come to what stands.
    fn replayed(&self) -> Found {
        let report = pollster::block_on(replay::all(&self.world.app, &Wanted::everything())).unwrap();
        match report.differences.first() {
            None => Ok(()),
            Some(first) => Err(Finding::Broken(format!("replayed otherwise: {first:?}"))),
        }
    }

    fn step(&mut self) -> Found {
        let scope = self.die.place(4);
        let pause_ms = self.die.between(1, 3 * SECOND_MS);
        self.world.pass_ms(pause_ms);
        match self.die.between(1, 1_000) {
            1..=500 => self.deliver()?,
            501..=620 => self.work(),
            621..=660 => self.click(scope),
            661..=720 => self.buy(scope),
            721..=750 => self.renew(),
            751..=800 => self.go_back(),
            801..=835 => self.report(scope)?,
            836..=855 => self.give_back(scope)?,
            856..=880 => self.act(scope)?,
            881..=900 => self.sweep(),
            901..=945 => self.wait(),
            946..=955 => self.replay(scope)?,
            956..=970 => self.read(scope)?,
            971..=976 => self.change_the_gates(scope)?,
            _ => self.compare()?,
        }
        Ok(())
    }

    pub fn now_ms(&self) -> i64 {
        self.world.now().ms()
    }

    fn next_second(&mut self) -> i64 {
        self.world.pass_ms(SECOND_MS);
        self.world.now().seconds()
    }

    fn wait(&mut self) {
        let span_ms = match self.die.between(0, 9) {
            0..=4 => self.die.between(SECOND_MS, 60 * SECOND_MS),
            5..=7 => self.die.between(SECOND_MS, HOUR_MS),
            8 => self.die.between(HOUR_MS, DAY_MS),
            _ => self.die.between(DAY_MS, 8 * DAY_MS),
        };
        self.world.pass_ms(span_ms);
    }

    /// The next write may be lost, or land unreported.
    pub fn fault(&mut self) -> NextWrite {
        let fate = match self.die.between(1, 100) {
            1..=5 => NextWrite::IsLost,
            6..=10 => NextWrite::LandsButReportsFailure,
            _ => NextWrite::Works,
        };
        self.tally.faults += u64::from(fate != NextWrite::Works);
        self.world.db.next_write(fate);
        fate
    }

    /// What was queued is ours to hand out; no fault is left over for the next request.
    pub fn collect(&mut self) {
        self.world.db.next_write(NextWrite::Works);
        self.queue.extend(self.world.queued());
        self.world.lose_queue();
    }

    fn buy(&mut self, scope: usize) {
        let now_s = self.next_second();
        let Self { die, town, post, buyers, .. } = self;
        if die.percent(50) {
            buyers.pay_once(die, town, post, scope, now_s);
        } else {
            buyers.subscribe(die, town, post, scope, now_s);
        }
    }

    fn renew(&mut self) {
        let now_s = self.next_second();
        let Self { die, town, post, buyers, .. } = self;
        if die.percent(20) && !buyers.purchases.is_empty() {
            let truth = die.place(buyers.purchases.len());
            buyers.pay_late(die, town, post, truth, now_s);
        } else {
            buyers.renew(die, town, post, now_s);
        }
    }

    fn go_back(&mut self) {
        let now_s = self.next_second();
        let Self { die, town, post, buyers, .. } = self;
        if buyers.purchases.is_empty() {
            return;
        }
        let truth = die.place(buyers.purchases.len());
        if die.percent(80) {
            buyers.refund(die, town, post, truth, now_s);
        } else {
            buyers.dispute(die, town, post, truth, now_s);
        }
    }

    /// One of Stripe's deliveries. It is sent again until it is answered with 200.
    fn deliver(&mut self) -> Found {
        // With nothing to deliver, time passes until there is, if that is not too long.
        if let Some(next_ms) = self.post.next_ready_ms() {
            let wait_ms = next_ms - self.now_ms();
            if (1..=HOUR_MS).contains(&wait_ms) {
                self.world.pass_ms(wait_ms);
            }
        }
        let now_ms = self.now_ms();
        let Some(mut parcel) = self.post.take_ready(&mut self.die, now_ms) else { return Ok(()) };
        let fate = self.fault();
        let connection = &self.town.scopes[parcel.scope].connection;
        let secret = "whsec_test_0123456789";
        let header = stripe::signature::sign(secret, now_ms / 1_000, parcel.body.as_bytes());
        let headers = [("stripe-signature", header.as_str())];
        let line = format!("POST /webhooks/stripe/{connection}");
        let answer = self.world.send_bytes(&line, &headers, parcel.body.clone().into_bytes());
        self.collect();
        self.tally.events += 1;
        match answer.status.as_u16() {
            200 => {
                self.accept(&parcel);
                Ok(())
            }
            503 if fate != NextWrite::Works => {
                if fate == NextWrite::LandsButReportsFailure {
                    self.accept(&parcel);
                }
                parcel.ready_ms = now_ms + self.die.between(SECOND_MS, HOUR_MS);
                self.post.parcels.push(parcel);
                Ok(())
            }
            _ => Err(Finding::Broken(format!("{} {} is answered {}", parcel.kind, parcel.event_id, answer.summary()))),
        }
    }

    fn accept(&mut self, parcel: &Parcel) {
        if self.accepted[parcel.scope].contains_key(&parcel.event_id) {
            return;
        }
        let telling = (!parcel.is_foreign).then(|| parcel.telling.clone());
        if let Some(telling) = &telling {
            self.references[parcel.scope].hear(telling);
        }
        self.accepted[parcel.scope].insert(parcel.event_id.clone(), telling);
    }

    /// The queue hands out some messages, in any order; some twice, some never, some while another is at the same sale.
    fn work(&mut self) {
        let count = self.die.between(1, 8);
        let mut batch = Vec::new();
        for _ in 0..count {
            if self.queue.is_empty() {
                break;
            }
            let message = self.queue.swap_remove(self.die.place(self.queue.len()));
            if self.die.percent(6) {
                continue;
            }
            if self.die.percent(6) {
                self.queue.push(message.clone());
            }
            batch.push(message);
        }
        if self.die.percent(15) && !self.queue.is_empty() {
            let (app, faster) = (self.world.app.clone(), self.queue[self.die.place(self.queue.len())].clone());
            self.world.db.before_next_write(move || {
                pollster::block_on(jobs::handle(&app, vec![faster]));
            });
        } else {
            self.fault();
        }
        self.hand_over(batch);
        self.world.db.before_next_write(|| {});
        self.collect();
    }

    fn hand_over(&mut self, batch: Vec<Message>) {
        if batch.is_empty() {
            return;
        }
        let done = self.world.handle(batch.clone());
        self.queue.extend(batch.into_iter().zip(done).filter(|(_, done)| !done).map(|(message, _)| message));
    }

    fn sweep(&mut self) {
        self.sweeps += 1;
        if self.sweeps.is_multiple_of(3) {
            self.sum_clicks();
        }
        self.fault();
        let found = pollster::block_on(jobs::sweep(&self.world.app));
        self.queue.extend(found);
        self.collect();
    }

    /// Some of what waits is summed, and another sweep that found the same comes late.
    fn sum_clicks(&mut self) {
        let least = packs::Least { clicks: 1, hours: 0 };
        let due = pollster::block_on(self.world.db.rows(packs::due(self.world.now(), least, 3))).unwrap();
        let due: Vec<packs::Due> = due.iter().map(|row| packs::decode_due(row).unwrap()).collect();
        for one in due.iter().chain(&due) {
            pollster::block_on(self.world.db.batch(packs::sum(one))).unwrap();
        }
    }

    /// Everything that was accepted is processed, without faults and without new deliveries.
    pub fn come_to_rest(&mut self) -> Found {
        for _ in 0..64 {
            self.collect();
            let batch = std::mem::take(&mut self.queue);
            self.hand_over(batch);
            let found = pollster::block_on(jobs::sweep(&self.world.app));
            let waiting = "SELECT COALESCE(MIN(next_attempt_at), -1) FROM stripe_events WHERE outcome = 'pending'";
            let next_ms = self.world.db.count(waiting);
            if found.is_empty() && self.queue.is_empty() && next_ms < 0 {
                return Ok(());
            }
            self.queue.extend(found);
            let wait_ms = next_ms - self.now_ms();
            self.world.pass_ms(wait_ms.max(1));
        }
        Err(Finding::Lost("what was accepted is never processed".to_owned()))
    }

    pub fn api(&self, scope: usize, line: &str, body: Json) -> Answer {
        self.world.api_as(&self.town.scopes[scope].secret_key, line, body)
    }
}
