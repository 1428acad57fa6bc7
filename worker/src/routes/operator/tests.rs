//! The operator's routes: who may, what is listed, and what a suspended workspace is.

use domain::time::{MINUTE_MS, SECOND_MS};
use serde_json::{Value as Json, json};

use crate::testing::{Answer, OPERATOR_EMAIL, OPERATOR_TOKEN, Visitor, World, session_completed};

fn operator(world: &World, line: &str, body: Json) -> Answer {
    world.send(line, &[("authorization", &format!("Bearer {OPERATOR_TOKEN}"))], body)
}

fn own(world: &World) -> String {
    world.api("GET /api/v1/workspace", json!(null)).text("/id")
}

fn click(world: &World) -> Answer {
    world.send("POST /v1/clicks", &[], json!({"merchant": world.keys.pk_test, "ref": "anna"}))
}

#[test]
fn workspaces_are_listed_read_and_changed_with_the_operators_token_alone() {
    let world = World::new();
    world.pass_ms(SECOND_MS);
    let (id, second) = (own(&world), world.workspace_in(1, "Second").0);
    for line in ["GET /operator/v1/workspaces".to_owned(), format!("PATCH /operator/v1/workspaces/{id}")] {
        for token in [world.keys.sk_live.as_str(), "x"] {
            let refused =
                world.send(&line, &[("authorization", &format!("Bearer {token}"))], json!({"suspended": true}));
            assert_eq!(refused.summary(), "401 INVALID_API_KEY");
        }
    }
    let page = operator(&world, "GET /operator/v1/workspaces?limit=1", json!(null));
    assert_eq!((page.text("/data/0/id"), page.body["data"][0]["database"].clone()), (second, json!(1)));
    let next = format!("GET /operator/v1/workspaces?limit=1&cursor={}", page.text("/next_cursor"));
    let page = operator(&world, &next, json!(null));
    assert_eq!(page.text("/data/0/id"), id);
    assert_eq!(page.body["next_cursor"], json!(null));
    assert_eq!(page.body["data"][0]["suspended_at"], json!(null));
    let line = format!("PATCH /operator/v1/workspaces/{id}");
    let changed = operator(&world, &line, json!({"limits": {"conversions_per_minute": 7}}));
    let limits = json!({"clicks_per_minute": 1000, "conversions_per_minute": 7, "other_per_minute": 300});
    assert_eq!((changed.status.as_u16(), &changed.body["limits"]), (200, &limits));
    // Its own row and the directory's copy are the same.
    assert_eq!(world.db.count(&format!("SELECT conversions_per_minute FROM workspaces WHERE id = '{id}'")), 7);
    assert_eq!(world.directory.count(&format!("SELECT conversions_per_minute FROM workspaces WHERE id = '{id}'")), 7);
    let check = |line: &str, body: Json, expected: &str| assert_eq!(operator(&world, line, body).summary(), expected);
    check(&line, json!({"limits": {"clicks_per_minute": 0}}), "400 VALIDATION_ERROR");
    check(&line, json!({"limits": 7}), "400 VALIDATION_ERROR");
    check(&line, json!({"suspended": "yes"}), "400 VALIDATION_ERROR");
    check("PATCH /operator/v1/workspaces/ws_nobody", json!({"suspended": true}), "404 NOT_FOUND");
    check("GET /operator/v1/workspaces/ws_nobody", json!(null), "404 NOT_FOUND");
    check("GET /operator/v1/workspaces?cursor=x", json!(null), "400 VALIDATION_ERROR");
    check(&line, json!({}), "200");
    let read = operator(&world, &format!("GET /operator/v1/workspaces/{id}"), json!(null));
    assert_eq!(read.body["limits"], limits);
}

#[test]
fn a_raised_limit_holds_within_a_minute() {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    let line = format!("PATCH /operator/v1/workspaces/{}", own(&world));
    operator(&world, &line, json!({"limits": {"clicks_per_minute": 3}}));
    world.pass_ms(MINUTE_MS);
    assert_eq!((0..9).filter(|_| click(&world).status == 201).count(), 3);
    operator(&world, &line, json!({"limits": {"clicks_per_minute": 1_000}}));
    world.pass_ms(MINUTE_MS);
    assert_eq!((0..9).filter(|_| click(&world).status == 201).count(), 9);
}

