//! Commissions and their entries. A commission is the sum of its entries, which are never changed: whatever a sale comes to
//! later, the difference is a new entry.

use crate::ids::{CommissionId, ParticipantId, ProgramId, RewardVersionId};
use crate::money::Currency;
use crate::reward::ReviewReason;
use crate::status::{CommissionState, words};
use crate::time::Instant;

words! {
    /// Why an entry was made.
    EntryKind {
        /// The commission was earned.
        Earned = "earned",
        /// The sale's amount turned out to be another.
        Corrected = "corrected",
        /// Money went back to the buyer.
        Refunded = "refunded",
        /// A dispute was lost.
        Disputed = "disputed",
        /// The sale turned out to be another conversion's.
        Merged = "merged",
        /// The conversion was credited to somebody else, or to nobody.
        Reattributed = "reattributed",
    }
}

/// What one conversion should have earned, by all that is known now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// For whom.
    pub participant_id: ParticipantId,
    /// In which program.
    pub program_id: ProgramId,
    /// By which version of which reward.
    pub reward_version: RewardVersionId,
    /// In the minor unit.
    pub amount_cents: i64,
    /// Its currency.
    pub currency: Currency,
    /// Why a person has to look first.
    pub needs_review: Vec<ReviewReason>,
    /// When the hold ends.
    pub hold_until: Instant,
    /// Whether the end of the hold approves it.
    pub auto_approve: bool,
}

impl Due {
    /// The state of a commission that begins like this at `now`.
    pub fn first_state(&self, now: Instant) -> CommissionState {
        let approved = self.auto_approve && self.needs_review.is_empty() && self.hold_until <= now;
        if approved { CommissionState::Approved } else { CommissionState::Pending }
    }
}

/// A commission as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub id: CommissionId,
    /// Whose.
    pub participant_id: ParticipantId,
    /// The sum of its entries.
    pub amount_cents: i64,
    /// Its currency.
    pub currency: Currency,
    /// Its state.
    pub state: CommissionState,
}

/// A step from what stands to what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new commission with its first entry.
    Open(Due),
    /// An entry on a commission that exists.
    Append {
        /// Which.
        commission_id: CommissionId,
        /// The difference.
        amount_cents: i64,
        /// Why.
        kind: EntryKind,
        /// The state after it.
        state: CommissionState,
    },
}

/// The steps that make what stands equal to what is due. None when it is already. `change` says why an amount would change.
pub fn settle(due: Option<&Due>, standing: &[Standing], change: EntryKind) -> Vec<Step> {
    let is_due = |held: &Standing| {
        due.is_some_and(|due| due.participant_id == held.participant_id && due.currency == held.currency)
    };
    let mut steps: Vec<Step> = Vec::new();
    for held in standing.iter().filter(|held| !is_due(held) && held.amount_cents != 0) {
        let kind = if change == EntryKind::Merged { change } else { EntryKind::Reattributed };
        steps.push(append(held, 0, kind));
    }
    let Some(due) = due else { return steps };
    match standing.iter().find(|held| is_due(held)) {
        Some(held) if held.amount_cents == due.amount_cents => {}
        Some(held) => steps.push(append(held, due.amount_cents, change)),
        None if due.amount_cents == 0 => {}
        None => steps.push(Step::Open(due.clone())),
    }
    steps
}

fn append(held: &Standing, target_cents: i64, kind: EntryKind) -> Step {
    let state = match held.state {
        CommissionState::Pending | CommissionState::Approved if target_cents == 0 => CommissionState::Reversed,
        CommissionState::Reversed if target_cents != 0 => CommissionState::Pending,
        same => same,
    };
    Step::Append { commission_id: held.id.clone(), amount_cents: target_cents - held.amount_cents, kind, state }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_ms(1_800_000_000_000);

    fn due(participant: u8, amount_cents: i64) -> Due {
        Due {
            participant_id: ParticipantId::make(NOW, [participant; 10]),
            program_id: ProgramId::make(NOW, [2; 10]),
            reward_version: RewardVersionId::make(NOW, [3; 10]),
            amount_cents,
            currency: Currency::EUR,
            needs_review: Vec::new(),
            hold_until: NOW,
            auto_approve: true,
        }
    }

    fn standing(participant: u8, amount_cents: i64, state: CommissionState) -> Standing {
        Standing {
            id: CommissionId::make(NOW, [participant; 10]),
            participant_id: ParticipantId::make(NOW, [participant; 10]),
            amount_cents,
            currency: Currency::EUR,
            state,
        }
    }

    #[test]
    fn what_is_due_is_opened_once_and_corrected_by_the_difference() {
        use CommissionState as S;
        assert_eq!(settle(Some(&due(1, 2_000)), &[], EntryKind::Corrected), [Step::Open(due(1, 2_000))]);
        assert_eq!(settle(Some(&due(1, 2_000)), &[standing(1, 2_000, S::Approved)], EntryKind::Corrected), []);
        assert_eq!(settle(Some(&due(1, 0)), &[], EntryKind::Corrected), []);
        let step = |amount_cents, kind, state| Step::Append {
            commission_id: CommissionId::make(NOW, [1; 10]),
            amount_cents,
            kind,
            state,
        };
        assert_eq!(
            settle(Some(&due(1, 1_500)), &[standing(1, 2_000, S::Approved)], EntryKind::Corrected),
            [step(-500, EntryKind::Corrected, S::Approved)]
        );
        assert_eq!(
            settle(None, &[standing(1, 2_000, S::Approved)], EntryKind::Corrected),
            [step(-2_000, EntryKind::Reattributed, S::Reversed)]
        );
        assert_eq!(
            settle(Some(&due(2, 2_000)), &[standing(1, 2_000, S::Paid)], EntryKind::Corrected),
            [step(-2_000, EntryKind::Reattributed, S::Paid), Step::Open(due(2, 2_000))]
        );
    }

    #[test]
    fn a_commission_begins_approved_only_without_hold_and_review() {
        use CommissionState as S;
        assert_eq!(due(1, 1).first_state(NOW), S::Approved);
        assert_eq!(due(1, 1).first_state(NOW.plus_ms(-1)), S::Pending);
        let reviewed = Due { needs_review: vec![ReviewReason::FeeUnknown], ..due(1, 1) };
        assert_eq!(reviewed.first_state(NOW), S::Pending);
        assert_eq!(Due { auto_approve: false, ..due(1, 1) }.first_state(NOW), S::Pending);
    }
}
