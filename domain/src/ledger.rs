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
        /// The subscription ended while the commission was pending, and the program takes it back then.
        Ended = "ended",
        /// A person added it.
        Bonus = "bonus",
    }
}

/// The reason of an entry that gives back what went back, as when a refund fails; see [`EntryKind::reason`].
pub const RESTORED: &str = "restored";

impl EntryKind {
    /// Whether a partner is told of such an entry on a commission that stood: of whatever takes something, and of what gives that
    /// back. Of two sales that turned out to be one they keep the other; a person's bonus they see.
    pub const fn is_told(self, amount_cents: i64) -> bool {
        match self {
            Self::Refunded | Self::Disputed | Self::Ended | Self::Reattributed => true,
            Self::Corrected => amount_cents < 0,
            Self::Earned | Self::Merged | Self::Bonus => false,
        }
    }

    /// Why a commission changes by such an entry: its kind, but for what gives back. It is of the same kind as what took.
    pub const fn reason(self, amount_cents: i64) -> &'static str {
        match self {
            Self::Refunded | Self::Disputed if amount_cents > 0 => RESTORED,
            kind => kind.as_str(),
        }
    }
}

/// The terms of a commission: they follow the facts as long as it is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// By which version of which reward.
    pub reward_version: RewardVersionId,
    /// Why a person has to look first.
    pub needs_review: Vec<ReviewReason>,
    /// When the hold ends.
    pub hold_until: Instant,
    /// Whether the end of the hold approves it.
    pub auto_approve: bool,
}

/// What one conversion should have earned, by all that is known now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// For whom.
    pub participant_id: ParticipantId,
    /// In which program.
    pub program_id: ProgramId,
    /// In the minor unit.
    pub amount_cents: i64,
    /// Its currency.
    pub currency: Currency,
    /// On which terms.
    pub terms: Terms,
    /// The state of the commission that it takes the place of, when two sales turned out to be one.
    pub takes_over: Option<CommissionState>,
}

impl Due {
    /// The state of a commission that begins like this at `now`. One that a person rejected, or that was approved or paid, on
    /// a conversion that was merged into this one goes on as it was; what was paid there is netted by its own entries.
    pub fn first_state(&self, now: Instant) -> CommissionState {
        match self.takes_over {
            Some(CommissionState::Rejected) => return CommissionState::Rejected,
            Some(CommissionState::Approved | CommissionState::Paid) => return CommissionState::Approved,
            Some(CommissionState::Pending | CommissionState::Reversed) | None => {}
        }
        let terms = &self.terms;
        let approved = terms.auto_approve && terms.needs_review.is_empty() && terms.hold_until <= now;
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
    /// The sum of its entries, without those that a person added.
    pub amount_cents: i64,
    /// What a person added: no fact takes it back.
    pub bonus_cents: i64,
    /// Its currency.
    pub currency: Currency,
    /// Its state.
    pub state: CommissionState,
    /// Where it goes back to from `reversed`.
    pub reversed_from: Option<CommissionState>,
    /// Its terms.
    pub terms: Terms,
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
    /// Other terms for a commission that is pending.
    Revise {
        /// Which.
        commission_id: CommissionId,
        /// The terms by all that is known now.
        terms: Terms,
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
        steps.push(append(held, 0, kind).0);
    }
    let Some(due) = due else { return steps };
    match standing.iter().find(|held| is_due(held)) {
        Some(held) => {
            let mut state = held.state;
            if held.amount_cents != due.amount_cents {
                let (step, after) = append(held, due.amount_cents, change);
                steps.push(step);
                state = after;
            }
            if state == CommissionState::Pending && held.terms != due.terms {
                steps.push(Step::Revise { commission_id: held.id.clone(), terms: due.terms.clone() });
            }
        }
        None if due.amount_cents == 0 => {}
        None => steps.push(Step::Open(due.clone())),
    }
    steps
}

fn append(held: &Standing, target_cents: i64, kind: EntryKind) -> (Step, CommissionState) {
    let nothing_left = target_cents + held.bonus_cents == 0;
    let state = match held.state {
        CommissionState::Pending | CommissionState::Approved if nothing_left => CommissionState::Reversed,
        CommissionState::Reversed if !nothing_left => held.reversed_from.unwrap_or(CommissionState::Pending),
        same => same,
    };
    let amount_cents = target_cents - held.amount_cents;
    (Step::Append { commission_id: held.id.clone(), amount_cents, kind, state }, state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_ms(1_800_000_000_000);

    fn due(participant: u8, amount_cents: i64) -> Due {
        Due {
            participant_id: ParticipantId::make(NOW, [participant; 10]),
            program_id: ProgramId::make(NOW, [2; 10]),
            amount_cents,
            currency: Currency::EUR,
            terms: terms(),
            takes_over: None,
        }
    }

    fn terms() -> Terms {
        Terms {
            reward_version: RewardVersionId::make(NOW, [3; 10]),
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
            bonus_cents: 0,
            currency: Currency::EUR,
            state,
            reversed_from: None,
            terms: terms(),
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
        let reviewed = Terms { needs_review: vec![ReviewReason::FeeUnknown], ..terms() };
        assert_eq!(Due { terms: reviewed, ..due(1, 1) }.first_state(NOW), S::Pending);
        let by_hand = Terms { auto_approve: false, ..terms() };
        assert_eq!(Due { terms: by_hand, ..due(1, 1) }.first_state(NOW), S::Pending);
        let after = |state| Due { takes_over: Some(state), ..due(1, 1) }.first_state(NOW);
        assert_eq!((after(S::Rejected), after(S::Paid), after(S::Reversed)), (S::Rejected, S::Approved, S::Approved));
    }

    #[test]
    fn money_that_comes_back_gives_back_the_state_before() {
        use CommissionState as S;
        let state_after =
            |held: Standing, amount| match settle(Some(&due(1, amount)), &[held], EntryKind::Refunded).pop() {
                Some(Step::Append { state, .. }) => state,
                other => panic!("{other:?}"),
            };
        let reversed = |from| Standing { reversed_from: from, ..standing(1, 0, S::Reversed) };
        assert_eq!(state_after(reversed(Some(S::Approved)), 2_000), S::Approved);
        assert_eq!(state_after(reversed(None), 2_000), S::Pending);
        assert_eq!(state_after(standing(1, 2_000, S::Rejected), 0), S::Rejected);
        let with_bonus = Standing { bonus_cents: 500, ..standing(1, 2_000, S::Approved) };
        assert_eq!(state_after(with_bonus, 0), S::Approved);
    }

    #[test]
    fn terms_follow_the_facts_while_a_commission_is_pending() {
        use CommissionState as S;
        let reviewed = Terms { needs_review: vec![ReviewReason::FeeUnknown], ..terms() };
        let held = |state| Standing { terms: reviewed.clone(), ..standing(1, 2_000, state) };
        let revise = Step::Revise { commission_id: CommissionId::make(NOW, [1; 10]), terms: terms() };
        assert_eq!(
            settle(Some(&due(1, 2_000)), &[held(S::Pending)], EntryKind::Corrected),
            std::slice::from_ref(&revise)
        );
        assert_eq!(settle(Some(&due(1, 1_900)), &[held(S::Pending)], EntryKind::Corrected).pop(), Some(revise));
        assert_eq!(settle(Some(&due(1, 2_000)), &[held(S::Approved)], EntryKind::Corrected), []);
    }
}