/// What a suspended workspace's callers are answered: within a minute everywhere, also where a key or a link is remembered.
#[test]
fn a_suspended_workspaces_keys_are_refused_and_a_resumed_ones_work_again_within_a_minute() {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "anna");
    world.program(&world.keys.sk_live, "anna");
    let slug = world.api(&format!("GET /api/v1/links/{}", program.link_id), json!(null)).text("/slug");
    let elsewhere = world.another_isolate();
    let line = format!("PATCH /operator/v1/workspaces/{}", own(&world));
    let keyless = |world: &World| {
        world.send("POST /v1/clicks", &[("origin", "https://shop.test")], json!({"ref": "anna"})).summary()
    };
    let follow = |world: &World| {
        let answer = world.send(&format!("GET /r/{slug}"), &[], json!(null));
        (answer.status.as_u16(), answer.header("location").contains("trac_click_id="))
    };
    let all = |world: &World, expected: [&str; 4], counted: bool| {
        assert_eq!(click(world).summary(), expected[0], "click");
        assert_eq!(keyless(world), expected[1], "click without a key");
        assert_eq!(world.api("GET /api/v1/programs", json!(null)).summary(), expected[2], "list");
        assert_eq!(world.api("POST /api/v1/conversions", json!({})).summary(), expected[3], "conversion");
        let track = |headers: &[(&str, &str)]| world.send("POST /api/track/lead", headers, json!({})).status.as_u16();
        let told: u16 = if counted { 400 } else { 403 };
        assert_eq!(track(&[("x-publishable-key", &world.keys.pk_test)]), told, "lead");
        assert_eq!(track(&[("origin", "https://shop.test")]), told, "lead without a key");
        assert_eq!(follow(world), (302, counted), "short link");
    };
    let working = ["201", "201", "200", "400 VALIDATION_ERROR"];
    let refused = ["401 INVALID_API_KEY", "401 INVALID_API_KEY", "403 FORBIDDEN", "403 FORBIDDEN"];
    for isolate in [&world, &elsewhere] {
        all(isolate, working, true);
    }
    let suspended = operator(&world, &line, json!({"suspended": true}));
    let since = suspended.text("/suspended_at");
    world.pass_ms(60 * SECOND_MS);
    // One that knows nothing finds what was known before on the shelf.
    let cold = world.another_isolate();
    for isolate in [&world, &elsewhere, &cold] {
        all(isolate, refused, false);
    }
    let again = operator(&world, &line, json!({"suspended": true}));
    assert_eq!(again.text("/suspended_at"), since, "since when does not move");
    assert_eq!(operator(&world, &line, json!({"suspended": false})).body["suspended_at"], json!(null));
    world.pass_ms(60 * SECOND_MS);
    let cold = world.another_isolate();
    for isolate in [&world, &elsewhere, &cold] {
        all(isolate, working, true);
    }
}

#[test]
fn what_stripe_reports_of_a_suspended_workspace_is_taken_in_and_booked() {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    let click_id = world.click(&world.keys.pk_test, "anna");
    let connection = world.stripe_connection(&world.keys.sk_test);
    let line = format!("PATCH /operator/v1/workspaces/{}", own(&world));
    operator(&world, &line, json!({"suspended": true}));
    world.pass_ms(60 * SECOND_MS);
    let event = session_completed("1", world.now().seconds(), json!({"client_reference_id": click_id}));
    assert_eq!(world.stripe(&connection, &event).status, 200);
    world.deliver();
    assert_eq!(world.db.count("SELECT count(*) FROM commissions"), 1);
}

#[test]
fn members_of_a_suspended_workspace_are_told_and_others_of_theirs_go_on() {
    let world = World::new();
    let (id, link) = world.owned_workspace("Shop", "owner@shop.test");
    let (other, _) = world.owned_workspace("Other", "owner@shop.test");
    let owner = Visitor::new(&world);
    owner.post(&link, "");
    operator(&world, &format!("PATCH /operator/v1/workspaces/{id}"), json!({"suspended": true}));
    for page in ["", "/programs", "/settings"] {
        let page = owner.get(&format!("/app/{id}/test{page}"));
        assert_eq!(page.status, 403);
        assert!(page.raw.contains("This workspace is suspended"), "{}", page.raw);
    }
    assert_eq!(owner.api(&id, "GET /api/v1/programs", json!(null)).summary(), "403 FORBIDDEN");
    assert_eq!(owner.get(&format!("/app/{other}/test")).status, 200);
    let operator = Visitor::signed_in(&world, OPERATOR_EMAIL);
    assert_eq!(operator.get("/app/operator").raw.matches(">suspended<").count(), 1);
}

