//! What is paid, to whom, how much, and what no race can break.

use domain::ids::Id;
use domain::mode::Mode;
use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value as Json, json};

use crate::store::{Scope, payouts as table};
use crate::testing::{Answer, NextWrite, Program, World};

/// Live mode, with one participant who earns 20 %.
struct Books {
    world: World,
    anna: Program,
}

fn books_with(program: Json) -> Books {
    let world = World::new();
    let mut described = json!({"rewards": [{"trigger": "sale", "percent_bps": 2000}]});
    described.as_object_mut().unwrap().extend(program.as_object().unwrap().clone());
    let anna = world.program_with(&world.keys.sk_live, "anna", described);
    Books { world, anna }
}

fn books() -> Books {
    books_with(json!({}))
}

impl Books {
    fn api(&self, line: &str, body: Json) -> Answer {
        self.world.pass_ms(1_000);
        self.world.api_as(&self.world.keys.sk_live, line, body)
    }

    /// A sale in live mode by a link; the ids of its conversion and its commission.
    #[track_caller]
    fn sale_of(&self, link_ref: &str, transaction: &str, amount_cents: i64, currency: &str) -> (String, String) {
        let click_id = self.world.click(&self.world.keys.pk_live, link_ref);
        self.world.pass_ms(1_000);
        let made = self.api(
            "POST /api/v1/conversions",
            json!({"click_id": click_id, "external_transaction_id": transaction, "event_type": "purchase",
                "amount_cents": amount_cents, "currency": currency}),
        );
        assert_eq!(made.status, 201, "{}", made.body);
        (made.text("/id"), made.text("/commission_id"))
    }

    #[track_caller]
    fn sale(&self, transaction: &str, amount_cents: i64) -> (String, String) {
        self.sale_of("anna", transaction, amount_cents, "EUR")
    }

    #[track_caller]
    fn refund(&self, conversion: &str, refund: &str, amount_cents: i64) {
        let body = json!({"amount_cents": amount_cents, "external_refund_id": refund});
        let made = self.api(&format!("POST /api/v1/conversions/{conversion}/refunds"), body);
        assert_eq!(made.status, 201, "{}", made.body);
    }

    fn draft_in(&self, currency: &str) -> Answer {
        self.api("POST /api/v1/payouts", json!({"participant_id": self.anna.participant_id, "currency": currency}))
    }

    #[track_caller]
    fn drafted(&self) -> String {
        let made = self.draft_in("EUR");
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("/id")
    }

    fn act(&self, id: &str, verb: &str) -> Answer {
        self.api(&format!("POST /api/v1/payouts/{id}/{verb}"), json!(null))
    }

    #[track_caller]
    fn pay(&self, id: &str) -> Json {
        let paid = self.act(id, "pay");
        assert_eq!((paid.status.as_u16(), paid.text("/status").as_str()), (200, "paid"), "{}", paid.body);
        paid.body
    }

    fn data(&self, path: &str) -> Vec<Json> {
        let answer = self.api(&format!("GET /api/v1/{path}"), json!(null));
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        answer.body["data"].as_array().unwrap().clone()
    }

    /// Unsettled, drafted and paid of the participant, in a currency.
    fn balance(&self, currency: &str) -> (i64, i64, i64) {
        let all = self.data(&format!("payouts/balances?participant_id={}", self.anna.participant_id));
        let balances = all[0]["balances"].as_array().unwrap();
        let own = balances.iter().find(|balance| balance["currency"] == currency).unwrap();
        let cents = |name: &str| own[name].as_i64().unwrap();
        (cents("unsettled_cents"), cents("drafted_cents"), cents("paid_cents"))
    }

    fn state(&self, commission: &str) -> String {
        self.api(&format!("GET /api/v1/commissions/{commission}"), json!(null)).text("/state")
    }

