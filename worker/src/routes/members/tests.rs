//! Members, and what their sessions may ask of the API.

use serde_json::{Value as Json, json};

use crate::testing::{Answer, ORIGIN, Visitor, World};

const OWNER: &str = "owner@shop.test";
const NOTHING: Json = Json::Null;

fn owned(world: &World) -> (String, Visitor<'_>) {
    let (workspace, _) = world.owned_workspace("Shop", OWNER);
    (workspace, Visitor::signed_in(world, OWNER))
}

/// Invites and signs in.
#[track_caller]
fn joins<'a>(world: &'a World, workspace: &str, by: &Visitor<'_>, email: &str, role: &str) -> Visitor<'a> {
    let made = by.api(workspace, "POST /api/v1/members", json!({"email": email, "role": role}));
    assert_eq!(made.status, 201, "{}", made.body);
    world.deliver();
    Visitor::signed_in(world, email)
}

fn member_id(workspace: &str, by: &Visitor<'_>, email: &str) -> String {
    let all = by.api(workspace, "GET /api/v1/members", NOTHING);
    let found = all.body["data"].as_array().unwrap().iter().find(|member| member["email"] == email);
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn check(answer: &Answer, expected: &str) {
    assert_eq!(answer.summary(), expected, "{}", answer.raw);
}

#[test]
fn an_invited_member_is_told_by_mail_and_listed() {
    let world = World::new();
    let (workspace, owner) = owned(&world);
    world.mail.sent.lock().unwrap().clear();
    let given = json!({"email": " Ann@Shop.test", "name": "Ann <b>", "role": "admin"});
    let made = owner.api(&workspace, "POST /api/v1/members", given.clone());
    assert_eq!(made.status, 201);
    assert_eq!(
        (made.text("/email").as_str(), made.text("/name").as_str(), made.text("/role").as_str()),
        ("ann@shop.test", "Ann <b>", "admin")
    );
    assert_eq!(made.body["last_seen_at"], NOTHING);
    world.deliver();
    let letter = world.mail.sent.lock().unwrap()[0].clone();
    assert_eq!((letter.to.as_str(), letter.subject.as_str()), ("ann@shop.test", "You are a member of Shop on Selgeo"));
    assert!(letter.text.contains(&format!("{ORIGIN}/sign-in\n")), "{}", letter.text);
    check(&owner.api(&workspace, "POST /api/v1/members", given), "409 CONFLICT");

    Visitor::signed_in(&world, "ann@shop.test");
    let all = owner.api(&workspace, "GET /api/v1/members?limit=1", NOTHING);
    assert_eq!(all.text("/data/0/email"), "ann@shop.test");
    assert_eq!(all.text("/data/0/last_seen_at"), world.now().to_string());
    let next = format!("GET /api/v1/members?limit=1&cursor={}", all.text("/next_cursor"));
    assert_eq!(owner.api(&workspace, &next, NOTHING).text("/data/0/email"), OWNER);
}

#[test]
fn bad_invitations_are_refused() {
    let world = World::new();
    let (workspace, owner) = owned(&world);
    for body in [
        json!({}),
        json!({"email": "x@y.test"}),
        json!({"role": "admin"}),
        json!({"email": "x", "role": "admin"}),
        json!({"email": "x@y.test", "role": "god"}),
        json!({"email": 1, "role": []}),
        json!({"email": format!("{}@y.test", "x".repeat(300)), "role": "admin"}),
        json!({"email": "x@y.test", "role": "admin", "name": "x".repeat(201)}),
    ] {
        check(&owner.api(&workspace, "POST /api/v1/members", body), "400 VALIDATION_ERROR");
    }
    check(&owner.api(&workspace, "PATCH /api/v1/members/mem_x", json!({"role": "admin"})), "404 NOT_FOUND");
    check(&owner.api(&workspace, "DELETE /api/v1/members/mem_x", NOTHING), "404 NOT_FOUND");
    assert_eq!(world.directory.count("SELECT count(*) FROM members"), 1);
}

#[test]
fn a_role_says_who_may_do_what() {
    let world = World::new();
    let (workspace, owner) = owned(&world);
    let admin = joins(&world, &workspace, &owner, "admin@shop.test", "admin");
    let viewer = joins(&world, &workspace, &owner, "viewer@shop.test", "viewer");
    let [owner_id, admin_id, viewer_id] =
        [OWNER, "admin@shop.test", "viewer@shop.test"].map(|email| member_id(&workspace, &owner, email));
    let host = |n: i64| json!({"host": format!("h{n}.test")});

    check(&viewer.api(&workspace, "GET /api/v1/hosts", NOTHING), "200");
    check(&viewer.api(&workspace, "GET /api/v1/api-keys", NOTHING), "200");
    for (line, body) in [
        ("POST /api/v1/hosts", host(1)),
        ("DELETE /api/v1/hosts/host_x", NOTHING),
        ("PATCH /api/v1/programs/prog_x", json!({})),
        ("POST /api/v1/workspace/wipe-test-data", NOTHING),
        ("POST /api/v1/members", json!({"email": "x@y.test", "role": "viewer"})),
        ("POST /api/v1/api-keys", json!({"kind": "secret"})),
    ] {
        check(&viewer.api(&workspace, line, body), "403 FORBIDDEN");
    }
    check(&admin.api(&workspace, "POST /api/v1/hosts", host(1)), "201");
    check(&owner.api(&workspace, "POST /api/v1/hosts", host(2)), "201");
    assert_eq!(admin.api(&workspace, "GET /api/v1/workspace", NOTHING).text("/role"), "admin");

    // Only an owner makes or unmakes an owner.
    let set = |by: &Visitor<'_>, id: &str, role: &str| {
        by.api(&workspace, &format!("PATCH /api/v1/members/{id}"), json!({"role": role}))
    };
    check(&set(&admin, &viewer_id, "owner"), "403 FORBIDDEN");
    check(&set(&admin, &owner_id, "viewer"), "403 FORBIDDEN");
    check(&admin.api(&workspace, &format!("DELETE /api/v1/members/{owner_id}"), NOTHING), "403 FORBIDDEN");
    check(
        &admin.api(&workspace, "POST /api/v1/members", json!({"email": "x@y.test", "role": "owner"})),
        "403 FORBIDDEN",
    );
    check(&set(&admin, &viewer_id, "admin"), "200");
    check(&set(&admin, &viewer_id, "viewer"), "200");

    // And one stays.
    check(&set(&owner, &owner_id, "admin"), "409 CONFLICT");
    check(&owner.api(&workspace, &format!("DELETE /api/v1/members/{owner_id}"), NOTHING), "409 CONFLICT");
    check(&set(&owner, &admin_id, "owner"), "200");
    check(&set(&owner, &owner_id, "viewer"), "200");
    // At once: the session asks anew each time.
    check(&owner.api(&workspace, "POST /api/v1/hosts", host(3)), "403 FORBIDDEN");
    check(&admin.api(&workspace, &format!("DELETE /api/v1/members/{owner_id}"), NOTHING), "204");
    check(&owner.api(&workspace, "GET /api/v1/hosts", NOTHING), "404 NOT_FOUND");
}

