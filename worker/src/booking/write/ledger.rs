//! Write: commissions and entries, and what became of those of merged conversions.

use domain::ids::{CommissionId, ConversionId, CustomerId};
use domain::ledger::{EntryKind, Step};
use domain::sale::ConversionStatus;
use domain::status::CommissionState;
use serde_json::json;

use super::Writer;
use crate::booking::Booking;
use crate::booking::decide::{self, Conversion as DecidedConversion, Family};
use crate::error::ApiError;
use crate::shapes;
use crate::store::commissions::{self, Held, NewEntry};
use crate::store::conversions::{self, Conversion};
use crate::store::{Statement, customers, fraud_alerts};

impl Writer<'_> {
    /// Commissions, entries and their events; and the id of the commission that counts.
    pub(super) fn ledger(
        &self,
        family: &Family,
        decided: &DecidedConversion,
        conversion: &ConversionId,
    ) -> Result<(Option<String>, Vec<Statement>), ApiError> {
        let Booking { scope, now, .. } = self.booking;
        let all: Vec<&Held> = decided.row.iter().flat_map(|row| decide::held(&family.loaded, row)).collect();
        let credited = decided.verdict.credit.as_ref().map(|credit| &credit.participant_id);
        let standing = all.iter().find(|held| Some(&held.standing.participant_id) == credited);
        let mut counts = standing.map(|held| held.standing.id.to_string());
        let mut batch = Vec::new();
        for step in &decided.steps {
            let due = match step {
                Step::Open(due) => due,
                Step::Append { .. } => {
                    self.append(step, &all, &mut batch)?;
                    continue;
                }
                Step::Revise { commission_id, terms } => {
                    batch.push(commissions::revise(commission_id, terms)?);
                    continue;
                }
            };
            let id: CommissionId = self.app.fresh(*now);
            let disputed = family.members.get(decided.member).is_some_and(|member| member.returned.disputed);
            let state = match due.first_state(*now) {
                CommissionState::Approved if disputed => CommissionState::Pending,
                state => state,
            };
            batch.push(commissions::insert(scope, &id, conversion, due, state, *now)?);
            if disputed {
                batch.push(commissions::set_disputed(&id, true));
            }
            batch.push(self.entry(&id, due.amount_cents, due.currency, EntryKind::Earned));
            let data = json!({
                "id": id, "conversion_id": conversion, "participant_id": due.participant_id,
                "program_id": due.program_id, "amount_cents": due.amount_cents, "currency": due.currency,
                "state": state.as_str(), "mode": scope.mode,
            });
            self.event("commission.created", id.as_str(), data.clone());
            if state == CommissionState::Approved {
                self.event("commission.approved", id.as_str(), data);
            }
            counts = Some(id.to_string());
        }
        Ok((counts, batch))
    }

    /// An entry on a commission that stands, with its state and its event.
    pub(super) fn append(&self, step: &Step, all: &[&Held], batch: &mut Vec<Statement>) -> Result<(), ApiError> {
        let Step::Append { commission_id, amount_cents, kind, state } = step else { return Ok(()) };
        let Some(held) = all.iter().find(|held| held.standing.id == *commission_id) else { return Ok(()) };
        let standing = &held.standing;
        batch.push(self.entry(commission_id, *amount_cents, standing.currency, *kind));
        batch.push(commissions::move_by_booking(commission_id, standing.state, *state));
        if kind.is_told(*amount_cents) {
            let data = json!({
                "id": commission_id, "conversion_id": held.conversion_id, "participant_id": standing.participant_id,
                "amount_cents": standing.amount_cents + standing.bonus_cents + amount_cents, "currency": standing.currency,
                "state": state.as_str(), "reason": kind.reason(*amount_cents), "mode": self.booking.scope.mode,
            });
            self.event("commission.refunded", commission_id.as_str(), data);
        }
        Ok(())
    }

    /// The dispute's flag on the commissions that stand.
    pub(super) fn flags(&self, family: &Family, decided: &DecidedConversion, batch: &mut Vec<Statement>) {
        let disputed = family.members.get(decided.member).is_some_and(|member| member.returned.disputed);
        for held in decided.row.iter().flat_map(|row| decide::held(&family.loaded, row)) {
            if held.disputed != disputed {
                batch.push(commissions::set_disputed(&held.standing.id, disputed));
            }
        }
    }

    /// Conversions that turned out to be this one's sale: their commissions come to nothing, and what a dispute or an alert said
    /// of them is said of this one.
    pub(super) fn merged(
        &self,
        family: &Family,
        decided: &DecidedConversion,
        batch: &mut Vec<Statement>,
    ) -> Result<(), ApiError> {
        for (row, steps) in &decided.merged {
            let all: Vec<&Held> = decide::held(&family.loaded, row).collect();
            for held in all.iter().filter(|held| held.disputed) {
                batch.push(commissions::set_disputed(&held.standing.id, false));
            }
            for step in steps {
                self.append(step, &all, batch)?;
            }
            if row.status != ConversionStatus::Merged {
                let merged = Conversion { status: ConversionStatus::Merged, ..row.clone() };
                batch.push(conversions::update(&merged)?);
                batch.push(fraud_alerts::dismiss_all(&row.id));
                if let Some(customer) = row.customer_id.as_deref().and_then(CustomerId::parse)
                    && decided.is_purchase
                {
                    batch.push(customers::count(&customer, -1));
                }
                let data = shapes::conversion(&merged, self.booking.scope.mode, None);
                self.event("conversion.merged", row.id.as_str(), data);
            }
        }
        Ok(())
    }

    pub(super) fn entry(
        &self,
        commission_id: &CommissionId,
        amount_cents: i64,
        currency: domain::money::Currency,
        kind: EntryKind,
    ) -> Statement {
        let id = self.app.fresh(self.booking.now);
        // A person's word is the cause, else the fact that came last; with no new fact, time is.
        let by_hand = self.booking.by_hand.as_ref().map(|by_hand| by_hand.manual.act_id.as_str());
        let fact = self.booking.facts.last().map(|fact| fact.id.as_str()).filter(|_| !self.repeated);
        let cause = by_hand.or(fact).unwrap_or("time");
        let entry = NewEntry { id, commission_id, amount_cents, currency, kind, cause };
        commissions::append(&self.booking.scope, &entry, self.booking.now)
    }
}
