//! `charge`: what was captured, what went back so far, and which balance transaction knows the fee.

use domain::fact::{ChargeFact, RefundFact};
use domain::money::Currency;

use crate::refund;
use crate::shape::{Shape, Unreadable};

/// The most refunds read of one charge; its cumulative figure tells of the rest.
const REFUNDS_MAX: usize = 100;

/// Reads the state of a charge.
pub(crate) fn read(charge: Shape<'_>) -> Result<ChargeFact, Unreadable> {
    charge.must_be("charge")?;
    let id = charge.own_id("id")?;
    let payment_intent = charge.id("payment_intent");
    let amount_captured = amount_captured(charge)?;
    Ok(ChargeFact {
        amount_captured,
        amount_refunded: amount_refunded(charge, amount_captured)?,
        currency: charge.own_currency("currency")?,
        balance_transaction: charge.id("balance_transaction"),
        fee: fee(charge)?,
        refunds: refunds(charge, &id, payment_intent.as_deref())?,
        invoice: charge.id("invoice"),
        payment_intent,
        charge: id,
    })
}

fn amount_captured(charge: Shape<'_>) -> Result<i64, Unreadable> {
    match charge.amount("amount_captured")? {
        Some(amount) => Ok(amount),
        None if charge.flag("captured") == Some(false) => Ok(0),
        None => charge.own_amount("amount"),
    }
}

/// The cumulative figure of money that really went back.
///
/// Before 2025-03-31 the release of what was authorized but not captured counted as a refund; it is taken off here.
/// Since then it does not. A shape of before is known by its key `invoice`, which went in the same version.
fn amount_refunded(charge: Shape<'_>, amount_captured: i64) -> Result<i64, Unreadable> {
    let told = charge.own_amount("amount_refunded")?;
    if !charge.knows("invoice") {
        return Ok(told);
    }
    let released = charge.amount("amount")?.map_or(0, |amount| amount.saturating_sub(amount_captured).max(0));
    Ok(told.saturating_sub(released).max(0))
}

/// The fee, where the balance transaction came expanded. An event names it only, and its fee must be asked of the API.
fn fee(charge: Shape<'_>) -> Result<Option<(i64, Currency)>, Unreadable> {
    let fee = charge.amount("balance_transaction.fee")?;
    let currency = charge.currency("balance_transaction.currency")?;
    Ok(fee.zip(currency))
}