    /// Settled and unsettled entries together are all entries; each is settled once; no payout is negative.
    #[track_caller]
    fn is_sound(&self) {
        let count = |sql: &str| self.world.db.count(sql);
        let settled = count(
            "SELECT COALESCE(SUM(e.amount_cents), 0) FROM payout_entries s JOIN entries e ON e.id = s.entry_id WHERE s.released = 0",
        );
        let payouts = count("SELECT COALESCE(SUM(amount_cents), 0) FROM payouts WHERE status <> 'canceled'");
        assert_eq!(settled, payouts);
        let unsettled: i64 = self
            .data("payouts/balances")
            .iter()
            .flat_map(|one| one["balances"].as_array().unwrap().clone())
            .map(|balance| balance["unsettled_cents"].as_i64().unwrap())
            .sum();
        // An entry that is in a payout or in an approved or paid commission.
        let all = count(
            "SELECT COALESCE(SUM(e.amount_cents), 0) FROM entries e JOIN commissions m ON m.id = e.commission_id \
             WHERE (m.state IN ('approved', 'paid') AND m.disputed = 0) OR EXISTS \
             (SELECT 1 FROM payout_entries s WHERE s.entry_id = e.id AND s.released = 0)",
        );
        assert_eq!(payouts + unsettled, all);
        assert_eq!(count("SELECT count(*) FROM payouts WHERE amount_cents <= 0"), 0);
        assert_eq!(self.world.totals_that_differ(), [""; 0]);
    }
}

#[test]
fn a_payout_settles_what_is_unsettled_and_paying_it_pays_its_commissions() {
    let books = books();
    let (_, first) = books.sale("t1", 10_000);
    let (_, second) = books.sale("t2", 5_000);
    assert_eq!(books.balance("EUR"), (3_000, 0, 0));
    let made = books.draft_in("eur");
    let id = made.text("/id");
    let shape = json!({
        "id": id, "mode": "live", "participant_id": books.anna.participant_id, "program_id": books.anna.program_id,
        "amount_cents": 3_000, "amount": "30.00", "currency": "EUR", "status": "draft", "entries": 2,
        "commission_ids": [first, second], "created_at": books.world.now().to_string(), "paid_at": null,
        "canceled_at": null,
    });
    assert_eq!((made.status.as_u16(), &made.body), (201, &shape));
    assert_eq!(books.api(&format!("GET /api/v1/payouts/{id}"), json!(null)).body, shape);
    assert_eq!(books.balance("EUR"), (0, 3_000, 0));
    let again = books.draft_in("EUR");
    assert_eq!(
        (again.summary().as_str(), again.text("/error/message").as_str()),
        ("409 CONFLICT", "There is nothing unsettled in EUR.")
    );
    assert_eq!(books.state(&first), "approved");
    let paid = books.pay(&id);
    assert_eq!(paid["paid_at"], books.world.now().to_string());
    assert_eq!((books.state(&first), books.state(&second)), ("paid".to_owned(), "paid".to_owned()));
    assert_eq!(books.balance("EUR"), (0, 0, 3_000));
    let told = |kind: &str| books.data(&format!("events?type={kind}"));
    assert_eq!(told("payout.created")[0]["data"], shape);
    assert_eq!((&told("payout.paid")[0]["data"], &told("payout.paid")[0]["sequence"]), (&paid, &json!(2)));
    let mut commissions: Vec<_> = told("commission.paid").iter().map(|event| event["subject"].clone()).collect();
    commissions.sort_by_key(ToString::to_string);
    assert_eq!(commissions, [json!(first), json!(second)]);
    assert_eq!(told("commission.paid")[0]["data"]["state"], "paid");
    assert!(told("commission.paid")[0]["sequence"].as_i64() > Some(1));
    assert_eq!(
        books.world.db.count(&format!("SELECT count(*) FROM acts WHERE kind = 'payout.pay' AND subject = '{id}'")),
        1
    );
    assert_eq!(books.act(&id, "pay").text("/error/message"), "A payout that is paid cannot be changed.");
    assert_eq!(books.act(&id, "cancel").summary(), "409 CONFLICT");
    assert_eq!(books.act(&id, "sing").summary(), "404 NOT_FOUND");
    books.is_sound();
}

#[test]
fn a_refund_of_what_was_paid_is_carried_and_the_next_payout_nets_it() {
    let books = books();
    let (conversion, commission) = books.sale("t1", 10_000);
    books.pay(&books.drafted());
    books.refund(&conversion, "r1", 10_000);
    assert_eq!((books.state(&commission), books.balance("EUR")), ("paid".to_owned(), (-2_000, 0, 2_000)));
    let carried = books.draft_in("EUR");
    assert_eq!(carried.summary(), "409 CONFLICT");
    assert_eq!(
        carried.text("/error/message"),
        "The balance is -20.00 EUR: a payout is never negative, so it is carried to the next one."
    );
    assert_eq!(books.api("POST /api/v1/payouts", json!({})).body, json!({"data": [], "left": 0}));
    books.sale("t2", 10_000);
    assert_eq!(books.draft_in("EUR").summary(), "409 CONFLICT");
    let (_, third) = books.sale("t3", 2_500);
    let paid = books.pay(&books.drafted());
    assert_eq!((&paid["amount_cents"], &paid["entries"]), (&json!(500), &json!(3)));
    assert_eq!((books.state(&third), books.balance("EUR")), ("paid".to_owned(), (0, 0, 2_500)));
    // A commission is told paid once, although two payouts settled entries of it.
    assert_eq!(books.data(&format!("events?type=commission.paid&subject={commission}")).len(), 1);
    books.is_sound();
}