#[test]
fn another_workspace_is_not_there_for_a_session() {
    let world = World::new();
    let (workspace, owner) = owned(&world);
    let (other, _) = world.owned_workspace("Other", "other@shop.test");
    let theirs = Visitor::signed_in(&world, "other@shop.test");
    let first = member_id(&workspace, &owner, OWNER);
    for line in ["GET /api/v1/members", "GET /api/v1/hosts", "GET /api/v1/workspace"] {
        check(&theirs.api(&workspace, line, NOTHING), "404 NOT_FOUND");
        check(&theirs.api("ws_x", line, NOTHING), "404 NOT_FOUND");
    }
    check(&theirs.api(&other, &format!("DELETE /api/v1/members/{first}"), NOTHING), "404 NOT_FOUND");
    check(&theirs.api(&other, &format!("PATCH /api/v1/members/{first}"), json!({"role": "viewer"})), "404 NOT_FOUND");
    // A partner has a session, but no workspace.
    world.make(&world.keys.sk_test, "partners", json!({"name": "Anna", "email": "anna@partner.test"}));
    let partner = Visitor::signed_in(&world, "anna@partner.test");
    check(&partner.api(&workspace, "GET /api/v1/members", NOTHING), "404 NOT_FOUND");
}

#[test]
fn a_session_must_name_workspace_and_mode_and_change_from_our_own_pages() {
    let world = World::new();
    let (workspace, owner) = owned(&world);
    let (ws, mode) = (("x-selgeo-workspace", workspace.as_str()), ("x-selgeo-mode", "test"));
    let list = "GET /api/v1/hosts";
    check(&owner.api_with(&[ws, mode], list, NOTHING), "200");
    for headers in [&[ws][..], &[mode], &[], &[ws, ("x-selgeo-mode", "TEST")]] {
        check(&owner.api_with(headers, list, NOTHING), "400 VALIDATION_ERROR");
    }
    let make = "POST /api/v1/hosts";
    for origin in ["", "https://evil.test", "null"] {
        check(&owner.api_with(&[ws, mode, ("origin", origin)], make, json!({"host": "a.test"})), "403 FORBIDDEN");
    }
    check(&owner.api_with(&[ws, mode, ("origin", ORIGIN)], make, json!({"host": "a.test"})), "201");
    // The two modes do not see each other.
    let live = [ws, ("x-selgeo-mode", "live")];
    assert_eq!(owner.api_with(&live, list, NOTHING).body["data"], json!([]));
    // A key that is sent is what is meant.
    let key = format!("Bearer {}", world.keys.sk_test);
    check(&owner.api_with(&[("authorization", &key)], list, NOTHING), "200");
    check(&owner.api_with(&[ws, mode, ("authorization", "Bearer x")], list, NOTHING), "401 INVALID_API_KEY");
    let over = Visitor::new(&world);
    *over.cookie.borrow_mut() = format!("__Host-selgeo={}", "A".repeat(43));
    check(&over.api(&workspace, list, NOTHING), "401 INVALID_API_KEY");
    check(&Visitor::new(&world).api(&workspace, list, NOTHING), "401 INVALID_API_KEY");
    // Reporting conversions is for servers.
    check(&owner.api(&workspace, "POST /api/v1/conversions", json!({})), "401 INVALID_API_KEY");
}