/// Refunds inside the charge: always there before 2022-11-15, later only if asked for.
fn refunds(charge: Shape<'_>, id: &str, payment_intent: Option<&str>) -> Result<Vec<RefundFact>, Unreadable> {
    let mut refunds = Vec::new();
    for embedded in charge.items("refunds").take(REFUNDS_MAX) {
        let mut refund = refund::read(embedded)?;
        refund.charge.get_or_insert_with(|| id.to_owned());
        refund.payment_intent = refund.payment_intent.or_else(|| payment_intent.map(str::to_owned));
        refunds.push(refund);
    }
    Ok(refunds)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{as_json, check as check_kind, check_refused, reading, with, without};

    fn charge() -> Value {
        json!({
            "id": "ch_1", "object": "charge", "amount": 10_000, "amount_captured": 10_000, "amount_refunded": 2_500,
            "captured": true, "currency": "usd", "payment_intent": "pi_1", "balance_transaction": "txn_1",
            "billing_details": {"email": "ann@example.com", "name": "Ann Example"},
        })
    }

    fn check(changes: Value, expected: Value) {
        check_kind("charge.refunded", with(&charge(), changes), expected);
    }

    #[test]
    fn a_charge_is_read_whole_and_without_the_person() {
        let expected = json!([{
            "kind": "charge", "charge": "ch_1", "payment_intent": "pi_1", "invoice": null, "amount_captured": 10_000,
            "amount_refunded": 2_500, "currency": "USD", "balance_transaction": "txn_1", "fee": null,
        }]);
        assert_eq!(as_json(&reading("charge.refunded", &charge())), expected);
        assert_eq!(as_json(&reading("charge.updated", &charge())), expected);
    }

    #[test]
    fn refunds_inside_the_charge_are_read_and_know_their_charge() {
        let refund = |id: &str, status: &str| json!({"id": id, "object": "refund", "amount": 1_250, "currency": "usd", "status": status});
        let read = |id: &str, status: &str| {
            json!({"refund": id, "charge": "ch_1", "payment_intent": "pi_1", "amount": 1_250, "currency": "USD",
                "status": status, "created": null})
        };
        check(
            json!({"refunds": {"object": "list", "data": [refund("re_1", "succeeded"), refund("re_2", "failed")]}}),
            json!({"refunds": [read("re_1", "succeeded"), read("re_2", "failed")]}),
        );
        check(json!({"refunds": [refund("re_1", "pending")]}), json!({"refunds": [read("re_1", "pending")]}));
        check(json!({"refunds": {}}), json!({"refunds": null}));
        check(json!({"refunds": null}), json!({"refunds": null}));
        check_refused(
            "charge.refunded",
            with(&charge(), json!({"refunds": {"data": [{"id": "re_1"}]}})),
            "the object has no `amount`",
        );
    }

    #[test]
    fn money_that_was_never_captured_was_never_refunded() {
        let old = |captured: i64, refunded: i64| json!({"invoice": null, "amount_captured": captured, "amount_refunded": refunded});
        let new = |captured: i64, refunded: i64| json!({"amount_captured": captured, "amount_refunded": refunded});
        // Authorized 100.00 and captured 60.00: the old shape calls the 40.00 refunded.
        check(old(6_000, 4_000), json!({"amount_captured": 6_000, "amount_refunded": 0}));
        check(old(6_000, 10_000), json!({"amount_refunded": 6_000}));
        check(old(6_000, 0), json!({"amount_refunded": 0}));
        check(old(0, 10_000), json!({"amount_captured": 0, "amount_refunded": 0}));
        check(old(10_000, 2_500), json!({"amount_refunded": 2_500}));
        // Since 2025-03-31 it does not, and the key `invoice` is gone.
        check(new(6_000, 0), json!({"amount_refunded": 0}));
        check(new(6_000, 4_000), json!({"amount_refunded": 4_000}));
        check(new(6_000, 6_000), json!({"amount_refunded": 6_000}));
    }

    #[test]
    fn what_was_captured_is_told_or_follows_from_the_flag() {
        check(json!({"amount_captured": null}), json!({"amount_captured": 10_000}));
        check(json!({"amount_captured": null, "captured": false}), json!({"amount_captured": 0}));
        check_kind("charge.updated", without(&charge(), "amount"), json!({"amount_captured": 10_000}));
    }

    #[test]
    fn the_fee_is_only_in_an_expanded_balance_transaction() {
        let expanded = |fee: Value, currency: Value| json!({"balance_transaction": {"id": "txn_1", "fee": fee, "currency": currency}});
        check(expanded(json!(320), json!("eur")), json!({"balance_transaction": "txn_1", "fee": [320, "EUR"]}));
        check(expanded(json!(null), json!("eur")), json!({"balance_transaction": "txn_1", "fee": null}));
        check(json!({"balance_transaction": null}), json!({"balance_transaction": null, "fee": null}));
    }

    #[test]
    fn ids_may_be_expanded_and_the_old_shape_names_the_invoice() {
        check(
            json!({"payment_intent": {"id": "pi_9"}, "invoice": {"id": "in_9"}}),
            json!({"payment_intent": "pi_9", "invoice": "in_9"}),
        );
        check(json!({"payment_intent": null, "invoice": "in_1"}), json!({"payment_intent": null, "invoice": "in_1"}));
    }

    #[test]
    fn what_a_charge_cannot_do_without_is_named() {
        for key in ["id", "amount_refunded", "currency"] {
            let expected = format!("the object has no `{key}`");
            check_refused("charge.refunded", without(&charge(), key), &expected);
        }
        let uncounted = without(&without(&charge(), "amount"), "amount_captured");
        check_refused("charge.updated", uncounted, "the object has no `amount`");
        check_refused(
            "charge.refunded",
            with(&charge(), json!({"object": "refund"})),
            "`object` names another kind of object than the event's type",
        );
    }
}
