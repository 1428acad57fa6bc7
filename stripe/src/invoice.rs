//! `invoice`: the money of subscriptions, of their renewals, and of sessions that made an invoice.
//!
//! The object that moved most: in 2025-03-31 its subscription went to `parent`, its payment intent and charge away, its
//! taxes to `total_taxes`.

use domain::fact::{BillingReason, InvoiceFact, StripeFact};
use domain::money::AMOUNT_MAX;

use crate::event::EmailHasher;
use crate::shape::{Flaw, Shape, Unreadable};
use crate::{hints, invoice_payment};

/// The most payments read of one invoice.
const PAYMENTS_MAX: usize = 100;

/// Reads a paid invoice, and, where the shape holds them, the payments made for it.
pub(crate) fn read(invoice: Shape<'_>, hash_email: EmailHasher<'_>) -> Result<Vec<StripeFact>, Unreadable> {
    invoice.must_be("invoice")?;
    let amount_paid = invoice.own_amount("amount_paid")?;
    let email =
        ["customer_email", "customer.email"].into_iter().filter_map(|path| invoice.text(path)).find_map(hash_email);
    let fact = InvoiceFact {
        invoice: invoice.own_id("id")?,
        subscription: subscription(invoice),
        customer: invoice.id("customer"),
        email,
        billing_reason: billing_reason(invoice),
        amount_paid,
        amount_paid_off_stripe: off_stripe(invoice, amount_paid)?,
        // A proration may come to a credit; there is nothing of a sale in it.
        total: invoice.signed_amount("total")?.unwrap_or(amount_paid).max(0),
        tax: tax(invoice)?,
        currency: invoice.own_currency("currency")?,
        paid_at: invoice.time("status_transitions.paid_at"),
        payment_intent: invoice.id("payment_intent"),
        charge: invoice.id("charge"),
        hints: hints::of_invoice(invoice),
    };
    let payments = invoice
        .items("payments")
        .take(PAYMENTS_MAX)
        .filter(|payment| payment.text("status") == Some("paid"))
        .filter_map(|payment| invoice_payment::read(payment).ok())
        .map(StripeFact::InvoicePayment)
        .collect::<Vec<_>>();
    Ok([vec![StripeFact::Invoice(fact)], payments].concat())
}

fn subscription(invoice: Shape<'_>) -> Option<String> {
    invoice.id("parent.subscription_details.subscription").or_else(|| invoice.id("subscription"))
}

fn billing_reason(invoice: Shape<'_>) -> BillingReason {
    match invoice.text("billing_reason") {
        Some("subscription_create") => BillingReason::SubscriptionCreate,
        Some("subscription_cycle") => BillingReason::SubscriptionCycle,
        Some("subscription_update") => BillingReason::SubscriptionUpdate,
        _ => BillingReason::Other,
    }
}

/// The part of `amount_paid` that did not come through Stripe: told since 2026-05-27, before that all or nothing.
fn off_stripe(invoice: Shape<'_>, amount_paid: i64) -> Result<i64, Unreadable> {
    if let Some(amount) = invoice.amount("amount_paid_off_stripe")? {
        return Ok(amount.min(amount_paid));
    }
    Ok(match invoice.flag("paid_out_of_band") {
        Some(true) => amount_paid,
        _ => 0,
    })
}

/// The tax in `total`, from the newest place that the shape has. A credit's negative tax is 0, as its total is.
fn tax(invoice: Shape<'_>) -> Result<Option<i64>, Unreadable> {
    for list in ["total_taxes", "total_tax_amounts"] {
        if !invoice.at(list).is_null() {
            return sum(invoice, list).map(Some);
        }
    }
    Ok(invoice.signed_amount("tax")?.map(|tax| tax.max(0)))
}

