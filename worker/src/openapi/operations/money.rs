//! Commissions and payouts.

use domain::ids;
use domain::payout::PayoutStatus;
use domain::status::CommissionState;

use crate::openapi::operation::{Content, Operation, operation};
use crate::openapi::schema::*;

pub fn all() -> Vec<Operation> {
    [commissions(), payouts()].concat()
}

fn commissions() -> Vec<Operation> {
    vec![
        operation("GET /api/v1/commissions", "listCommissions", "Commissions", "List commissions")
            .query("state", words(CommissionState::WORDS))
            .filter("participant_id")
            .filter("program_id")
            .filter("conversion_id")
            .query("needs_review", boolean())
            .lists("Commission"),
        operation("GET /api/v1/commissions/{id}", "getCommission", "Commissions", "Read a commission")
            .of::<ids::Commission>()
            .shows("Commission"),
        operation("POST /api/v1/commissions/{id}/approve", "approveCommission", "Commissions", "Approve a commission")
            .about("A person's word ends the hold and the review.")
            .of::<ids::Commission>()
            .body_or_nothing([("reason?", text(500))])
            .shows("Commission")
            .refused(409),
        operation("POST /api/v1/commissions/{id}/reject", "rejectCommission", "Commissions", "Reject a commission")
            .of::<ids::Commission>()
            .body([("reason", text(500))])
            .shows("Commission")
            .refused(409),
        operation("POST /api/v1/commissions/{id}/bonus", "addBonus", "Commissions", "Add to a commission")
            .about("In the commission's currency. No refund takes it back.")
            .of::<ids::Commission>()
            .body([
                ("amount_cents", integer(1, domain::money::AMOUNT_MAX)),
                ("reason", text(500)),
                (
                    "act_id?",
                    said(
                        id::<ids::Act>(),
                        "The act's id, where you choose it: what is sent twice under one is done once.",
                    ),
                ),
            ])
            .shows("Commission")
            .refused(409),
    ]
}

fn payouts() -> Vec<Operation> {
    let csv = || Content::Media("text/csv");
    let act = |line, id, summary| {
        operation(line, id, "Payouts", summary)
            .of::<ids::Payout>()
            .body_or_nothing([("reason?", text(500))])
            .shows("Payout")
            .refused(409)
    };
    vec![
        operation("GET /api/v1/payouts", "listPayouts", "Payouts", "List payouts")
            .query("status", words(PayoutStatus::WORDS))
            .filter("participant_id")
            .lists("Payout"),
        operation("POST /api/v1/payouts", "createPayouts", "Payouts", "Draft payouts")
            .about(
                "With `participant_id` and `currency`, one draft is made and answered. Without, a draft for everybody who is due, in \
                 all programs or in the one of `program_id`, at most 100 in one call. Live mode only.",
            )
            .body([
                ("participant_id?", id::<ids::Participant>()),
                ("currency?", currency_sent()),
                ("program_id?", id::<ids::Program>()),
            ])
            .answers(201, "Made.", Content::Json(serde_json::json!({ "anyOf": [named("Payout"), named("PayoutDrafts")] })))
            .refused(409),
        operation("GET /api/v1/payouts/balances", "listBalances", "Payouts", "List what is still to be paid")
            .filter("program_id")
            .filter("participant_id")
            .lists("Balances"),
        operation("GET /api/v1/payouts/csv", "getPayoutsFile", "Payouts", "Payouts as CSV")
            .about("5,000 in one file; what is over goes on at `cursor`, with the value of the header `X-Next-Cursor`.")
            .query("status", words(PayoutStatus::WORDS))
            .filter("participant_id")
            .paged()
            .answers(200, "A line for each payout.", csv()),
        operation("GET /api/v1/payouts/{id}", "getPayout", "Payouts", "Read a payout").of::<ids::Payout>().shows("Payout"),
        operation("GET /api/v1/payouts/{id}/csv", "getPayoutFile", "Payouts", "A payout's entries as CSV")
            .of::<ids::Payout>()
            .answers(200, "A line for each entry.", csv()),
        act("POST /api/v1/payouts/{id}/pay", "payPayout", "Say that a payout's money was sent"),
        act("POST /api/v1/payouts/{id}/cancel", "cancelPayout", "Cancel a draft, which gives its entries free"),
    ]
}