#[test]
fn what_is_below_the_programs_minimum_is_carried_until_it_is_reached() {
    let books = books_with(json!({"minimum_payout_cents": 2_000}));
    books.sale("t1", 9_995);
    let carried = books.draft_in("EUR");
    assert_eq!(
        carried.text("/error/message"),
        "The balance of 19.99 EUR is below the program's minimum of 20.00; it is carried."
    );
    let balances = books.data("payouts/balances");
    let own = &balances[0]["balances"][0];
    assert_eq!((&own["status"], &own["minimum_payout_cents"]), (&json!("carried"), &json!(2_000)));
    assert_eq!(books.api("POST /api/v1/payouts", json!({})).body["data"], json!([]));
    books.sale("t2", 5);
    assert_eq!(books.data("payouts/balances")[0]["balances"][0]["status"], "due");
    assert_eq!(books.draft_in("EUR").body["amount_cents"], 2_000);
    books.is_sound();
}

#[test]
fn currencies_are_never_mixed_and_each_is_written_with_its_decimals() {
    let books = books();
    for (place, currency) in ["EUR", "JPY", "KWD"].iter().enumerate() {
        books.sale_of("anna", &format!("t{place}"), 10_005, currency);
    }
    let check = |currency: &str, amount: &str| {
        let made = books.draft_in(currency);
        assert_eq!((made.status.as_u16(), made.text("/amount").as_str()), (201, amount), "{}", made.body);
        assert_eq!((&made.body["amount_cents"], &made.body["entries"]), (&json!(2_001), &json!(1)));
    };
    check("JPY", "2001");
    let rest = books.api("POST /api/v1/payouts", json!({"program_id": books.anna.program_id})).body;
    let told: Vec<_> = rest["data"].as_array().unwrap().iter().map(|one| (&one["currency"], &one["amount"])).collect();
    assert_eq!(told, [(&json!("EUR"), &json!("20.01")), (&json!("KWD"), &json!("2.001"))]);
    assert_eq!(rest["left"], 0);
    let csv = books.api("GET /api/v1/payouts/csv?status=draft", json!(null));
    for cells in [",JPY,2001,2001,1,", ",EUR,20.01,2001,1,", ",KWD,2.001,2001,1,"] {
        assert!(csv.raw.contains(cells), "{}", csv.raw);
    }
    books.is_sound();
}

#[test]
fn a_partners_name_is_no_formula_and_a_file_has_a_line_for_each_payout_and_entry() {
    let books = books();
    books.world.db.execute("UPDATE partners SET name = '=HYPERLINK(\"http://evil.test\",\"x\"),y'").unwrap();
    let (conversion, commission) = books.sale("t1", 10_000);
    books.refund(&conversion, "r1", 2_500);
    let id = books.drafted();
    let csv = books.api("GET /api/v1/payouts/csv", json!(null));
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"payouts.csv\"");
    let lines: Vec<&str> = csv.raw.split("\r\n").collect();
    let (participant, program) = (&books.anna.participant_id, &books.anna.program_id);
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("payout_id,participant_id,program_id,partner_name,partner_email,status,"));
    let expected = format!(
        "{id},{participant},{program},\"'=HYPERLINK(\"\"http://evil.test\"\",\"\"x\"\"),y\",anna@partner.test,draft,EUR,15.00,1500,2,"
    );
    assert!(lines[1].starts_with(&expected), "{}", lines[1]);
    assert_eq!(books.api("GET /api/v1/payouts/csv?status=paid", json!(null)).raw.lines().count(), 1);
    let one = books.api(&format!("GET /api/v1/payouts/{id}/csv"), json!(null));
    assert_eq!(one.raw.lines().count(), 3);
    assert!(one.raw.contains(&format!(",{commission},{conversion},earned,EUR,20.00,2000,")), "{}", one.raw);
    assert!(one.raw.contains(&format!(",{commission},{conversion},refunded,EUR,-5.00,-500,")), "{}", one.raw);
    assert_eq!(books.api("GET /api/v1/payouts/csv?status=open", json!(null)).summary(), "400 VALIDATION_ERROR");
}

