//! Erasing a partner, by requests.

use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use serde_json::{Value as Json, json};

use crate::partner_side::payee::{self, Payee, Way};
use crate::store::{Scope, erasure};
use crate::testing::shop::{Shop, shop};
use crate::testing::{OPERATOR_TOKEN, ORIGIN, Visitor, World};

const NOTHING: Json = Json::Null;
const EMAIL: &str = "anna@partner.test";

fn partner_id(world: &World) -> String {
    world.db.text("SELECT id FROM partners")
}

/// A shop whose partner has said how to be paid, with a sale.
fn told() -> Shop {
    let shop = shop();
    let world = &shop.world;
    let scope = Scope {
        workspace_id: domain::ids::Id::parse(&world.db.text("SELECT id FROM workspaces")).unwrap(),
        mode: domain::mode::Mode::Test,
    };
    let payee = Payee {
        way: Some(Way { method: "Bank".to_owned(), details: "DE02 1203".to_owned() }),
        tax_id: Some("DE999".to_owned()),
    };
    let id = domain::ids::Id::parse(&partner_id(world)).unwrap();
    let set = payee::set(&world.app, &scope, &id, &payee).unwrap();
    pollster::block_on(world.app.db.batch(vec![set])).unwrap();
    let sale = json!({"click_id": shop.click_id, "external_transaction_id": "T1", "event_type": "purchase",
        "amount_cents": 1000, "currency": "EUR"});
    assert_eq!(world.api("POST /api/v1/conversions", sale).status, 201);
    world.deliver();
    shop
}

#[test]
fn payout_details_lie_sealed_and_are_read_by_who_pays_and_not_by_a_viewer() {
    let world = World::new();
    let (workspace, link) = world.owned_workspace("Shop", "owner@shop.test");
    let owner = Visitor::new(&world);
    assert_eq!(owner.post(&link, "").status, 303);
    let add = json!({"email": "viewer@shop.test", "role": "viewer"});
    assert_eq!(owner.api(&workspace, "POST /api/v1/members", add).status, 201);
    let viewer = Visitor::signed_in(&world, "viewer@shop.test");
    let made = owner.api(&workspace, "POST /api/v1/partners", json!({"name": "Anna", "email": EMAIL}));
    let line = format!("GET /api/v1/partners/{}/payout-details", made.text("/id"));
    assert_eq!(owner.api(&workspace, &line, NOTHING).body["details"], NOTHING);
    assert_eq!(viewer.api(&workspace, &line, NOTHING).summary(), "403 FORBIDDEN");
    // Another workspace's key, and the other mode's.
    assert_eq!(world.api(&line, NOTHING).summary(), "404 NOT_FOUND");

    let shop = told();
    let world = &shop.world;
    let id = partner_id(world);
    let read = world.api(&format!("GET /api/v1/partners/{id}/payout-details"), NOTHING);
    assert_eq!(
        (read.text("/method"), read.text("/details"), read.text("/tax_id")),
        ("Bank".to_owned(), "DE02 1203".to_owned(), "DE999".to_owned())
    );
    assert!(!world.api(&format!("GET /api/v1/partners/{id}"), NOTHING).raw.contains("DE02"));
    let everything = world.directory.everything() + &world.db.everything();
    assert!(!everything.contains("DE02 1203") && !everything.contains("DE999"));
}

