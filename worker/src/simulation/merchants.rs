//! The merchants: two workspaces with two modes each, which must never see each other, their programs, partners, links and
//! codes. What stands here is what was asked of the API and answered with success.

use serde_json::{Value as Json, json};

use super::random::Die;
use crate::testing::{Keys, OPERATOR_TOKEN, World};

const BASES: [&str; 4] = ["gross", "gross", "net_of_tax", "net_of_fees"];

/// A workspace in one mode.
pub struct Scope {
    pub workspace: usize,
    pub workspace_id: String,
    pub live: bool,
    pub secret_key: String,
    pub public_key: String,
    pub connection: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    Lead,
    Sale,
    Recurring,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    Bps(i64),
    /// In EUR.
    Flat(i64),
}

#[derive(Clone, Debug)]
pub struct Reward {
    pub trigger: Trigger,
    pub event_type: Option<&'static str>,
    pub rate: Rate,
    pub basis: &'static str,
    pub hold_days: i64,
    pub auto_approve: bool,
    pub payments_max: Option<i64>,
}

pub struct Program {
    pub id: String,
    pub scope: usize,
    pub window_days: i64,
    pub rewards: Vec<Reward>,
    /// `active` or `draft`, not `paused`.
    pub earns: bool,
}

pub struct Participant {
    pub id: String,
    pub program: usize,
    pub approved: bool,
    pub link_ref: String,
    pub code: String,
    pub promotion_code: String,
}

pub struct Click {
    pub participant: usize,
    pub at_ms: i64,
}

/// Everybody but the buyers.
pub struct Town {
    pub scopes: Vec<Scope>,
    pub programs: Vec<Program>,
    pub participants: Vec<Participant>,
    pub clicks: std::collections::HashMap<String, Click>,
}

impl Town {
    pub fn build(world: &World, die: &mut Die) -> Self {
        let mut town = Self { scopes: vec![], programs: vec![], participants: vec![], clicks: Default::default() };
        for workspace in 0..2 {
            let (workspace_id, keys) = unlimited(world, workspace);
            for live in [false, true] {
                let (secret_key, public_key) =
                    if live { (&keys.sk_live, &keys.pk_live) } else { (&keys.sk_test, &keys.pk_test) };
                let connection = world.stripe_connection(secret_key);
                let (secret_key, public_key) = (secret_key.clone(), public_key.clone());
                let workspace_id = workspace_id.clone();
                town.scopes.push(Scope { workspace, workspace_id, live, secret_key, public_key, connection });
                town.settle(world, die, town.scopes.len() - 1);
            }
        }
        town
    }

    fn settle(&mut self, world: &World, die: &mut Die, scope: usize) {
        let key = self.scopes[scope].secret_key.clone();
        world.api_as(&key, "POST /api/v1/hosts", json!({"host": "shop.test"}));
        for _ in 0..2 {
            let window_days = die.between(1, 40);
            let rewards = rewards(die);
            let status = if die.percent(20) { "draft" } else { "active" };
            let described: Vec<Json> = rewards.iter().map(described).collect();
            let body = json!({"name": "Friends", "status": status, "attribution_window_days": window_days,
                "rewards": described});
            let id = world.make(&key, "programs", body);
            self.programs.push(Program { id, scope, window_days, rewards, earns: true });
            for _ in 0..2 {
                self.join(world, die, scope);
            }
        }
    }