#[test]
fn test_mode_is_never_paid_out() {
    let world = World::new();
    let anna = world.program(&world.keys.sk_test, "anna");
    let click_id = world.click(&world.keys.pk_test, "anna");
    let sale = json!({"click_id": click_id, "external_transaction_id": "t", "event_type": "purchase",
        "amount_cents": 10_000, "currency": "EUR"});
    assert_eq!(world.api("POST /api/v1/conversions", sale).status, 201);
    for body in [json!({}), json!({"participant_id": anna.participant_id, "currency": "EUR"})] {
        let refused = world.api("POST /api/v1/payouts", body);
        assert_eq!(refused.summary(), "409 CONFLICT");
        assert!(refused.text("/error/message").starts_with("Test mode is never paid out"), "{}", refused.body);
    }
    let balances = world.api("GET /api/v1/payouts/balances", json!(null));
    let own = &balances.body["data"][0]["balances"][0];
    assert_eq!((&own["unsettled_cents"], &own["status"]), (&json!(2_000), &json!("carried")));
    let forged = world.db.execute(&format!(
        "INSERT INTO payouts (id, workspace_id, mode, participant_id, program_id, currency, amount_cents, status, created_at) \
         SELECT 'payout_x', workspace_id, 'test', '{}', 'p', 'EUR', 1, 'draft', 0 FROM participants",
        anna.participant_id
    ));
    assert!(forged.unwrap_err().contains("CHECK"));
}

#[test]
fn wrong_requests_are_told_so_and_other_workspaces_see_nothing() {
    let books = books();
    books.sale("t1", 10_000);
    let participant = &books.anna.participant_id;
    let check = |body: Json, expected: &str| {
        let answer = books.api("POST /api/v1/payouts", body.clone());
        assert_eq!(answer.summary(), expected, "{body} {}", answer.body);
    };
    check(json!({"participant_id": participant}), "400 VALIDATION_ERROR");
    check(json!({"currency": "EUR"}), "400 VALIDATION_ERROR");
    check(json!({"participant_id": participant, "currency": "ZZZ"}), "400 VALIDATION_ERROR");
    check(json!({"participant_id": "x", "currency": "EUR"}), "400 VALIDATION_ERROR");
    check(
        json!({"participant_id": participant, "currency": "EUR", "program_id": books.anna.program_id}),
        "400 VALIDATION_ERROR",
    );
    check(json!({"participant_id": "ppt_00000000000000000000000000", "currency": "EUR"}), "404 NOT_FOUND");
    check(json!({"program_id": "prog_00000000000000000000000000"}), "404 NOT_FOUND");
    check(json!({"participant_id": participant, "currency": "USD"}), "409 CONFLICT");
    let id = books.drafted();
    let other = books.world.workspace("Other");
    for key in [&other.sk_live, &books.world.keys.sk_test] {
        for line in [
            format!("GET /api/v1/payouts/{id}"),
            format!("GET /api/v1/payouts/{id}/csv"),
            format!("POST /api/v1/payouts/{id}/pay"),
            format!("POST /api/v1/payouts/{id}/cancel"),
        ] {
            assert_eq!(books.world.api_as(key, &line, json!(null)).summary(), "404 NOT_FOUND", "{line}");
        }
        let listed = books.world.api_as(key, "GET /api/v1/payouts", json!(null));
        assert_eq!(listed.body["data"], json!([]));
    }
    let of_other = books.world.api_as(
        &other.sk_live,
        "POST /api/v1/payouts",
        json!({"participant_id": participant, "currency": "EUR"}),
    );
    assert_eq!(of_other.summary(), "404 NOT_FOUND");
    assert_eq!(books.world.api_as(&other.sk_live, "POST /api/v1/payouts", json!({})).body["left"], 0);
    assert_eq!(books.data("payouts?status=draft").len(), 1);
    assert_eq!(books.data("payouts?status=paid").len(), 0);
    assert_eq!(books.data(&format!("payouts?participant_id={participant}")).len(), 1);
    assert_eq!(books.data("payouts?participant_id=else").len(), 0);
}

