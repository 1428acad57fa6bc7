//! Draft: what a family's sales would earn under other rules of one program. The same load and the same pass through the rules
//! as a booking, and nothing is written.
//!
//! Decisions are made again from their stored inputs with the draft's settings in them. A customer who was bound by a sale that
//! nobody, or somebody else, is credited for under the draft is bound to nobody; whom it would be bound to instead is not
//! followed from sale to sale.

use std::collections::HashSet;

use domain::attribution::{self, Inputs, Sighting, Standing};
use domain::fraud::Policy;
use domain::ids::{ParticipantId, ProgramId};
use domain::ledger::Step;
use domain::money::Currency;
use domain::reward::RewardVersion;
use domain::status::{AttributionModel, CommissionState};
use domain::time::Instant;

use super::Booking;
use super::decide::{self, Conversion, Family};
use super::load::{self, Loaded};
use super::rebuild::{count, family_of, known_at};
use crate::app::App;
use crate::error::ApiError;
use crate::store::Scope;

/// Other rules of one program. What is not given stays as it is.
pub struct Draft {
    /// The program.
    pub program_id: ProgramId,
    /// Who is in it.
    pub participants: HashSet<ParticipantId>,
    /// In place of all of its rewards, for all time.
    pub rewards: Option<Vec<RewardVersion>>,
    /// How long a click counts.
    pub window_days: Option<i64>,
    /// How a bound customer is treated.
    pub model: Option<AttributionModel>,
    /// What is done about each fraud rule.
    pub fraud: Option<Policy>,
    /// A subscription that ends takes its pending commissions with it.
    pub reverse_pending_on_end: Option<bool>,
    /// Keys of customers who would not have been bound as they are.
    pub unbound: HashSet<String>,
}

/// What one participant has of one conversion, and would have. What a person rejected is not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Who.
    pub participant_id: ParticipantId,
    /// In which currency.
    pub currency: Currency,
    /// As it stands, what a person added included.
    pub now_cents: i64,
    /// Under the draft.
    pub draft_cents: i64,
}

/// What a family comes to under a draft.
pub struct Drafted {
    /// Facts that were gone through.
    pub facts: u64,
    /// Conversions of it that are credited in the program, now or then.
    pub conversions: u64,
    /// Every share of every conversion.
    pub shares: Vec<Share>,
    /// Conversions that somebody is credited for who would not be.
    pub lost: Vec<String>,
}

/// Decides the family that a key names under a draft, as of the moment at which it was booked last.
pub async fn draft(app: &App, scope: &Scope, key: &str, moment: Instant, draft: &Draft) -> Result<Drafted, ApiError> {
    let booking = Booking::of(scope.clone(), vec![key.to_owned()], moment);
    let mut loaded = load::load(app, &booking).await?;
    let facts = count(&loaded);
    loaded.rewards = known_at(&loaded.rewards, moment);
    draft.apply(&mut loaded);
    let family = family_of(decide::decide(app, &booking, loaded))?;
    let mut drafted = Drafted { facts, conversions: 0, shares: Vec::new(), lost: Vec::new() };
    for decided in &family.conversions {
        let program = draft.program_id.as_str();
        let now = decided.row.as_ref().and_then(|row| row.program_id.as_deref());
        let then = decided.verdict.credit.as_ref().map(|credit| credit.program_id.as_str());
        drafted.conversions += u64::from(now == Some(program) || then == Some(program));
        let credited = decided.verdict.credit.as_ref().map(|credit| credit.participant_id.as_str());
        let row =
            decided.row.iter().find(|row| row.participant_id.is_some() && row.participant_id.as_deref() != credited);
        drafted.lost.extend(row.map(|row| row.id.to_string()));
        shares(&family, decided, &mut drafted.shares);
    }
    Ok(drafted)
}

fn shares(family: &Family, decided: &Conversion, all: &mut Vec<Share>) {
    let rows = decided.row.iter().chain(decided.merged.iter().map(|(row, _)| row));
    let held: Vec<_> = rows.flat_map(|row| decide::held(&family.loaded, row)).collect();
    let mut of = |participant_id: &ParticipantId, currency, now_cents, more_cents| {
        all.push(Share {
            participant_id: participant_id.clone(),
            currency,
            now_cents,
            draft_cents: now_cents + more_cents,
        });
    };
    let counts = |state| state != CommissionState::Rejected;
    for one in held.iter().map(|held| &held.standing).filter(|one| counts(one.state)) {
        of(&one.participant_id, one.currency, one.amount_cents + one.bonus_cents, 0);
    }
    for step in decided.steps.iter().chain(decided.merged.iter().flat_map(|(_, steps)| steps)) {
        match step {
            Step::Open(due) if due.takes_over.is_none_or(counts) => {
                of(&due.participant_id, due.currency, 0, due.amount_cents);
            }
            Step::Append { commission_id, amount_cents, .. } => {
                let standing = held.iter().map(|held| &held.standing).find(|one| one.id == *commission_id);
                if let Some(one) = standing.filter(|one| counts(one.state)) {
                    of(&one.participant_id, one.currency, 0, *amount_cents);
                }
            }
            Step::Open(_) | Step::Revise { .. } => {}
        }
    }
}

impl Draft {
    /// The program's other rules in place of those that were loaded.
    fn apply(&self, loaded: &mut Loaded) {
        if let Some(rewards) = &self.rewards {
            loaded.rewards.retain(|version| version.program_id != self.program_id);
            loaded.rewards.extend(rewards.iter().cloned());
        }
        for known in loaded.directory.people.each_mut().filter(|known| known.standing.program_id == self.program_id) {
            self.standing(&mut known.standing);
            known.model = self.model.unwrap_or(known.model);
            known.reverse_pending_on_end = self.reverse_pending_on_end.unwrap_or(known.reverse_pending_on_end);
            if let Some(fraud) = &self.fraud {
                known.policy.clone_from(fraud);
            }
        }
        for (inputs, verdict) in loaded.decisions.values_mut() {
            let before = inputs.clone();
            self.settings(inputs);
            if *inputs != before {
                *verdict = attribution::attribute(inputs);
            }
        }
    }

    /// The inputs of a decision as they would have been.
    fn settings(&self, inputs: &mut Inputs) {
        for promo in &mut inputs.promo_codes {
            if let Sighting::Here(standing) = &mut promo.sighting {
                self.standing(standing);
            }
        }
        for click in &mut inputs.clicks {
            if let Sighting::Here(seen) = &mut click.sighting {
                self.standing(&mut seen.standing);
            }
        }
        for customer in &mut inputs.customers {
            if self.unbound.contains(&customer.key) {
                customer.sighting = Sighting::Unknown;
            }
            if let Sighting::Here(bound) = &mut customer.sighting
                && bound.standing.program_id == self.program_id
            {
                self.standing(&mut bound.standing);
                bound.model = self.model.unwrap_or(bound.model);
            }
        }
        if let Some(inherited) = &mut inputs.inherited {
            self.standing(&mut inherited.standing);
        }
        if let Some(fraud) = &self.fraud {
            let people = inputs.surroundings.people.iter_mut();
            for person in people.filter(|person| self.participants.contains(&person.participant_id)) {
                person.policy.clone_from(fraud);
            }
        }
    }

    fn standing(&self, standing: &mut Standing) {
        if standing.program_id == self.program_id {
            standing.window_days = self.window_days.unwrap_or(standing.window_days);
        }
    }
}
