//! Questions from the merchant's side, by requests. Asking is tested beside the portal.

use serde_json::{Value as Json, json};

use crate::testing::World;
use crate::testing::shop::shop;

const NOTHING: Json = Json::Null;

/// A question as the portal writes it.
fn asked(world: &World, participant_id: &str, transaction: Option<&str>) -> String {
    let id = format!("qst_{:0>26}", world.db.count("SELECT count(*) FROM questions"));
    let transaction = transaction.map_or("NULL".to_owned(), |text| format!("'{text}'"));
    let sql = format!(
        "INSERT INTO questions (id, workspace_id, mode, program_id, participant_id, external_transaction_id, text, status, \
         created_at) SELECT '{id}', workspace_id, mode, program_id, id, {transaction}, 'Why?', 'open', created_at \
         FROM participants WHERE id = '{participant_id}'"
    );
    assert_eq!(world.db.execute(&sql).unwrap(), 1);
    id
}

#[test]
fn a_question_is_read_beside_the_decision_and_answered_once() {
    let shop = shop();
    let world = &shop.world;
    let participant = &shop.program.participant_id;
    let sale = json!({"click_id": shop.click_id, "external_transaction_id": "T1", "event_type": "purchase",
        "amount_cents": 1000, "currency": "EUR"});
    let sold = world.api("POST /api/v1/conversions", sale);
    assert_eq!(sold.status, 201);
    let known = asked(world, participant, Some("T1"));
    let unknown = asked(world, participant, Some("T2"));
    let vague = asked(world, participant, None);

    let read = |id: &str| world.api(&format!("GET /api/v1/questions/{id}"), NOTHING);
    let beside = read(&known).body["conversions"][0].clone();
    assert_eq!((&beside["id"], &beside["decision"]["reason"]), (&sold.body["id"], &json!("attributed_click")));
    for id in [&unknown, &vague] {
        assert_eq!(read(id).body["conversions"], json!([]));
    }
    let answer = |id: &str, body: Json| world.api(&format!("POST /api/v1/questions/{id}/answer"), body);
    for body in [json!({}), json!({"text": ""}), json!({"text": "x".repeat(2_001)})] {
        assert_eq!(answer(&known, body).summary(), "400 VALIDATION_ERROR");
    }
    let answered = answer(&known, json!({"text": "It was."}));
    assert_eq!((answered.text("/status").as_str(), answered.text("/answer").as_str()), ("answered", "It was."));
    assert_eq!(answer(&known, json!({"text": "Or not."})).summary(), "409 CONFLICT");
    assert_eq!(read(&known).text("/answer"), "It was.");
    let told = "SELECT count(*) FROM notices WHERE kind = 'answered'";
    assert_eq!(world.db.count(told), 1);

    let list = |query: &str| {
        let listed = world.api(&format!("GET /api/v1/questions?{query}"), NOTHING);
        listed.body["data"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((list(""), list("status=open"), list("status=answered")), (3, 2, 1));
    assert_eq!(list(&format!("participant_id={participant}&program_id={}", shop.program.program_id)), 3);
    assert_eq!(list("participant_id=ppt_x"), 0);
    // Another workspace's, and the other mode's, are not there.
    let other = world.workspace("Other");
    for key in [&other.sk_test, &world.keys.sk_live] {
        assert_eq!(world.api_as(key, &format!("GET /api/v1/questions/{known}"), NOTHING).summary(), "404 NOT_FOUND");
        let line = format!("POST /api/v1/questions/{unknown}/answer");
        assert_eq!(world.api_as(key, &line, json!({"text": "x"})).summary(), "404 NOT_FOUND");
    }
}
