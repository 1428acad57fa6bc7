//! What a booking costs, and that what it saves in reading changes nothing of what it sees.

use domain::ids::WorkspaceId;
use domain::mode::Mode;
use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};

use crate::store::Scope;
use crate::store::events::{self, Event};
use crate::testing::World;

const REPORT: &str = "POST /api/v1/conversions";

fn report(world: &World, transaction: &str, click_id: &str) {
    let sale = json!({"external_transaction_id": transaction, "click_id": click_id, "event_type": "purchase",
        "amount_cents": 10_000, "currency": "EUR"});
    assert_eq!(world.api(REPORT, sale).status, 201);
}

#[test]
fn a_report_is_eleven_statements_however_much_its_participant_sold_and_whatever_was_clicked() {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    let click_id = world.click(&world.keys.pk_test, "anna");
    world.pass_ms(MINUTE_MS);
    for n in 0..60 {
        world.come_from(&format!("203.0.113.{n}"));
        world.click(&world.keys.pk_test, "anna");
        if n % 10 == 0 {
            world.deliver();
        }
        report(&world, &format!("txn_{n}"), &click_id);
        world.db.statements();
        report(&world, &format!("again_{n}"), &click_id);
        // Two load. Nine write: the family, its key, the fact, the conversion, the decision, the click, commission, entry and what is told.
        assert_eq!(world.db.statements(), 2 + 9);
    }
}

/// What the newest decision saw of clicks from one address, and what the packs' records come to, one by one.
fn burst(world: &World, click_id: &str) -> (Json, i64) {
    let inputs = world.db.text("SELECT inputs FROM decisions ORDER BY rowid DESC LIMIT 1");
    let inputs: Json = serde_json::from_str(&inputs).unwrap();
    let counted = world.db.count(&format!(
        "SELECT COUNT(*) FROM packed_clicks o JOIN packed_clicks c ON c.click_id = '{click_id}' AND o.address_hash = c.address_hash \
         AND o.clicked_at BETWEEN c.clicked_at - 3600000 AND c.clicked_at"
    ));
    (inputs["surroundings"]["bursts"].clone(), counted)
}

#[test]
fn clicks_of_an_address_are_counted_as_if_each_record_was_looked_at() {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    // What could be taken for the end of a record, or the beginning of one.
    let urls = [
        r#"https://shop.example/?a=],["b"#,
        r#"https://shop.example/?a=\"],[\"b"#,
        "https://shop.example/?é=ü",
        // A string that ends so ends as a record does.
        "https://shop.example/?a=],[",
        "https://shop.example/?a=],[],[",
    ];
    let mut made: Vec<String> = Vec::new();
    for n in 0..90_usize {
        world.come_from(&format!("203.0.113.{}", n * n % 7));
        let url = urls[n % urls.len()];
        let before = match made.last() {
            Some(_) if n % 3 == 0 => "https://blog.example/?a=],[".to_owned(),
            Some(id) => format!("https://blog.example/?a=[\"{id}\","),
            None => url.to_owned(),
        };
        let click = json!({"merchant": world.keys.pk_test, "ref": "anna", "url": url, "referrer": before});
        let request_id = if n % 2 == 0 { "],[" } else { "a-request" };
        made.push(world.send("POST /v1/clicks", &[("x-request-id", request_id)], click).text("/click_id"));
        world.pass_ms(MINUTE_MS * i64::try_from(n % 4).unwrap());
        if n % 9 == 0 {
            world.deliver();
            // What is summed is not added to: so some packs are all of the hour before a click, and some in part.
            world.sum_clicks();
        }
    }
    world.deliver();
    assert!(world.db.count("SELECT count(*) FROM click_packs") > 10);
    for (n, click_id) in made.iter().enumerate() {
        report(&world, &format!("txn_{n}"), click_id);
        let (seen, counted) = burst(&world, click_id);
        assert_eq!(seen, json!([{"click_id": click_id, "clicks": counted}]), "click {n}");
        assert!(counted >= 1);
    }
}

#[test]
fn events_that_are_written_together_are_numbered_per_subject_without_a_gap() {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    let workspace = world.db.text("SELECT workspace_id FROM programs");
    let scope = Scope { workspace_id: WorkspaceId::parse(&workspace).unwrap(), mode: Mode::Test };
    let event = |n: usize| Event {
        id: world.app.fresh(world.now()),
        kind: "conversion.created",
        subject: format!("of {}", n % 3),
        data: json!({"n": n, "said": "\"],[\""}),
    };
    for _ in 0..2 {
        let many: Vec<Event> = (0..450).map(event).collect();
        let written = events::insert_all(&scope, &many, world.now()).unwrap();
        assert_eq!(written.len(), 3);
        pollster::block_on(world.app.db.batch(written)).unwrap();
    }
    let of_one = "FROM events WHERE subject = 'of 1'";
    assert_eq!(world.db.count(&format!("SELECT count(*) {of_one}")), 300);
    assert_eq!(world.db.count(&format!("SELECT max(sequence) {of_one}")), 300);
    assert_eq!(world.db.count(&format!("SELECT data ->> 'n' {of_one} AND sequence = 152")), 4, "in their order");
    assert_eq!(world.db.text(&format!("SELECT data {of_one} AND sequence = 1")), r#"{"n":1,"said":"\"],[\""}"#);
}
