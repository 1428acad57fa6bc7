//! `checkout.session`: who bought, what it came to, and who is to be credited.

use domain::fact::{PaymentStatus, SessionFact, SessionMode};

use crate::event::EmailHasher;
use crate::hints;
use crate::shape::{Flaw, Shape, Unreadable};

/// Whether the session only saves a card. There is no sale in it.
pub(crate) fn is_setup(session: Shape<'_>) -> bool {
    mode(session) == SessionMode::Setup
}

/// Reads a session. Since 2022-08-01 it may have neither customer nor payment intent yet.
pub(crate) fn read(session: Shape<'_>, hash_email: EmailHasher<'_>) -> Result<SessionFact, Unreadable> {
    session.must_be("checkout.session")?;
    let payment_status = payment_status(session);
    let amount = session.amount("amount_total")?;
    if amount.is_none() && payment_status == PaymentStatus::Paid {
        return Err(Unreadable { field: "amount_total", flaw: Flaw::Missing });
    }
    let amount = amount.unwrap_or(0);
    let currency = if amount > 0 { Some(session.own_currency("currency")?) } else { session.currency("currency")? };
    let email = ["customer_details.email", "customer_email", "customer.email"]
        .into_iter()
        .filter_map(|path| session.text(path))
        .find_map(hash_email);
    Ok(SessionFact {
        session: session.own_id("id")?,
        mode: mode(session),
        payment_status,
        amount,
        tax: session.amount("total_details.amount_tax")?,
        currency,
        payment_intent: session.id("payment_intent"),
        invoice: session.id("invoice"),
        subscription: session.id("subscription"),
        customer: session.id("customer"),
        email,
        hints: hints::of_session(session),
    })
}

fn mode(session: Shape<'_>) -> SessionMode {
    match session.text("mode") {
        Some("payment") => SessionMode::Payment,
        Some("subscription") => SessionMode::Subscription,
        Some("setup") => SessionMode::Setup,
        _ => SessionMode::Other,
    }
}

