//! The JSON shapes of payouts and balances.

use domain::mode::Mode;
use domain::payout::{Balance, PayoutStatus, Unsettled, balance};
use serde_json::{Value as Json, json};

use crate::store::payouts::{Payout, Sums};

/// A payout.
pub fn payout(payout: &Payout, mode: Mode) -> Json {
    let settled_at = |status| payout.settled_at.filter(|_| payout.status == status).map(|at| at.to_string());
    json!({
        "id": payout.id,
        "mode": mode,
        "participant_id": payout.participant_id,
        "program_id": payout.program_id,
        "amount_cents": payout.amount_cents,
        "amount": payout.currency.decimal(payout.amount_cents),
        "currency": payout.currency,
        "status": payout.status.as_str(),
        "entries": payout.entries,
        "commission_ids": payout.commission_ids,
        "created_at": payout.created_at.to_string(),
        "paid_at": settled_at(PayoutStatus::Paid),
        "canceled_at": settled_at(PayoutStatus::Canceled),
    })
}

/// A participant's balances, one for each currency; `status` says whether a payout made now would take the unsettled amount
/// (`due`) or leave it (`carried`), as it always does in test mode and of who is erased.
pub fn balances(participant_id: &str, program_id: &str, sums: &[Sums], mode: Mode) -> Json {
    let own = sums.iter().filter(|sums| sums.participant_id == participant_id);
    let shown = own.map(|sums| {
        let whole = Unsettled { entry_id: "", amount_cents: sums.unsettled_cents };
        let is_payable = mode == Mode::Live && !sums.is_erased;
        let due = is_payable && matches!(balance(&[whole], sums.minimum_cents), Balance::Due { .. });
        json!({
            "currency": sums.currency,
            "unsettled_cents": sums.unsettled_cents,
            "unsettled": sums.currency.decimal(sums.unsettled_cents),
            "status": if due { "due" } else { "carried" },
            "drafted_cents": sums.drafted_cents,
            "paid_cents": sums.paid_cents,
            "minimum_payout_cents": sums.minimum_cents,
        })
    });
    json!({
        "participant_id": participant_id, "program_id": program_id, "mode": mode,
        "balances": shown.collect::<Vec<_>>(),
    })
}