#[test]
fn requests_of_a_session_are_limited_as_the_workspace_says() {
    let world = World::new();
    let made = world.send(
        "POST /operator/v1/workspaces",
        &[("authorization", "Bearer operator-token-of-the-tests")],
        json!({"name": "Small", "owner_email": OWNER, "limits": {"other_per_minute": 2}}),
    );
    let owner = Visitor::signed_in(&world, OWNER);
    for expected in ["200", "200", "429 RATE_LIMIT_EXCEEDED"] {
        check(&owner.api(&made.text("/id"), "GET /api/v1/hosts", NOTHING), expected);
    }
}

#[test]
fn a_key_neither_makes_members_nor_keys() {
    let world = World::new();
    for (line, body) in [
        ("POST /api/v1/members", json!({"email": "x@y.test", "role": "owner"})),
        ("PATCH /api/v1/members/mem_x", json!({"role": "owner"})),
        ("DELETE /api/v1/members/mem_x", NOTHING),
        ("POST /api/v1/api-keys", json!({"kind": "secret"})),
        ("DELETE /api/v1/api-keys/key_x", NOTHING),
    ] {
        check(&world.api(line, body), "403 FORBIDDEN");
    }
    check(&world.api("GET /api/v1/members", NOTHING), "200");
    let workspace = world.api("GET /api/v1/workspace", NOTHING);
    assert_eq!((workspace.text("/name").as_str(), &workspace.body["role"]), ("First", &NOTHING));
    assert_eq!(workspace.body["limits"]["conversions_per_minute"], 120);
}

