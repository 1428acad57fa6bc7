//! What partners are told, from its cause to the letter.

use std::sync::atomic::Ordering;

use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use serde_json::{Value as Json, json};

use crate::testing::{NextWrite, Program, World};

const EMAIL: &str = "anna@partner.test";

struct Scene {
    world: World,
    key: String,
    program: Program,
    click_id: String,
}

/// A partner with a click, in live mode; commissions are held for a day.
fn live() -> Scene {
    in_mode(true)
}

fn in_mode(live: bool) -> Scene {
    let world = World::new();
    let (key, pk) = match live {
        true => (world.keys.sk_live.clone(), world.keys.pk_live.clone()),
        false => (world.keys.sk_test.clone(), world.keys.pk_test.clone()),
    };
    let rewards = json!([{"trigger": "sale", "percent_bps": 2000, "hold_days": 1}]);
    let program = world.program_with(&key, "anna", json!({"rewards": rewards}));
    let click_id = world.click(&pk, "anna");
    world.pass_ms(MINUTE_MS);
    Scene { world, key, program, click_id }
}

impl Scene {
    fn sell(&self, transaction: &str) -> String {
        let sale = json!({"click_id": self.click_id, "external_transaction_id": transaction, "event_type": "purchase",
            "amount_cents": 10_000, "currency": "EUR"});
        let sold = self.world.api_as(&self.key, "POST /api/v1/conversions", sale);
        assert_eq!(sold.status, 201, "{}", sold.raw);
        self.world.deliver();
        sold.text("/id")
    }

    fn refund(&self, conversion: &str, amount_cents: i64) {
        let body = json!({"amount_cents": amount_cents, "external_refund_id": format!("r{amount_cents}")});
        let answer = self.world.api_as(&self.key, &format!("POST /api/v1/conversions/{conversion}/refunds"), body);
        assert_eq!(answer.status, 201, "{}", answer.raw);
        self.world.deliver();
    }

    /// What a sweep sends, an hour later: what came within an hour is one letter.
    fn letters(&self) -> Vec<String> {
        self.world.pass_ms(HOUR_MS);
        self.letters_now()
    }

    fn letters_now(&self) -> Vec<String> {
        self.world.sweep();
        let sent = std::mem::take(&mut *self.world.mail.sent.lock().unwrap());
        assert!(sent.iter().all(|letter| letter.to == EMAIL));
        let told = |text: &str| text.lines().filter(|line| line.starts_with("- ")).collect::<Vec<_>>().join("\n");
        sent.iter().map(|letter| told(&letter.text)).collect()
    }

    fn kinds(&self) -> String {
        self.world.db.text("SELECT group_concat(kind, ' ') FROM (SELECT kind FROM notices ORDER BY id)")
    }
}

#[test]
fn a_partner_is_told_of_what_is_earned_approved_taken_back_and_paid() {
    let scene = live();
    assert_eq!(scene.letters(), ["- Friends: You are in: your links earn from now on."]);
    let conversion = scene.sell("T1");
    assert_eq!(scene.letters(), ["- Friends: A sale earned you 20.00 EUR."]);
    scene.refund(&conversion, 4_000);
    assert_eq!(scene.letters(), ["- Friends: A commission is now 12.00 EUR: money went back to the buyer."]);
    scene.world.pass_ms(DAY_MS);
    scene.world.sweep();
    assert_eq!(scene.letters(), ["- Friends: Your commission of 12.00 EUR is approved."]);
    let body = json!({"participant_id": scene.program.participant_id, "currency": "EUR"});
    let drafts = scene.world.api_as(&scene.key, "POST /api/v1/payouts", body);
    assert_eq!(drafts.status, 201, "{}", drafts.raw);
    let id = drafts.text("/id");
    assert_eq!(scene.world.api_as(&scene.key, &format!("POST /api/v1/payouts/{id}/pay"), json!({})).status, 200);
    assert_eq!(scene.letters(), ["- Friends: 12.00 EUR was paid out to you."]);
    let second = scene.sell("T2");
    scene.world.pass_ms(1);
    let commission = scene.world.api_as(&scene.key, "GET /api/v1/commissions?state=pending", Json::Null);
    let reject = format!("POST /api/v1/commissions/{}/reject", commission.text("/data/0/id"));
    let rejected = scene.world.api_as(&scene.key, &reject, json!({"reason": "own\npurchase"}));
    assert_eq!(rejected.status, 200, "{}", rejected.raw);
    let told = scene.letters();
    assert_eq!(
        told,
        [
            "- Friends: A sale earned you 20.00 EUR.\n- Friends: Your commission of 20.00 EUR was turned down: own purchase"
        ]
    );
    assert_eq!(scene.kinds(), "joined earned reversed approved paid earned rejected");
    assert!(!second.is_empty());
}

#[test]
fn in_test_mode_the_same_is_noticed_and_nothing_is_mailed() {
    let scene = in_mode(false);
    scene.sell("T1");
    assert!(scene.letters().is_empty());
    assert_eq!(scene.kinds(), "joined earned");
    assert_eq!(scene.world.db.count("SELECT count(*) FROM notices WHERE mail_due_at IS NOT NULL"), 0);
    // And a wipe takes it.
    for done in [false, true] {
        let wiped = scene.world.api_as(&scene.key, "POST /api/v1/workspace/wipe-test-data", json!({}));
        assert_eq!(wiped.body["done"], done, "{}", wiped.raw);
    }
    for table in ["notices", "click_totals"] {
        assert_eq!(scene.world.db.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[test]
fn what_came_within_an_hour_is_one_letter_and_a_long_one_says_how_many_more() {
    let scene = live();
    assert_eq!(scene.letters().len(), 1);
    for n in 0..23 {
        scene.sell(&format!("T{n}"));
    }
    scene.world.pass_ms(MINUTE_MS);
    assert!(scene.letters_now().is_empty());
    let told = scene.letters();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].lines().count(), 21);
    assert!(told[0].ends_with("- and 3 more"), "{}", told[0]);
    assert!(scene.letters().is_empty());
}

#[test]
fn what_a_partner_switched_off_is_not_mailed_and_stays_a_notice() {
    let scene = live();
    scene.letters();
    scene.world.db.execute(r#"UPDATE partners SET unmailed = '["earned","reversed"]'"#).unwrap();
    let conversion = scene.sell("T1");
    scene.refund(&conversion, 10_000);
    assert!(scene.letters().is_empty());
    assert_eq!(scene.kinds(), "joined earned reversed");
    scene.world.db.execute("UPDATE partners SET unmailed = '[]'").unwrap();
    assert!(scene.letters().is_empty());
}

#[test]
fn each_notice_is_in_one_letter_whatever_write_is_lost_and_survives_a_provider_that_is_down() {
    for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
        let scene = live();
        scene.world.db.next_write(fate);
        // The first write of this sweep is the letter's.
        let mut told = scene.letters();
        told.extend(scene.letters());
        assert_eq!(told.len(), 1, "{fate:?}");
        scene.world.mail.refuses.store(true, Ordering::SeqCst);
        scene.sell("T1");
        assert!(scene.letters().is_empty());
        scene.world.mail.refuses.store(false, Ordering::SeqCst);
        assert_eq!(scene.letters(), ["- Friends: A sale earned you 20.00 EUR."]);
        assert!(scene.letters().is_empty());
    }
}