fn payment_status(session: Shape<'_>) -> PaymentStatus {
    match session.text("payment_status") {
        Some("paid") => PaymentStatus::Paid,
        Some("unpaid") => PaymentStatus::Unpaid,
        Some("no_payment_required") => PaymentStatus::NoPaymentRequired,
        _ => PaymentStatus::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{as_json, check as check_kind, check_refused, hash_email, reading, with, without};

    const COMPLETED: &str = "checkout.session.completed";
    const CLICK: &str = "0190f3c1-5e5a-4c3e-9b1a-0123456789ab";

    fn session() -> Value {
        json!({
            "id": "cs_1", "object": "checkout.session", "mode": "payment", "payment_status": "paid",
            "amount_total": 11_900, "currency": "eur", "customer": null, "customer_email": null,
            "customer_details": {"email": "Ann@example.com", "name": "Ann Example", "phone": "+49 30 1234"},
            "payment_intent": "pi_1", "invoice": null, "subscription": null, "metadata": {},
            "total_details": {"amount_tax": 1_900},
        })
    }

    fn check(changes: Value, expected: Value) {
        check_kind(COMPLETED, with(&session(), changes), expected);
    }

    fn refused(changes: Value, expected: &str) {
        check_refused(COMPLETED, with(&session(), changes), expected);
    }

    #[test]
    fn a_session_is_read_whole() {
        let read = as_json(&reading(COMPLETED, &session()));
        let expected = json!([{
            "kind": "session", "session": "cs_1", "mode": "payment", "payment_status": "paid", "amount": 11_900,
            "tax": 1_900, "currency": "EUR", "payment_intent": "pi_1", "invoice": null, "subscription": null,
            "customer": null, "email": hash_email("Ann@example.com"), "hints": {},
        }]);
        assert_eq!(read, expected);
    }

    #[test]
    fn a_delayed_payment_that_succeeded_is_read_like_a_completed_session() {
        check_kind(
            "checkout.session.async_payment_succeeded",
            session(),
            json!({"kind": "session", "session": "cs_1", "payment_status": "paid"}),
        );
    }

    #[test]
    fn ids_stand_alone_or_in_the_object_they_name() {
        check(
            json!({"customer": {"id": "cus_1", "object": "customer", "deleted": true}, "payment_intent": {"id": "pi_2"},
                "invoice": {"id": "in_1"}, "subscription": {"id": "sub_1"}}),
            json!({"customer": "cus_1", "payment_intent": "pi_2", "invoice": "in_1", "subscription": "sub_1"}),
        );
        check(
            json!({"customer": {"object": "customer"}, "payment_intent": 7, "invoice": "", "subscription": ["sub_1"]}),
            json!({"customer": null, "payment_intent": null, "invoice": null, "subscription": null}),
        );
        check(json!({"customer": "c".repeat(256)}), json!({"customer": null}));
    }

    #[test]
    fn words_that_did_not_exist_yet_are_read_as_other() {
        check(
            json!({"mode": "barter", "payment_status": "promised"}),
            json!({"mode": "other", "payment_status": "other"}),
        );
        check(json!({"mode": null}), json!({"mode": "other"}));
        check(json!({"mode": "subscription"}), json!({"mode": "subscription"}));
        check(json!({"payment_status": "unpaid"}), json!({"payment_status": "unpaid"}));
    }

    #[test]
    fn a_session_without_money_needs_neither_amount_nor_currency() {
        check(
            json!({"payment_status": "no_payment_required", "amount_total": 0}),
            json!({"payment_status": "no_payment_required", "amount": 0, "currency": "EUR"}),
        );
        check(
            json!({"payment_status": "unpaid", "amount_total": null, "currency": null, "total_details": null}),
            json!({"amount": 0, "currency": null, "tax": null}),
        );
    }

    #[test]
    fn money_is_an_integer_that_survives_a_double() {
        let greatest = domain::money::AMOUNT_MAX;
        check(json!({"amount_total": greatest}), json!({"amount": greatest}));
        check(json!({"amount_total": "2000"}), json!({"amount": 2000}));
        check(json!({"amount_total": "2000.00"}), json!({"amount": 2000}));
        let no_amount = "`amount_total` is no integer from 0 to 9007199254740991";
        for wrong in [
            json!(greatest + 1),
            json!(u64::MAX),
            json!(-1),
            json!(20.5),
            json!(2000.0),
            json!(true),
            json!([]),
            json!({}),
            json!(""),
            json!("20.5"),
            json!("20."),
            json!(".0"),
            json!("-1"),
            json!("+1"),
            json!("1e3"),
            json!(" 1"),
            json!("99999999999999999999"),
        ] {
            refused(json!({"amount_total": wrong}), no_amount);
        }
        refused(
            json!({"total_details": {"amount_tax": -1}}),
            "`total_details.amount_tax` is no integer from 0 to 9007199254740991",
        );
    }

    #[test]
    fn what_a_sale_cannot_do_without_is_named() {
        check_refused(COMPLETED, without(&session(), "id"), "the object has no `id`");
        refused(json!({"id": 7}), "the object has no `id`");
        refused(json!({"id": "c".repeat(256)}), "the object has no `id`");
        check_refused(COMPLETED, without(&session(), "amount_total"), "the object has no `amount_total`");
        check_refused(COMPLETED, without(&session(), "currency"), "the object has no `currency`");
        refused(json!({"currency": "usdc"}), "`currency` is no currency code of ISO 4217");
        refused(json!({"object": "charge"}), "`object` names another kind of object than the event's type");
        check_refused(COMPLETED, json!({}), "the object has no `id`");
        check_kind(COMPLETED, without(&session(), "object"), json!({"session": "cs_1"}));
    }

    #[test]
    fn a_session_that_saves_a_card_is_ignored() {
        refused(json!({"mode": "setup"}), "the session only saved a payment method");
    }

    #[test]
    fn the_first_place_with_an_address_gives_the_email() {
        let hashed = |address: &str| json!({"email": hash_email(address)});
        check(json!({"customer_email": "longer@example.com"}), hashed("Ann@example.com"));
        check(
            json!({"customer_details": {"email": "none"}, "customer_email": "longer@example.com"}),
            hashed("longer@example.com"),
        );
        check(
            json!({"customer_details": null, "customer": {"id": "cus_1", "email": "expanded@example.com"}}),
            hashed("expanded@example.com"),
        );
        check(json!({"customer_details": null}), json!({"email": null}));
        check(json!({"customer_details": {"email": 7}}), json!({"email": null}));
    }

    #[test]
    fn nothing_of_the_person_stays_in_a_fact() {
        let read = as_json(&reading(COMPLETED, &session())).to_string();
        for personal in ["nn@example", "Ann Example", "1234"] {
            assert!(!read.contains(personal), "{read}");
        }
    }

    #[test]
    fn the_click_is_looked_for_in_three_places_in_order() {
        let other = |last: u8| format!("0190f3c1-5e5a-4c3e-9b1a-0123456789{last:02x}");
        check(
            json!({"client_reference_id": other(3), "metadata": {"tracClickId": other(2), "aff_click_id": other(1)}}),
            json!({"hints": {"clicks": [
                {"source": "aff_click_id", "click_id": other(1)},
                {"source": "trac_click_id", "click_id": other(2)},
                {"source": "client_reference_id", "click_id": other(3)},
            ]}}),
        );
        check(
            json!({"client_reference_id": CLICK.to_uppercase()}),
            json!({"hints": {"clicks": [{"source": "client_reference_id", "click_id": CLICK}]}}),
        );
        check(
            json!({"client_reference_id": CLICK, "metadata": {"aff_click_id": CLICK.to_uppercase()}}),
            json!({"hints": {"clicks": [{"source": "aff_click_id", "click_id": CLICK}]}}),
        );
        for no_uuid in ["", "order-17", &CLICK[1..], &CLICK.replace('-', ""), &CLICK.replace('a', "g"), "é"] {
            check(
                json!({"client_reference_id": no_uuid, "metadata": {"aff_click_id": no_uuid, "tracClickId": null}}),
                json!({"hints": {}}),
            );
        }
        check(json!({"metadata": null}), json!({"hints": {}}));
        check(json!({"metadata": [{"aff_click_id": CLICK}]}), json!({"hints": {}}));
        check(json!({"metadata": {"aff_click_id": 7}}), json!({"hints": {}}));
    }

    #[test]
    fn promotion_codes_are_found_in_every_shape_without_repeats() {
        check(
            json!({"discounts": [
                {"coupon": null, "promotion_code": "promo_1"}, {"coupon": "c", "promotion_code": null},
                {"promotion_code": {"id": "promo_2", "code": "ANN10"}}, {"promotion_code": "promo_1"}]}),
            json!({"hints": {"promotion_codes": ["promo_1", "promo_2"]}}),
        );
        check(
            json!({"discounts": [{"promotion_code": "promo_1"}], "total_details": {"amount_tax": 0, "breakdown": {
                "discounts": [{"amount": 5, "discount": {"id": "di_1", "promotion_code": "promo_1"}},
                    {"discount": {"id": "di_2", "promotion_code": "promo_3"}}, {"discount": "di_3"},
                    {"discount": "di_3"}, {"discount": null}, 7]}}}),
            json!({"hints": {"promotion_codes": ["promo_1", "promo_3"], "discounts": ["di_3"]}}),
        );
        check(json!({"discounts": null}), json!({"hints": {}}));
        check(json!({"discounts": {}}), json!({"hints": {}}));
        check(json!({"discounts": "promo_1"}), json!({"hints": {}}));
    }

    #[test]
    fn only_so_many_hints_are_kept() {
        let discounts: Vec<_> = (0..500).map(|n| json!({"promotion_code": format!("promo_{n}")})).collect();
        let kept: Vec<_> = (0..hints::HINTS_MAX).map(|n| format!("promo_{n}")).collect();
        check(json!({"discounts": discounts}), json!({"hints": {"promotion_codes": kept}}));
    }

    #[test]
    fn the_merchants_own_id_of_the_customer_is_kept() {
        let of = |id: Value| json!({"metadata": {"tracCustomerExternalId": id}});
        check(of(json!("user 17")), json!({"hints": {"customer_external_id": "user 17"}}));
        check(of(json!("ü".repeat(255))), json!({"hints": {"customer_external_id": "ü".repeat(255)}}));
        check(of(json!("u".repeat(256))), json!({"hints": {}}));
        check(of(json!(" ")), json!({"hints": {}}));
    }

    #[test]
    fn money_is_opted_out_by_the_session_or_what_hangs_on_it() {
        let no = json!({"selgeo": "false"});
        for changes in [
            json!({"metadata": no}),
            json!({"metadata": {"selgeo": "False"}}),
            json!({"customer": {"id": "cus_1", "metadata": no}}),
            json!({"subscription": {"id": "sub_1", "metadata": no}}),
            json!({"invoice": {"id": "in_1", "metadata": no}}),
        ] {
            check(changes, json!({"hints": {"opted_out": true}}));
        }
        for changes in [
            json!({"metadata": {"selgeo": "true"}}),
            json!({"metadata": {"selgeo": ""}}),
            json!({"metadata": {"selgeo": false}}),
        ] {
            check(changes, json!({"hints": {}}));
        }
    }
}