#[test]
fn a_key_is_shown_once_works_and_is_revoked() {
    let world = World::new();
    let (workspace, owner) = owned(&world);
    world.pass_ms(1);
    let made = owner.api(&workspace, "POST /api/v1/api-keys", json!({"kind": "secret"}));
    assert_eq!(made.status, 201, "{}", made.body);
    let (id, key) = (made.text("/id"), made.text("/key"));
    world.pass_ms(1);
    assert!(key.starts_with("sk_test_"));
    check(&world.api_as(&key, "GET /api/v1/hosts", NOTHING), "200");
    let listed = owner.api(&workspace, "GET /api/v1/api-keys", NOTHING);
    assert_eq!(listed.text("/data/0/id"), id);
    assert!(!listed.raw.contains(&key) && listed.raw.contains("sk_test_…"));
    assert_eq!(listed.body["data"].as_array().unwrap().len(), 3);
    check(&owner.api(&workspace, &format!("DELETE /api/v1/api-keys/{id}"), NOTHING), "204");
    check(&owner.api(&workspace, &format!("DELETE /api/v1/api-keys/{id}"), NOTHING), "204");
    world.pass_ms(60_000);
    check(&world.api_as(&key, "GET /api/v1/hosts", NOTHING), "401 INVALID_API_KEY");
    let other_mode = [("origin", ORIGIN), ("x-selgeo-workspace", workspace.as_str()), ("x-selgeo-mode", "live")];
    check(&owner.api_with(&other_mode, &format!("DELETE /api/v1/api-keys/{id}"), NOTHING), "404 NOT_FOUND");
    for body in [json!({}), json!({"kind": "private"})] {
        check(&owner.api(&workspace, "POST /api/v1/api-keys", body), "400 VALIDATION_ERROR");
    }
}

/// Every management route with a method that changes something, as the table of routes has it: `POST /api/v1/…`.
fn changing_routes() -> Vec<String> {
    let source = include_str!("../../app.rs");
    let table = source.split("let management = Router::new()").nth(1).unwrap().split(';').next().unwrap();
    let mut found = Vec::new();
    for route in table.split(".route(").skip(1) {
        let path = route
            .split('"')
            .nth(1)
            .unwrap()
            .replace("{id}", "x")
            .replace("{conversion_id}", "x")
            .replace("{verb}", "pay");
        for (word, method) in [("post(", "POST"), ("patch(", "PATCH"), ("delete(", "DELETE")] {
            if route.contains(word) {
                found.push(format!("{method} /api/v1{path}"));
            }
        }
    }
    found
}

#[test]
fn no_route_lets_a_viewer_or_another_origin_or_a_stranger_change_anything() {
    let world = World::new();
    let (workspace, owner) = owned(&world);
    let viewer = joins(&world, &workspace, &owner, "viewer@shop.test", "viewer");
    let (_, _) = world.owned_workspace("Other", "other@shop.test");
    let stranger = Visitor::signed_in(&world, "other@shop.test");
    let routes = changing_routes();
    assert!(routes.len() > 40, "{routes:?}");
    let before = world.db.count("SELECT count(*) FROM acts");
    let evil = [("origin", "https://evil.test"), ("x-selgeo-workspace", workspace.as_str()), ("x-selgeo-mode", "test")];
    for (n, line) in routes.iter().enumerate() {
        world.pass_ms(if n % 50 == 0 { 60_000 } else { 0 });
        // Reporting takes a key alone.
        let keys_only = line == "POST /api/v1/conversions";
        let expected = |status: &'static str| if keys_only { "401 INVALID_API_KEY" } else { status };
        let answer = |answer: Answer, status| assert_eq!(answer.summary(), expected(status), "{line}");
        answer(viewer.api(&workspace, line, json!({})), "403 FORBIDDEN");
        answer(owner.api_with(&evil, line, json!({})), "403 FORBIDDEN");
        answer(stranger.api(&workspace, line, json!({})), "404 NOT_FOUND");
        assert_eq!(Visitor::new(&world).api(&workspace, line, json!({})).summary(), "401 INVALID_API_KEY", "{line}");
    }
    assert_eq!(world.db.count("SELECT count(*) FROM acts"), before);
}
