//! What visitors and merchants do beside buying and selling: clicks, approvals, rejections, suspensions, replays.

use serde_json::json;

use super::merchants::Click;
use super::run::{Finding, Found, Simulation};
use super::told::{Telling, Told};
use crate::testing::NextWrite;

impl Simulation {
    /// A visitor comes by a partner's link.
    pub fn click(&mut self, scope: usize) {
        let member = *self.die.pick(&self.town.members(scope));
        let link_ref = &self.town.participants[member].link_ref;
        let address = format!("198.51.{}.{}", self.die.between(0, 255), self.die.between(0, 255));
        self.world.come_from(&address);
        let click = self.world.click(&self.town.scopes[scope].public_key, link_ref);
        let at_ms = self.now_ms();
        self.town.clicks.insert(click.clone(), Click { participant: member, at_ms });
        self.buyers.clicks[scope].push(click);
        self.tally.events += 1;
        self.collect();
    }

    /// A merchant changes who earns. What is known is decided before, as things stand now.
    pub fn change_the_gates(&mut self, scope: usize) -> Found {
        self.compare()?;
        let member = *self.die.pick(&self.town.members(scope));
        let participant = &mut self.town.participants[member];
        let program = &mut self.town.programs[participant.program];
        let (line, now) = if self.die.percent(70) {
            participant.approved = !participant.approved;
            let verb = if participant.approved { "approve" } else { "suspend" };
            (format!("POST /api/v1/participants/{}/{verb}", participant.id), participant.approved)
        } else {
            program.earns = !program.earns;
            let verb = if program.earns { "activate" } else { "pause" };
            (format!("POST /api/v1/programs/{}/{verb}", program.id), program.earns)
        };
        let answer = self.api(scope, &line, json!(null));
        match answer.status.as_u16() {
            200 => Ok(()),
            _ => Err(Finding::Broken(format!("{line} ({now}) is answered {}", answer.summary()))),
        }
    }

    /// A person approves or rejects a commission.
    pub fn act(&mut self, scope: usize) -> Found {
        let ids: Vec<String> = self.commissions_of(scope);
        if ids.is_empty() {
            return Ok(());
        }
        let id = self.die.pick(&ids).clone();
        let verb = *self.die.pick(&["approve", "reject"]);
        let fate = self.fault();
        let answer = self.api(scope, &format!("POST /api/v1/commissions/{id}/{verb}"), json!({"reason": "looked at"}));
        self.collect();
        self.tally.events += 1;
        match answer.status.as_u16() {
            200 => _ = self.acts.insert(id, verb),
            503 if fate == NextWrite::LandsButReportsFailure => _ = self.acts.insert(id, verb),
            409 | 503 => {}
            _ => return Err(Finding::Broken(format!("{verb} {id} is answered {}", answer.summary()))),
        }
        Ok(())
    }

    /// An event of the log is processed again.
    pub fn replay(&mut self, scope: usize) -> Found {
        let Some(id) = self.any_stripe_event(scope) else { return Ok(()) };
        let answer = self.api(scope, &format!("POST /api/v1/stripe-events/{id}/replay"), json!(null));
        self.collect();
        match answer.status.as_u16() {
            200 | 409 => Ok(()),
            _ => Err(Finding::Broken(format!("replay is answered {}", answer.summary()))),
        }
    }

    /// The model hears what a merchant did.
    pub fn told_by_merchant(&mut self, scope: usize, truth: usize, told: Told) {
        let at_ms = self.now_ms();
        self.references[scope].hear(&Telling { truth, at_ms, told });
    }
}
