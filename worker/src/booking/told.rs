//! What a partner is told of a commission that changes after it was earned.

use serde_json::{Value as Json, json};

use crate::testing::shop::{Shop, shop};
use crate::testing::{Visitor, invoice_paid, refund, session_completed};

/// The reasons of what is told, oldest first.
fn reasons(shop: &Shop) -> Vec<String> {
    let told = shop.data("events?type=commission.refunded");
    let mut told: Vec<(&Json, String)> = told
        .iter()
        .map(|event| (&event["sequence"], format!("{} {}", event["data"]["reason"], event["data"]["amount_cents"])))
        .collect();
    told.sort_by_key(|(sequence, _)| sequence.as_i64());
    told.into_iter().map(|(_, reason)| reason.replace('"', "")).collect()
}

#[track_caller]
fn check(page: &str, sentences: &[&str]) {
    for sentence in sentences {
        assert!(page.contains(sentence), "{sentence} is not in {page}");
    }
}

#[test]
fn a_refund_that_fails_is_told_as_money_that_stayed() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&session_completed("1", s, shop.hint()));
    shop.take(&refund("1", "1", s + 1, 4_000, "pending"));
    shop.world.pass_ms(1_000);
    shop.take(&refund("1", "1", s + 2, 4_000, "failed"));
    assert_eq!(shop.books(), "stripe 10000 attributed_click; 2000 approved [earned 2000, refunded -800, refunded 800]");
    assert_eq!(reasons(&shop), ["refunded 1200", "restored 2000"]);
    let anna = Visitor::signed_in(&shop.world, "anna@partner.test");
    let restored = "the money did not go back to the buyer after all";
    let notices = anna.get("/partner/notices").raw;
    check(&notices, &["is now 12.00 EUR: money went back to the buyer.", &format!("is now 20.00 EUR: {restored}.")]);
    let commission = shop.data("commissions")[0]["id"].as_str().unwrap().to_owned();
    let story = anna.get(&format!("/partner/commissions/{commission}")).raw;
    check(&story, &["8.00 EUR: money went back to the buyer.", &format!("8.00 EUR: {restored}.")]);
    assert_eq!(story.matches("money went back").count(), 2, "in the story and in the table: {story}");
}

#[test]
fn who_loses_a_sale_to_another_is_told() {
    let shop = shop();
    let world = &shop.world;
    let ben = world.make(&world.keys.sk_test, "partners", json!({"name": "Ben", "email": "ben@partner.test"}));
    let body = json!({"program_id": shop.program.program_id, "partner_id": ben, "status": "approved"});
    let ben = world.make(&world.keys.sk_test, "participants", body);
    let more =
        json!({"client_reference_id": shop.click_id, "discounts": [{"promotion_code": "promo_1", "coupon": null}]});
    shop.take(&session_completed("1", shop.now_s(), more));
    world.pass_ms(1_000);
    let code = json!({"participant_id": ben, "code": "BEN", "stripe_promotion_code_id": "promo_1"});
    world.make(&world.keys.sk_test, "promo-codes", code);
    world.sweep();
    assert_eq!(reasons(&shop), ["reattributed 0"], "{}", shop.books());
    let anna = Visitor::signed_in(world, "anna@partner.test");
    check(&anna.get("/partner/notices").raw, &["A commission was taken back: the sale is credited otherwise now."]);
    check(&anna.get("/partner/commissions").raw, &["The sale is credited otherwise now."]);
    let ben = Visitor::signed_in(world, "ben@partner.test");
    check(&ben.get("/partner/notices").raw, &["A sale earned you 20.00 EUR."]);
}

#[test]
fn a_correction_is_told_where_it_takes_something() {
    for (paid, expected) in [(9_000, &["corrected 1800"][..]), (11_900, &[])] {
        let shop = shop();
        shop.take(&shop.subscription_session(Some("in_1")));
        shop.world.pass_ms(1_000);
        shop.take(&invoice_paid("1", shop.now_s(), false, json!({"amount_paid": paid})));
        assert_eq!(reasons(&shop), expected, "{paid}: {}", shop.books());
        let anna = Visitor::signed_in(&shop.world, "anna@partner.test");
        let told = "A commission is now 18.00 EUR: the sale\u{2019}s amount was corrected.";
        assert_eq!(anna.get("/partner/notices").raw.contains(told), !expected.is_empty());
    }
}