/// The sum of the amounts in a list, 0 where they are credits.
fn sum(invoice: Shape<'_>, list: &'static str) -> Result<i64, Unreadable> {
    let not_an_amount = Unreadable { field: list, flaw: Flaw::NotAnAmount };
    let mut sum = 0_i64;
    for entry in invoice.items(list) {
        let amount = entry.signed_amount("amount").map_err(|_| not_an_amount)?;
        sum = sum.saturating_add(amount.unwrap_or(0));
    }
    if sum > AMOUNT_MAX {
        return Err(not_an_amount);
    }
    Ok(sum.max(0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{as_json, check as check_kind, check_refused, hash_email, reading, with, without};

    const CLICK: &str = "0190f3c1-5e5a-4c3e-9b1a-0123456789ab";
    const OTHER_CLICK: &str = "0190f3c1-5e5a-4c3e-9b1a-0123456789ac";

    fn common() -> Value {
        json!({
            "id": "in_1", "object": "invoice", "customer": "cus_1", "customer_email": "ann@example.com",
            "billing_reason": "subscription_cycle", "amount_paid": 11_900, "total": 11_900, "currency": "eur",
            "status_transitions": {"paid_at": 1_700_000_000}, "metadata": {},
        })
    }

    fn old_shape() -> Value {
        let old = json!({
            "subscription": "sub_1", "subscription_details": {"metadata": {"aff_click_id": CLICK}}, "tax": 1_900,
            "total_tax_amounts": [{"amount": 1_900, "inclusive": false}], "payment_intent": "pi_1", "charge": "ch_1",
            "paid": true, "paid_out_of_band": false, "discount": {"id": "di_1", "promotion_code": "promo_1"},
            "discounts": ["di_1"],
        });
        with(&common(), old)
    }

    fn new_shape() -> Value {
        let new = json!({
            "parent": {"type": "subscription_details", "quote_details": null,
                "subscription_details": {"subscription": "sub_1", "metadata": {"aff_click_id": CLICK}}},
            "total_taxes": [{"amount": 1_000, "tax_behavior": "exclusive"}, {"amount": 900}],
            "discounts": ["di_1", "di_2"], "total_discount_amounts": [{"amount": 5, "discount": "di_2"}],
        });
        with(&common(), new)
    }

    fn check(changes: Value, expected: Value) {
        check_kind("invoice.paid", with(&common(), changes), expected);
    }

    fn refused(changes: Value, expected: &str) {
        check_refused("invoice.paid", with(&common(), changes), expected);
    }

    #[test]
    fn an_invoice_in_the_old_shape_is_read_whole() {
        let expected = json!([{
            "kind": "invoice", "invoice": "in_1", "subscription": "sub_1", "customer": "cus_1",
            "email": hash_email("ann@example.com"), "billing_reason": "subscription_cycle", "amount_paid": 11_900,
            "amount_paid_off_stripe": 0, "total": 11_900, "tax": 1_900, "currency": "EUR",
            "paid_at": 1_700_000_000_000_i64, "payment_intent": "pi_1", "charge": "ch_1",
            "hints": {"clicks": [{"source": "aff_click_id", "click_id": CLICK}], "promotion_codes": ["promo_1"]},
        }]);
        assert_eq!(as_json(&reading("invoice.paid", &old_shape())), expected);
    }

    #[test]
    fn an_invoice_in_the_new_shape_is_read_whole() {
        let expected = json!([{
            "kind": "invoice", "invoice": "in_1", "subscription": "sub_1", "customer": "cus_1",
            "email": hash_email("ann@example.com"), "billing_reason": "subscription_cycle", "amount_paid": 11_900,
            "amount_paid_off_stripe": 0, "total": 11_900, "tax": 1_900, "currency": "EUR",
            "paid_at": 1_700_000_000_000_i64, "payment_intent": null, "charge": null,
            "hints": {"clicks": [{"source": "aff_click_id", "click_id": CLICK}], "discounts": ["di_1", "di_2"]},
        }]);
        assert_eq!(as_json(&reading("invoice.paid", &new_shape())), expected);
    }

    #[test]
    fn where_both_shapes_stand_the_new_place_counts() {
        let both = with(&old_shape(), new_shape());
        let both = with(&both, json!({"subscription": "sub_old", "tax": 7}));
        check_kind("invoice.paid", both, json!({"subscription": "sub_1", "tax": 1_900, "payment_intent": "pi_1"}));
        check(
            json!({"subscription": "sub_old", "parent": {"subscription_details": null}}),
            json!({"subscription": "sub_old"}),
        );
        check(json!({"subscription": "sub_old", "parent": null}), json!({"subscription": "sub_old"}));
    }

    #[test]
    fn a_subscription_may_be_expanded_in_either_place() {
        let subscription = json!({"id": "sub_1", "metadata": {"tracClickId": CLICK}});
        let expected = json!({"subscription": "sub_1",
            "hints": {"clicks": [{"source": "trac_click_id", "click_id": CLICK}]}});
        check(json!({"subscription": subscription}), expected.clone());
        check(json!({"parent": {"subscription_details": {"subscription": subscription}}}), expected);
    }

    #[test]
    fn tax_is_what_stripe_reports() {
        let check = |changes: Value, tax: Value| check(changes, json!({"tax": tax}));
        check(json!({}), json!(null));
        check(json!({"tax": null, "total_taxes": null}), json!(null));
        check(json!({"tax": 1_900}), json!(1_900));
        check(json!({"total_taxes": []}), json!(0));
        check(json!({"total_tax_amounts": [{"amount": 1}, {"amount": 2}]}), json!(3));
        check(json!({"total_taxes": [{"amount": "5"}], "total_tax_amounts": [{"amount": 2}]}), json!(5));
        check(json!({"total_taxes": [{"taxability_reason": "reverse_charge", "amount": 0}]}), json!(0));
        check(json!({"tax": -5, "total": -100, "amount_paid": 0}), json!(0));
        check(json!({"total_taxes": [{"amount": -5}]}), json!(0));
        refused(json!({"tax": "x"}), "`tax` is no integer from 0 to 9007199254740991");
        let most = json!({"amount": AMOUNT_MAX});
        refused(json!({"total_taxes": [most, most]}), "`total_taxes` is no integer from 0 to 9007199254740991");
        refused(json!({"total_taxes": [{"amount": 0.5}]}), "`total_taxes` is no integer from 0 to 9007199254740991");
    }

    #[test]
    fn a_proration_that_comes_to_a_credit_is_a_sale_of_nothing() {
        check(
            json!({"billing_reason": "subscription_update", "total": -500, "amount_paid": 0}),
            json!({"billing_reason": "subscription_update", "total": 0, "amount_paid": 0}),
        );
    }

    #[test]
    fn money_paid_outside_stripe_is_told_apart() {
        let check = |changes: Value, off: i64| check(changes, json!({"amount_paid_off_stripe": off}));
        check(json!({}), 0);
        check(json!({"paid_out_of_band": true}), 11_900);
        check(json!({"paid_out_of_band": false}), 0);
        check(json!({"amount_paid_off_stripe": 900}), 900);
        check(json!({"amount_paid_off_stripe": 0, "paid_out_of_band": true}), 0);
        check(json!({"amount_paid_off_stripe": 99_999}), 11_900);
    }

    #[test]
    fn why_the_invoice_was_made_is_read_as_far_as_it_matters() {
        let check =
            |reason: &str, read: &str| check(json!({"billing_reason": reason}), json!({"billing_reason": read}));
        check("subscription_create", "subscription_create");
        check("subscription_cycle", "subscription_cycle");
        check("subscription_update", "subscription_update");
        check("manual", "other");
        check("subscription_threshold", "other");
        check("a_word_of_2030", "other");
    }

    #[test]
    fn the_invoices_own_metadata_comes_before_its_subscriptions() {
        let invoice = with(&new_shape(), json!({"metadata": {"tracClickId": OTHER_CLICK}, "discounts": []}));
        let invoice = without(&invoice, "total_discount_amounts");
        let expected = json!({"hints": {"clicks": [
            {"source": "trac_click_id", "click_id": OTHER_CLICK}, {"source": "aff_click_id", "click_id": CLICK}]}});
        check_kind("invoice.paid", invoice, expected);
    }

    #[test]
    fn money_is_opted_out_by_the_invoice_its_subscription_or_its_customer() {
        let no = json!({"selgeo": "false"});
        for changes in [
            json!({"metadata": no}),
            json!({"parent": {"subscription_details": {"metadata": no}}}),
            json!({"parent": {"subscription_details": {"subscription": {"id": "sub_1", "metadata": no}}}}),
            json!({"subscription_details": {"metadata": no}}),
            json!({"subscription": {"id": "sub_1", "metadata": no}}),
            json!({"customer": {"id": "cus_1", "metadata": no}}),
        ] {
            check(changes, json!({"hints": {"opted_out": true}}));
        }
    }

    #[test]
    fn an_expanded_discount_tells_its_code_or_that_it_has_none() {
        check(
            json!({"discounts": [{"id": "di_1", "promotion_code": {"id": "promo_1"}},
                    {"id": "di_2", "promotion_code": null, "source": {"coupon": "c"}}, "di_3", {"id": "di_4"}],
                "total_discount_amounts": [{"discount": "di_1"}, {"discount": "di_2"}, {"discount": "di_5"},
                    {"discount": {"id": "di_3", "promotion_code": "promo_3"}}]}),
            json!({"hints": {"promotion_codes": ["promo_1", "promo_3"], "discounts": ["di_4", "di_5"]}}),
        );
    }

    #[test]
    fn payments_that_the_shape_holds_are_facts_of_their_own() {
        let payment = |id: &str, status: &str, payment_intent: &str| {
            json!({"id": id, "object": "invoice_payment", "invoice": "in_1", "status": status, "amount_paid": 5,
                "currency": "eur", "payment": {"type": "payment_intent", "payment_intent": payment_intent}})
        };
        let payments = json!({"payments": {"object": "list", "data": [
            payment("inpay_1", "paid", "pi_1"), payment("inpay_2", "open", "pi_2"), payment("inpay_3", "paid", "pi_3"),
            {"status": "paid"}, null]}});
        let read = as_json(&reading("invoice.paid", &with(&new_shape(), payments)));
        let joins: Vec<_> =
            read.as_array().unwrap().iter().map(|fact| (&fact["kind"], &fact["payment_intent"])).collect();
        assert_eq!(json!(joins), json!([["invoice", null], ["invoice_payment", "pi_1"], ["invoice_payment", "pi_3"]]));
    }

    #[test]
    fn what_an_invoice_cannot_do_without_is_named() {
        let missing = |key: &str| {
            check_refused("invoice.paid", without(&common(), key), &format!("the object has no `{key}`"));
        };
        missing("id");
        missing("amount_paid");
        missing("currency");
        check_kind("invoice.paid", without(&common(), "total"), json!({"total": 11_900}));
        refused(json!({"amount_paid": -1}), "`amount_paid` is no integer from 0 to 9007199254740991");
        refused(json!({"total": i64::MIN}), "`total` is no integer from 0 to 9007199254740991");
        refused(json!({"currency": "zzz"}), "`currency` is no currency code of ISO 4217");
        check(
            json!({"customer": null, "customer_email": null, "status_transitions": null, "metadata": null}),
            json!({"customer": null, "email": null, "paid_at": null}),
        );
    }
}