#[test]
fn who_they_were_is_gone_and_what_they_earned_stays() {
    let shop = told();
    let world = &shop.world;
    let signed_in = Visitor::signed_in(world, EMAIL);
    assert_eq!(signed_in.get("/partner").status, 200);
    let (books, id) = (shop.books(), partner_id(world));
    let erase = format!("POST /api/v1/partners/{id}/erase");
    let erased = world.api(&erase, NOTHING);
    assert_eq!(erased.summary(), "200", "{}", erased.raw);
    assert_eq!(erased.text("/name"), "Erased partner");
    let everything = world.directory.everything() + &world.db.everything();
    for trace in [EMAIL, "Anna", "anna@"] {
        assert!(!everything.contains(trace), "{trace}");
    }
    assert_eq!(world.directory.count("SELECT count(*) FROM people"), 0);
    assert_eq!(world.db.count("SELECT count(*) FROM partners WHERE payout_details IS NULL AND tax_id IS NULL"), 1);
    // The books are the same, and made again from their facts they are no others.
    assert_eq!(shop.books(), books);
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    let replayed = world.send("POST /operator/v1/replay", &[("authorization", &operator)], json!({}));
    assert_eq!(replayed.status, 200, "{}", replayed.raw);
    assert_eq!(replayed.body["differences"], json!([]), "{}", replayed.raw);

    // Their session is over, and no link comes.
    assert_eq!(signed_in.get("/partner").status, 303);
    assert_eq!(Visitor::new(world).asks_for_link(EMAIL), None);
    assert_eq!(Visitor::new(world).asks_for_link(&format!("{id}@erased.invalid")), None);
    // They earn no more, and nobody lets them in again; a second time changes nothing.
    let participant = format!("/api/v1/participants/{}", shop.program.participant_id);
    assert_eq!(world.api(&format!("GET {participant}"), NOTHING).text("/status"), "suspended");
    assert_eq!(world.api(&format!("POST {participant}/approve"), NOTHING).summary(), "409 CONFLICT");
    let rename = world.api(&format!("PATCH /api/v1/partners/{id}"), json!({"name": "Anna"}));
    assert_eq!(rename.summary(), "409 CONFLICT");
    assert_eq!(world.api(&erase, NOTHING).text("/erased_at"), erased.text("/erased_at"));
    assert_eq!(world.db.count("SELECT count(*) FROM acts WHERE kind = 'partner.erase'"), 1);
    world.pass_ms(HOUR_MS);
    world.sweep();
    // Somebody with the address is somebody new.
    world.make(&world.keys.sk_test, "partners", json!({"name": "Anna", "email": EMAIL}));
    assert_eq!(world.db.count("SELECT count(*) FROM partners"), 2);
}

#[test]
fn who_is_a_partner_elsewhere_or_a_member_stays_who_they_are_there() {
    let shop = told();
    let world = &shop.world;
    let other = world.workspace("Other");
    world.make(&other.sk_test, "partners", json!({"name": "Anna", "email": EMAIL}));
    let signed_in = Visitor::signed_in(world, EMAIL);
    let first = world.db.text("SELECT partner_id FROM participants");
    assert_eq!(world.api(&format!("POST /api/v1/partners/{first}/erase"), NOTHING).status, 200);
    let portal = signed_in.get("/partner");
    assert_eq!(portal.status, 200);
    assert!(portal.raw.contains("Other") && !portal.raw.contains("First"), "{}", portal.raw);
    // Another workspace erases nobody here.
    let line = format!("POST /api/v1/partners/{first}/erase");
    assert_eq!(world.api_as(&other.sk_test, &line, NOTHING).summary(), "404 NOT_FOUND");
}

#[test]
fn erasing_while_a_participant_is_changed_is_decided_again() {
    let shop = told();
    let world = &shop.world;
    let suspend: &'static str =
        Box::leak(format!("POST /api/v1/participants/{}/suspend", shop.program.participant_id).into_boxed_str());
    world.before_next_write(suspend, json!({}));
    let id = partner_id(world);
    assert_eq!(world.api(&format!("POST /api/v1/partners/{id}/erase"), NOTHING).summary(), "200");
    assert_eq!(world.db.count("SELECT count(*) FROM events WHERE type = 'participant.suspended'"), 1);
    world.pass_ms(DAY_MS + MINUTE_MS);
    world.sweep();
}

