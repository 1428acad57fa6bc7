use domain::time::DAY_MS;
use serde_json::json;

use crate::testing::World;

const NOTHING: serde_json::Value = serde_json::Value::Null;

fn sell(world: &World, transaction: &str, click_id: Option<&str>) {
    let mut sale = json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 5_000, "currency": "EUR"});
    match click_id {
        Some(click_id) => sale["click_id"] = json!(click_id),
        None => sale["promo_code"] = json!("NOBODYS"),
    }
    assert_eq!(world.api("POST /api/v1/conversions", sale).status, 201);
}

#[test]
fn totals_are_those_of_the_days_and_say_what_waits() {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    let nothing = world.api("GET /api/v1/workspace/totals", NOTHING);
    assert_eq!((nothing.status.as_u16(), &nothing.body["days"]), (200, &json!([])));
    let click_id = world.click(&world.keys.pk_test, "anna");
    world.deliver();
    sell(&world, "T1", Some(&click_id));
    world.pass_ms(DAY_MS);
    sell(&world, "T2", None);
    let told = world.api("GET /api/v1/workspace/totals?days=2", NOTHING).body;
    let (first, second) = (&told["days"][0], &told["days"][1]);
    assert_eq!(first["conversions"], json!({"credited": 1, "uncredited": 0}));
    assert_eq!(first["clicks"]["people"].as_i64().unwrap() + first["clicks"]["machines"].as_i64().unwrap(), 1);
    let earned = &first["commissions"][0];
    let sum = ["pending_cents", "approved_cents"].map(|name| earned[name].as_i64().unwrap()).iter().sum::<i64>();
    assert_eq!((&earned["currency"], sum), (&json!("EUR"), 1_000));
    assert_eq!(second["conversions"], json!({"credited": 0, "uncredited": 1}));
    assert_eq!((&first["day"], &told["to"]), (&told["from"], &second["day"]));
    assert_eq!(told["waiting"]["dead_letters"], 0);
    assert_eq!(world.api("GET /api/v1/workspace/totals?days=1", NOTHING).body["days"].as_array().unwrap().len(), 1);
    for wrong in ["0", "91", "-1", "x", "1.5"] {
        let refused = world.api(&format!("GET /api/v1/workspace/totals?days={wrong}"), NOTHING);
        assert_eq!(refused.summary(), "400 VALIDATION_ERROR", "{wrong}");
    }
    // The other mode's, and another workspace's, are their own.
    for key in [&world.keys.sk_live, &world.workspace("Other").sk_test] {
        assert_eq!(world.api_as(key, "GET /api/v1/workspace/totals", NOTHING).body["days"], json!([]));
    }
}

#[test]
fn the_checklist_says_what_is_missing_and_what_was_seen() {
    let world = World::new();
    let told = world.api("GET /api/v1/workspace/checklist", NOTHING).body;
    assert_eq!((&told["is_ready"], told["items"].as_array().unwrap().len()), (&json!(false), 8));
    assert_eq!(told["items"][2], json!({"topic": "rewards", "is_done": false, "missing": "no_reward", "evidence": []}));
    world.program(&world.keys.sk_live, "live");
    world.api_as(&world.keys.sk_live, "POST /api/v1/workspace/rewards-reviewed", json!({}));
    // About live mode, in whatever mode one asks.
    for key in [&world.keys.sk_test, &world.keys.sk_live] {
        let told = world.api_as(key, "GET /api/v1/workspace/checklist", NOTHING).body;
        assert_eq!(
            (&told["items"][1]["is_done"], &told["items"][2]["is_done"]),
            (&json!(true), &json!(true)),
            "{told}"
        );
        assert_eq!(told["items"][2]["evidence"][1]["kind"], "review");
        assert_eq!(told["items"][5]["missing"], "types");
        assert!(told["items"][5]["missing_types"].as_array().unwrap().contains(&json!("charge.refunded")));
    }
}

#[test]
fn a_search_finds_what_a_text_names_in_its_own_mode() {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "anna");
    let find = |key: &str, q: &str| {
        let found = world.api_as(key, &format!("GET /api/v1/workspace/search?q={q}"), NOTHING);
        assert_eq!(found.status, 200, "{}", found.raw);
        let hits = found.body["data"].as_array().unwrap().clone();
        hits.iter().map(|hit| (hit["resource"].as_str().unwrap().to_owned(), hit["id"].clone())).collect::<Vec<_>>()
    };
    let key = &world.keys.sk_test;
    assert_eq!(find(key, &program.link_id), [("links".to_owned(), json!(program.link_id))]);
    let named: Vec<String> = find(key, "Anna").into_iter().map(|(resource, _)| resource).collect();
    assert!(named.contains(&"partners".to_owned()), "{named:?}");
    for nothing in ["", "%20", "nobody", "%25"] {
        assert_eq!(find(key, nothing), [], "{nothing}");
    }
    assert_eq!(find(&world.keys.sk_live, &program.link_id), []);
    let long = "x".repeat(256);
    let refused = world.api(&format!("GET /api/v1/workspace/search?q={long}"), NOTHING);
    assert_eq!(refused.summary(), "400 VALIDATION_ERROR");
}