#[test]
fn what_is_pending_rejected_or_disputed_is_in_no_payout() {
    let books = books_with(json!({"rewards": [{"trigger": "sale", "percent_bps": 2000, "hold_days": 7}]}));
    let (_, first) = books.sale("t1", 10_000);
    let (_, second) = books.sale("t2", 5_000);
    assert_eq!(books.draft_in("EUR").text("/error/message"), "There is nothing unsettled in EUR.");
    books.world.pass_ms(8 * DAY_MS);
    books.world.sweep();
    books.world.db.execute(&format!("UPDATE commissions SET disputed = 1 WHERE id = '{first}'")).unwrap();
    let id = books.drafted();
    assert_eq!(books.balance("EUR"), (0, 1_000, 0));
    books.world.db.execute("UPDATE commissions SET disputed = 0").unwrap();
    assert_eq!(books.balance("EUR"), (2_000, 1_000, 0));
    books.world.db.execute(&format!("UPDATE commissions SET disputed = 1 WHERE id = '{second}'")).unwrap();
    let refused = books.act(&id, "pay");
    assert_eq!(refused.summary(), "409 CONFLICT");
    assert_eq!(
        refused.text("/error/message"),
        format!("The commission {second} is disputed by now; cancel this payout and make another without it.")
    );
    assert_eq!(books.act(&id, "cancel").text("/status"), "canceled");
    assert_eq!(books.balance("EUR"), (2_000, 0, 0));
    let reject = books.api(&format!("POST /api/v1/commissions/{first}/reject"), json!({"reason": "no"}));
    assert_eq!(reject.status, 200);
    assert_eq!(books.draft_in("EUR").summary(), "409 CONFLICT");
    books.is_sound();
}

#[test]
fn a_canceled_payout_frees_its_entries_and_stays_on_record() {
    let books = books();
    let (_, commission) = books.sale("t1", 10_000);
    let id = books.drafted();
    let canceled = books.api(&format!("POST /api/v1/payouts/{id}/cancel"), json!({"reason": "wrong account"}));
    assert_eq!(canceled.text("/canceled_at"), books.world.now().to_string());
    assert_eq!((&canceled.body["commission_ids"], &canceled.body["entries"]), (&json!([commission]), &json!(1)));
    assert_eq!(books.world.db.count("SELECT count(*) FROM acts WHERE reason = 'wrong account'"), 1);
    assert_eq!(books.act(&id, "pay").summary(), "409 CONFLICT");
    let second = books.drafted();
    books.pay(&second);
    assert_eq!(
        books.api(&format!("GET /api/v1/payouts/{id}"), json!(null)).body["commission_ids"],
        json!([commission])
    );
    for sql in [
        format!("UPDATE payout_entries SET released = 0 WHERE payout_id = '{id}'"),
        format!("UPDATE payout_entries SET released = 1 WHERE payout_id = '{second}'"),
        "DELETE FROM payout_entries".to_owned(),
        "DELETE FROM payouts".to_owned(),
        format!("UPDATE payouts SET status = 'draft' WHERE id = '{second}'"),
    ] {
        assert!(books.world.db.execute(&sql).is_err(), "{sql}");
    }
    books.is_sound();
}

#[test]
fn of_two_payouts_at_once_one_settles_the_entries() {
    let books = books();
    books.sale("t1", 10_000);
    let one = json!({"participant_id": books.anna.participant_id, "currency": "EUR"});
    let live = books.world.keys.sk_live.clone();
    books.world.before_next_write_as(&live, "POST /api/v1/payouts", one.clone());
    assert_eq!(books.draft_in("EUR").summary(), "409 CONFLICT");
    assert_eq!(books.data("payouts").len(), 1);
    let id = books.data("payouts")[0]["id"].as_str().unwrap().to_owned();
    books.act(&id, "cancel");
    books.world.before_next_write_as(&live, "POST /api/v1/payouts", one);
    let all = books.api("POST /api/v1/payouts", json!({}));
    assert_eq!((all.status.as_u16(), &all.body["data"]), (201, &json!([])));
    assert_eq!(books.data("payouts?status=draft").len(), 1);
    books.is_sound();
}