    fn join(&mut self, world: &World, die: &mut Die, scope: usize) {
        let (number, program) = (self.participants.len(), self.programs.len() - 1);
        let (key, program_id) = (&self.scopes[scope].secret_key, &self.programs[program].id);
        let email = format!("partner@studio-{number}.example");
        let partner_id = world.make(key, "partners", json!({"name": "Anna", "email": email}));
        let approved = die.percent(85);
        let status = if approved { "approved" } else { "pending" };
        let body = json!({"program_id": program_id, "partner_id": partner_id, "status": status});
        let id = world.make(key, "participants", body);
        // The same refs and codes in both workspaces; in the other mode others, so that a foreign one is told apart.
        let place = format!("{}{}", if self.scopes[scope].live { "live" } else { "test" }, number % 4);
        let link_ref = format!("ref-{place}");
        let link = json!({"participant_id": id, "ref": link_ref, "landing_url": "https://shop.test/", "name": "x"});
        world.make(key, "links", link);
        let (code, promotion_code) = (format!("Code-{place}"), format!("promo_{place}"));
        let body = json!({"participant_id": id, "code": code, "stripe_promotion_code_id": promotion_code});
        world.make(key, "promo-codes", body);
        self.participants.push(Participant { id, program, approved, link_ref, code, promotion_code });
    }

    pub fn scope_of(&self, participant: usize) -> usize {
        self.programs[self.participants[participant].program].scope
    }

    /// The participants of a scope.
    pub fn members(&self, scope: usize) -> Vec<usize> {
        (0..self.participants.len()).filter(|participant| self.scope_of(*participant) == scope).collect()
    }

    pub fn participant(&self, id: &str) -> Option<usize> {
        self.participants.iter().position(|participant| participant.id == id)
    }
}

/// A workspace that no limit holds up.
fn unlimited(world: &World, number: usize) -> (String, Keys) {
    let limit = 1_000_000_000;
    let limits = json!({"clicks_per_minute": limit, "conversions_per_minute": limit, "other_per_minute": limit});
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    let body = json!({"name": format!("Merchant {number}"), "limits": limits, "database": 1});
    let made = world.send("POST /operator/v1/workspaces", &[("authorization", &operator)], body);
    assert_eq!(made.status, 201, "{}", made.body);
    let key = |name: &str| made.text(&format!("/keys/{name}"));
    let keys =
        Keys { pk_test: key("pk_test"), sk_test: key("sk_test"), pk_live: key("pk_live"), sk_live: key("sk_live") };
    (made.text("/id"), keys)
}

/// A program's rewards: of one trigger at most one that names no event type, so that none is the newer of two.
fn rewards(die: &mut Die) -> Vec<Reward> {
    let mut rewards = vec![reward(die, Trigger::Sale)];
    if die.percent(70) {
        let mut recurring = reward(die, Trigger::Recurring);
        recurring.payments_max = die.percent(50).then(|| die.between(1, 3));
        rewards.push(recurring);
    }
    if die.percent(50) {
        rewards.push(Reward { rate: Rate::Flat(die.between(1, 900)), ..reward(die, Trigger::Lead) });
    }
    if die.percent(30) {
        rewards.push(Reward { event_type: Some("upgrade"), ..reward(die, Trigger::Sale) });
    }
    rewards
}

fn reward(die: &mut Die, trigger: Trigger) -> Reward {
    let rate = if die.percent(25) { Rate::Flat(die.between(1, 2_000)) } else { Rate::Bps(die.between(0, 10_000)) };
    Reward {
        trigger,
        event_type: None,
        rate,
        basis: BASES[die.place(BASES.len())],
        hold_days: *die.pick(&[0, 0, 1, 14]),
        auto_approve: die.percent(75),
        payments_max: None,
    }
}

fn described(reward: &Reward) -> Json {
    let trigger = match reward.trigger {
        Trigger::Lead => "lead",
        Trigger::Sale => "sale",
        Trigger::Recurring => "recurring",
    };
    let mut body = json!({"trigger": trigger, "event_type": reward.event_type, "basis": reward.basis,
        "hold_days": reward.hold_days, "auto_approve": reward.auto_approve, "payments_max": reward.payments_max});
    match reward.rate {
        Rate::Bps(bps) => body["percent_bps"] = json!(bps),
        Rate::Flat(amount) => body["flat"] = json!({"amount_cents": amount, "currency": "EUR"}),
    }
    body
}