#[test]
fn of_joining_and_erasing_at_once_nobody_stays_in_a_program_who_is_erased() {
    let shop = told();
    let world = &shop.world;
    let id = partner_id(world);
    let erase: &'static str = Box::leak(format!("POST /api/v1/partners/{id}/erase").into_boxed_str());
    let in_some_program = "SELECT count(*) FROM participants WHERE status IN ('pending', 'approved')";
    let program = || {
        let program = json!({"name": "Second", "status": "active", "attribution_window_days": 30});
        world.make(&world.keys.sk_test, "programs", program)
    };
    let (second, third) = (program(), program());
    // Put in after the erasure was decided on: it is decided again, and stops them there too.
    let body = json!({"program_id": second, "partner_id": id, "status": "approved"});
    world.before_next_write("POST /api/v1/participants", body);
    assert_eq!(world.api(erase, NOTHING).summary(), "200");
    assert_eq!(world.db.count(in_some_program), 0);
    assert_eq!(world.db.count("SELECT count(*) FROM participants"), 2);
    // The other way round: erased after it was decided to put them in.
    let again = world.make(&world.keys.sk_test, "partners", json!({"name": "Anna", "email": EMAIL}));
    let erase: &'static str = Box::leak(format!("POST /api/v1/partners/{again}/erase").into_boxed_str());
    world.before_next_write(erase, json!({}));
    let late = json!({"program_id": third, "partner_id": again, "status": "approved"});
    assert_eq!(world.api("POST /api/v1/participants", late).summary(), "409 CONFLICT");
    assert_eq!(world.db.count(in_some_program), 0);
    assert_eq!(world.db.count("SELECT count(*) FROM participants"), 2);
}

#[test]
fn an_invite_to_an_older_address_of_theirs_is_erased_too() {
    let shop = told();
    let world = &shop.world;
    world.api(&format!("PATCH /api/v1/programs/{}", shop.program.program_id), json!({"status": "active"}));
    let invite = json!({"program_id": shop.program.program_id, "email": "ben@old.test", "name": "Benedikt"});
    let made = world.api("POST /api/v1/invites", invite);
    assert_eq!(made.status, 201, "{}", made.raw);
    let url = made.text("/url");
    let (path, token) = url.strip_prefix(ORIGIN).unwrap().split_once("?invite=").unwrap();
    let joined = Visitor::new(world).post(path, &format!("invite={token}&name=Ben&accept=yes"));
    assert_eq!(joined.status, 200, "{}", joined.raw);
    let id = world.db.text("SELECT id FROM partners WHERE email = 'ben@old.test'");
    let moved = world.api(&format!("PATCH /api/v1/partners/{id}"), json!({"email": "ben@new.test"}));
    assert_eq!(moved.status, 200, "{}", moved.raw);
    assert_eq!(world.api(&format!("POST /api/v1/partners/{id}/erase"), NOTHING).summary(), "200");
    let everything = world.directory.everything() + &world.db.everything();
    for trace in ["ben@", "Ben"] {
        assert!(!everything.contains(trace), "{trace}: {everything}");
    }
    assert_eq!(world.db.count("SELECT count(*) FROM invites WHERE status = 'accepted'"), 1);
}

#[test]
fn a_question_that_comes_while_they_are_erased_is_not_kept() {
    let shop = told();
    let world = &shop.world;
    let anna = Visitor::signed_in(world, EMAIL);
    let erase: &'static str = Box::leak(format!("POST /api/v1/partners/{}/erase", partner_id(world)).into_boxed_str());
    world.before_next_write(erase, json!({}));
    anna.post("/partner/questions", "reference=T1&day=2026-05-31&text=It+is+me%2C+Anna");
    assert_eq!(world.db.count("SELECT count(*) FROM partners WHERE erased_at IS NOT NULL"), 1);
    assert_eq!(world.db.count("SELECT count(*) FROM questions"), 0);
}

#[test]
fn erasing_looks_through_nobody_elses_rows() {
    let world = World::new();
    let scope = Scope { workspace_id: domain::ids::Id::least(world.now()), mode: domain::mode::Mode::Test };
    for statement in erasure::partner(&scope, &domain::ids::Id::least(world.now()), EMAIL, world.now()) {
        let plan = world.db.plan(statement.sql());
        for line in plan.lines().filter(|line| line.contains("SCAN") || line.contains("SEARCH")) {
            let is_narrow = ["partner_id=?", "participant_id=?", "email=?", "(id=?)", "INTEGER PRIMARY KEY"];
            assert!(is_narrow.iter().any(|narrow| line.contains(narrow)), "{}\n{plan}", statement.sql());
        }
    }
}