#[test]
fn whoever_is_erased_is_never_drafted() {
    let books = books();
    books.sale("t1", 10_000);
    let bea = books.world.program_with(
        &books.world.keys.sk_live,
        "bea",
        json!({"rewards": [{"trigger": "sale", "percent_bps": 1000}]}),
    );
    books.sale_of("bea", "t2", 10_000, "EUR");
    let partner = |participant: &str| {
        books.api(&format!("GET /api/v1/participants/{participant}"), json!(null)).text("/partner_id")
    };
    let erase = |participant: &str| format!("POST /api/v1/partners/{}/erase", partner(participant));
    assert_eq!(books.api(&erase(&books.anna.participant_id), json!(null)).status, 200);
    let refused = books.draft_in("EUR");
    assert_eq!(refused.summary(), "409 CONFLICT");
    assert!(refused.text("/error/message").starts_with("The partner is erased: "), "{}", refused.body);
    let balances = books.data("payouts/balances");
    let of = |participant: &str| {
        let own = balances.iter().find(|one| one["participant_id"] == participant).unwrap();
        own["balances"][0]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!([of(&books.anna.participant_id), of(&bea.participant_id)], ["carried", "due"]);
    // And whoever is erased while the draft is made.
    let live = books.world.keys.sk_live.clone();
    books.world.before_next_write_as(&live, &erase(&bea.participant_id), json!(null));
    let all = books.api("POST /api/v1/payouts", json!({}));
    assert_eq!((all.status.as_u16(), &all.body["data"]), (201, &json!([])), "{}", all.body);
    let all = books.api("POST /api/v1/payouts", json!({}));
    assert_eq!(all.body, json!({"data": [], "left": 0}));
    assert_eq!(books.world.db.count("SELECT count(*) FROM payouts"), 0);
    books.is_sound();
}

#[test]
fn an_entry_that_comes_between_is_looked_at_before_the_payout_is_written() {
    let books = books();
    let (conversion, _) = books.sale("t1", 10_000);
    let refund = format!("POST /api/v1/conversions/{conversion}/refunds");
    let live = books.world.keys.sk_live.clone();
    books.world.before_next_write_as(&live, &refund, json!({"amount_cents": 2_500, "external_refund_id": "r1"}));
    let made = books.draft_in("EUR");
    assert_eq!((&made.body["amount_cents"], &made.body["entries"]), (&json!(1_500), &json!(2)), "{}", made.body);
    assert_eq!(books.data("events?type=payout.created").len(), 1);
    books.is_sound();
}

#[test]
fn a_payout_is_paid_once_whoever_is_faster() {
    let books = books();
    let (_, commission) = books.sale("t1", 10_000);
    let id = books.drafted();
    let live = books.world.keys.sk_live.clone();
    books.world.before_next_write_as(&live, &format!("POST /api/v1/payouts/{id}/pay"), json!({}));
    assert_eq!(books.act(&id, "pay").text("/error/message"), "A payout that is paid cannot be changed.");
    assert_eq!(books.data("events?type=payout.paid").len(), 1);
    assert_eq!(books.data(&format!("events?type=commission.paid&subject={commission}")).len(), 1);
    assert_eq!(books.world.db.count("SELECT count(*) FROM acts WHERE kind = 'payout.pay'"), 1);
    books.sale("t2", 10_000);
    let id = books.drafted();
    books.world.before_next_write_as(&live, &format!("POST /api/v1/payouts/{id}/cancel"), json!({}));
    assert_eq!(books.act(&id, "pay").text("/error/message"), "A payout that is canceled cannot be changed.");
    books.is_sound();
}

#[test]
fn a_commission_disputed_rejected_or_refunded_between_draft_and_pay_stops_it() {
    let books = books();
    let (_, disputed) = books.sale("t1", 10_000);
    let id = books.drafted();
    let db = books.world.db.clone();
    let sql = format!("UPDATE commissions SET disputed = 1 WHERE id = '{disputed}'");
    books.world.db.before_next_write(move || {
        db.execute(&sql).unwrap();
    });
    let refused = books.act(&id, "pay");
    assert!(refused.text("/error/message").starts_with(&format!("The commission {disputed} is disputed")));
    books.world.db.execute("UPDATE commissions SET disputed = 0").unwrap();
    let live = books.world.keys.sk_live.clone();
    let reject = format!("POST /api/v1/commissions/{disputed}/reject");
    books.world.before_next_write_as(&live, &reject, json!({"reason": "no"}));
    assert!(
        books.act(&id, "pay").text("/error/message").starts_with(&format!("The commission {disputed} is rejected"))
    );
    books.act(&id, "cancel");
    let (conversion, refunded) = books.sale("t2", 10_000);
    let id = books.drafted();
    books.refund(&conversion, "r1", 10_000);
    assert!(
        books.act(&id, "pay").text("/error/message").starts_with(&format!("The commission {refunded} is reversed"))
    );
    books.act(&id, "cancel");
    assert_eq!(books.draft_in("EUR").summary(), "409 CONFLICT");
    assert_eq!(books.data("events?type=payout.paid").len(), 0);
}

#[test]
fn a_partial_refund_between_draft_and_pay_is_netted_by_the_next() {
    let books = books();
    let (conversion, commission) = books.sale("t1", 10_000);
    let id = books.drafted();
    books.refund(&conversion, "r1", 2_500);
    assert_eq!(books.balance("EUR"), (-500, 2_000, 0));
    books.sale("t2", 5_000);
    let second = books.drafted();
    // Both settle an entry of the first commission; it is told paid by the one that comes first.
    books.pay(&second);
    books.pay(&id);
    assert_eq!(books.balance("EUR"), (0, 0, 2_500));
    assert_eq!(books.data(&format!("events?type=commission.paid&subject={commission}")).len(), 1);
    books.is_sound();
}

#[test]
fn two_payouts_of_one_commission_paid_at_once_tell_of_it_once() {
    let books = books();
    let (conversion, commission) = books.sale("t1", 10_000);
    let id = books.drafted();
    books.refund(&conversion, "r1", 2_500);
    books.sale("t2", 5_000);
    let second = books.drafted();
    let live = books.world.keys.sk_live.clone();
    books.world.before_next_write_as(&live, &format!("POST /api/v1/payouts/{second}/pay"), json!({}));
    books.pay(&id);
    assert_eq!(books.data("events?type=payout.paid").len(), 2);
    assert_eq!(books.data(&format!("events?type=commission.paid&subject={commission}")).len(), 1);
    books.is_sound();
}

#[test]
fn a_payout_between_a_refunds_decision_and_its_write_is_not_overwritten() {
    let books = books();
    let (conversion, commission) = books.sale("t1", 10_000);
    let id = books.drafted();
    let live = books.world.keys.sk_live.clone();
    books.world.before_next_write_as(&live, &format!("POST /api/v1/payouts/{id}/pay"), json!({}));
    books.refund(&conversion, "r1", 10_000);
    assert_eq!((books.state(&commission), books.balance("EUR")), ("paid".to_owned(), (-2_000, 0, 2_000)));
    books.is_sound();
}

#[test]
fn a_write_that_is_lost_or_lands_unreported_settles_once() {
    let books = books();
    books.sale("t1", 10_000);
    let fate = |fate| books.world.db.next_write(fate);
    fate(NextWrite::IsLost);
    assert_eq!(books.draft_in("EUR").summary(), "503 UNAVAILABLE");
    assert_eq!(books.data("payouts").len(), 0);
    fate(NextWrite::LandsButReportsFailure);
    assert_eq!(books.draft_in("EUR").summary(), "503 UNAVAILABLE");
    assert_eq!(books.draft_in("EUR").summary(), "409 CONFLICT");
    let id = books.data("payouts")[0]["id"].as_str().unwrap().to_owned();
    fate(NextWrite::LandsButReportsFailure);
    assert_eq!(books.act(&id, "pay").summary(), "503 UNAVAILABLE");
    assert_eq!(books.act(&id, "pay").summary(), "409 CONFLICT");
    for (kind, expected) in [("payout.created", 1), ("payout.paid", 1), ("commission.paid", 1)] {
        assert_eq!(books.data(&format!("events?type={kind}")).len(), expected, "{kind}");
    }
    books.is_sound();
}

#[test]
fn drafts_for_everybody_are_bounded_and_say_how_many_are_left() {
    let books = books();
    books.sale("t1", 10_000);
    // 104 more, as rows: the paths would take a thousand requests.
    for number in 1..=104 {
        for sql in [
            format!(
                "INSERT INTO partners (id, workspace_id, mode, name, email, created_at) SELECT 'part_{number:026}', workspace_id, mode, name, 'p{number}', created_at FROM partners LIMIT 1"
            ),
            format!(
                "INSERT INTO participants (id, workspace_id, mode, program_id, partner_id, status, created_at) SELECT 'ppt_{number:026}', workspace_id, mode, program_id, 'part_{number:026}', status, created_at FROM participants WHERE id = '{}'",
                books.anna.participant_id
            ),
            format!(
                "INSERT INTO commissions (id, workspace_id, mode, conversion_id, participant_id, program_id, currency, state, needs_review, auto_approve, hold_until, reward_version, created_at) \
                SELECT 'com_{number:026}', workspace_id, mode, conversion_id, 'ppt_{number:026}', program_id, currency, state, needs_review, auto_approve, hold_until, reward_version, created_at \
                FROM commissions WHERE participant_id = '{}'",
                books.anna.participant_id
            ),
            format!(
                "INSERT INTO entries SELECT 'ent_{number:026}', workspace_id, mode, 'com_{number:026}', amount_cents, currency, kind, cause, created_at FROM entries LIMIT 1"
            ),
        ] {
            books.world.db.execute(&sql).unwrap();
        }
    }
    let call = || {
        let made = books.api("POST /api/v1/payouts", json!({}));
        assert_eq!(made.status, 201, "{}", made.body);
        (made.body["data"].as_array().unwrap().len(), made.body["left"].as_i64().unwrap())
    };
    assert_eq!(call(), (100, 5));
    assert_eq!(call(), (5, 0));
    assert_eq!(call(), (0, 0));
    assert_eq!(books.world.db.count("SELECT count(DISTINCT participant_id) FROM payouts"), 105);
    books.is_sound();
    let first = books.api("GET /api/v1/payouts?limit=100", json!(null));
    assert_eq!(books.data(&format!("payouts?limit=100&cursor={}", first.text("/next_cursor"))).len(), 5);
}

/// The next of a row of pseudo-random numbers (splitmix64), below `bound`.
fn draw(seed: &mut u64, bound: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % bound
}

#[test]
fn whatever_is_sold_refunded_drafted_paid_and_canceled_the_sums_agree() {
    for seed in 1..=6 {
        let books = books_with(json!({"minimum_payout_cents": 700}));
        let mut seed: u64 = seed;
        let mut sales: Vec<(String, i64)> = Vec::new();
        for step in 0..60 {
            books.world.pass_ms(MINUTE_MS / 2);
            match draw(&mut seed, 6) {
                0 | 1 => {
                    let amount = 1 + draw(&mut seed, 10_000) as i64;
                    let currency = ["EUR", "JPY", "KWD"][draw(&mut seed, 3) as usize];
                    let (conversion, _) = books.sale_of("anna", &format!("t{step}"), amount, currency);
                    sales.push((conversion, amount));
                }
                2 if !sales.is_empty() => {
                    let place = draw(&mut seed, sales.len() as u64) as usize;
                    let (conversion, rest) = &mut sales[place];
                    if *rest > 0 {
                        let amount = 1 + draw(&mut seed, *rest as u64) as i64;
                        *rest -= amount;
                        books.refund(&conversion.clone(), &format!("r{step}"), amount);
                    }
                }
                3 => {
                    books.api("POST /api/v1/payouts", json!({}));
                }
                4 | 5 => {
                    let drafts = books.data("payouts?status=draft");
                    if !drafts.is_empty() {
                        let place = draw(&mut seed, drafts.len() as u64) as usize;
                        let id = drafts[place]["id"].as_str().unwrap().to_owned();
                        let verb = if draw(&mut seed, 3) == 0 { "cancel" } else { "pay" };
                        let answer = books.act(&id, verb);
                        assert!(matches!(answer.status.as_u16(), 200 | 409), "{}", answer.body);
                    }
                }
                _ => {}
            }
            books.is_sound();
        }
        assert!(books.world.db.count("SELECT count(*) FROM payouts WHERE status = 'paid'") > 0);
        // The books of each commission agree with what the rules say by themselves: its state follows from its entries.
        let unpaid = "SELECT count(*) FROM commissions m WHERE m.state <> 'paid' AND EXISTS (SELECT 1 FROM payout_entries s \
                      JOIN entries e ON e.id = s.entry_id JOIN payouts o ON o.id = s.payout_id \
                      WHERE e.commission_id = m.id AND o.status = 'paid')";
        assert_eq!(books.world.db.count(unpaid), 0);
    }
}

#[test]
fn who_is_due_is_found_among_those_alone_to_whom_something_is_owed() {
    let world = World::new();
    let scope = Scope { workspace_id: Id::least(world.now()), mode: Mode::Live };
    for (program, narrow) in [(None, "(workspace_id=? AND mode=?)"), (Some("prog_x"), "AND program_id=?)")] {
        let plan = world.db.plan(table::due(&scope, program, 100).sql());
        let found = plan.lines().find(|line| line.starts_with("SEARCH b ")).unwrap();
        assert!(found.contains("balances_due") && found.ends_with(narrow), "{plan}");
    }
}