#[test]
fn the_worker_tells_the_operator_how_it_is_and_no_secret() {
    let world = World::new();
    let health = |world: &World| operator(world, "GET /operator/v1/health", json!(null));
    let refused = world.send("GET /operator/v1/health", &[("authorization", "Bearer x")], json!(null));
    assert_eq!(refused.summary(), "401 INVALID_API_KEY");
    let told = health(&world);
    assert_eq!(told.status, 200);
    assert_eq!(told.body["sweep"], json!(null));
    assert_eq!(told.body["databases"].as_array().unwrap().len(), 2);
    assert_eq!(told.text("/secrets/CLICK_SECRETS"), "1 key");
    assert!(!told.raw.contains(OPERATOR_TOKEN) && !told.raw.contains(&"01".repeat(32)), "{}", told.raw);
    world.sweep();
    let told = health(&world).body;
    assert_eq!((&told["sweep"]["is_late"], &told["due"]["sales"]), (&json!(false), &json!(null)));
    let amiss = json!({"counted_up_to": 100, "stripe_events_failed": 0, "stripe_events_parked": 0, "dead_letters": 0, "mails_failed": 0});
    assert_eq!(told["amiss"], amiss);
    world.program(&world.keys.sk_test, "anna");
    let connection = world.stripe_connection(&world.keys.sk_test);
    world.stripe(&connection, &session_completed("1", world.now().seconds(), json!({})));
    world.lose_queue();
    world.pass_ms(20 * MINUTE_MS);
    let told = health(&world).body;
    assert_eq!(told["sweep"]["is_late"], json!(true));
    assert_eq!(told["due"]["stripe_events"]["is_late"], json!(true));
}

#[test]
fn a_database_that_is_not_migrated_or_down_is_told_of_and_not_silent() {
    let world = World::new();
    world.db.execute(crate::store::schema::UNDONE).unwrap();
    let told = operator(&world, "GET /operator/v1/health", json!(null));
    assert_eq!(told.status, 200);
    let migrated = |index: usize| told.body["databases"][index]["is_migrated"].clone();
    assert_eq!((migrated(0), migrated(1)), (json!(true), json!(false)));
    assert!(told.text("/databases/1/error").contains("suspended_at"), "{}", told.raw);
}

#[test]
fn a_suspended_workspace_takes_no_host_from_another() {
    let world = World::new();
    let (id, other) = world.workspace_in(0, "Abuser");
    for key in [&world.keys.sk_live, &other.sk_live] {
        world.program(key, "anna");
    }
    let click = |world: &World| {
        let headers = [("origin", "https://shop.test")];
        world.send("POST /v1/clicks", &headers, json!({"ref": "anna"})).status.as_u16()
    };
    let lead = |world: &World| {
        let headers = [("origin", "https://shop.test")];
        let body = json!({"eventName": "signup", "customerExternalId": "c1", "clickId": "x"});
        world.send("POST /api/track/lead", &headers, body).status.as_u16()
    };
    assert_eq!((click(&world), lead(&world)), (401, 401), "of two, neither");
    operator(&world, &format!("PATCH /operator/v1/workspaces/{id}"), json!({"suspended": true}));
    assert_eq!((click(&world), lead(&world)), (201, 400));
    // Alone, it is suspended.
    for row in world.api_as(&world.keys.sk_live, "GET /api/v1/hosts", json!(null)).body["data"].as_array().unwrap() {
        let line = format!("DELETE /api/v1/hosts/{}", row["id"].as_str().unwrap());
        assert_eq!(world.api_as(&world.keys.sk_live, &line, json!(null)).status, 204);
    }
    let world = world.another_isolate();
    assert_eq!((click(&world), lead(&world)), (401, 403));
}
