//! Stripe's post office: it duplicates, delays, reorders, says one thing under two ids, leaves out what it may leave out, and
//! sometimes sends the other mode's mail here.

use super::merchants::Scope;
use super::random::Die;
use super::shapes::{self, Shape};
use super::told::{Telling, Told};

/// One delivery on its way.
pub struct Parcel {
    pub scope: usize,
    pub event_id: String,
    pub kind: &'static str,
    pub body: String,
    pub telling: Telling,
    /// Its `livemode` is not the connection's.
    pub is_foreign: bool,
    pub ready_ms: i64,
}

/// Which shapes a scope's endpoint gets.
#[derive(Clone, Copy)]
pub enum Habit {
    Old,
    New,
    Mixed,
}

/// What is said, about what, and whether it has to be.
pub struct Letter {
    pub scope: usize,
    pub truth: usize,
    pub at_s: i64,
    pub kind: &'static str,
    pub must: bool,
}

pub struct Post {
    pub parcels: Vec<Parcel>,
    habits: Vec<Habit>,
    /// Event ids count per scope: the same ids come to each connection.
    events: [u64; 4],
}

impl Post {
    /// A post office that writes to each scope in the shapes of its habit.
    pub fn with(habits: Vec<Habit>) -> Self {
        Self { parcels: Vec::new(), habits, events: [0; 4] }
    }

    /// Puts a telling, written in the shape that it gets, into the mail.
    pub fn send(&mut self, die: &mut Die, scopes: &[Scope], letter: &Letter, told: impl Fn(Shape) -> Told) {
        if !letter.must && die.percent(35) {
            return;
        }
        let times = if die.percent(6) { 2 } else { 1 };
        for _ in 0..times {
            let shape = match self.habits[letter.scope] {
                Habit::Old => Shape::Old,
                Habit::New => Shape::New,
                Habit::Mixed => *die.pick(&[Shape::Old, Shape::New]),
            };
            let copies = 1 + i64::from(die.percent(15)) + i64::from(die.percent(5));
            self.pack(die, &scopes[letter.scope], letter, told(shape), shape, false, copies);
        }
        if die.percent(2) {
            self.pack(die, &scopes[letter.scope], letter, told(Shape::New), Shape::New, true, 1);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a parcel is made of all of them, once")]
    fn pack(
        &mut self,
        die: &mut Die,
        scope: &Scope,
        letter: &Letter,
        told: Told,
        shape: Shape,
        is_foreign: bool,
        copies: i64,
    ) {
        let number = &mut self.events[letter.scope];
        *number += 1;
        let event_id = format!("evt_{number}");
        let body =
            shapes::event(&event_id, letter.kind, letter.at_s, scope.live != is_foreign, &told, shape).to_string();
        let telling = Telling { truth: letter.truth, at_ms: letter.at_s * 1_000, told };
        for _ in 0..copies {
            let late_s = match die.between(1, 100) {
                1..=60 => die.between(0, 20),
                61..=85 => die.between(0, 3_600),
                _ => die.between(0, 3 * 86_400),
            };
            self.parcels.push(Parcel {
                scope: letter.scope,
                event_id: event_id.clone(),
                kind: letter.kind,
                body: body.clone(),
                telling: telling.clone(),
                is_foreign,
                ready_ms: (letter.at_s + late_s) * 1_000,
            });
        }
    }

    /// When the next parcel's time comes, or has come.
    pub fn next_ready_ms(&self) -> Option<i64> {
        self.parcels.iter().map(|parcel| parcel.ready_ms).min()
    }

    /// Any parcel whose time has come.
    pub fn take_ready(&mut self, die: &mut Die, now_ms: i64) -> Option<Parcel> {
        let ready: Vec<usize> =
            (0..self.parcels.len()).filter(|place| self.parcels[*place].ready_ms <= now_ms).collect();
        if ready.is_empty() {
            return None;
        }
        let place = *die.pick(&ready);
        Some(self.parcels.swap_remove(place))
    }
}
