//! Workspaces in two databases: one deployment to whoever asks, and nothing of one in the other.

use serde_json::json;

use crate::store::databases::Databases;
use crate::store::{Database, DbError, Home, Statement};
use crate::testing::{Keys, OPERATOR_EMAIL, OPERATOR_TOKEN, Sqlite, Visitor, World};

/// The database of each workspace, its id, its keys, and its program's link.
struct Town {
    world: World,
    shops: [(String, Keys, String); 2],
}

fn town() -> Town {
    let world = World::new();
    let shops = [0, 1].map(|database| {
        let (id, keys) = world.workspace_in(database, "Shop");
        // The same names in both: nothing but the workspace tells them apart.
        let program = world.program(&keys.sk_test, "same");
        (id, keys, program.link_id)
    });
    Town { world, shops }
}

/// The database that holds what a shop has.
fn own(world: &World, place: usize) -> &Sqlite {
    if place == 0 { &world.directory } else { &world.db }
}

fn sale(click_id: &str, transaction: &str) -> serde_json::Value {
    json!({"click_id": click_id, "external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 1_000, "currency": "EUR"})
}

#[test]
fn each_workspace_has_its_rows_in_its_own_database_alone() {
    let Town { world, shops } = town();
    for (place, (id, keys, _)) in shops.iter().enumerate() {
        let click_id = world.click(&keys.pk_test, "same");
        world.deliver();
        let sold = world.api_as(&keys.sk_test, "POST /api/v1/conversions", sale(&click_id, "T1"));
        assert_eq!((sold.status.as_u16(), sold.text("/attribution/status")), (201, "attributed".to_owned()));
        for table in [
            "programs",
            "links",
            "click_packs",
            "conversions",
            "commissions",
            "decisions",
            "facts",
            "events",
            "api_keys",
        ] {
            let rows = format!("SELECT count(*) FROM {table} WHERE workspace_id = '{id}'");
            assert!(own(&world, place).count(&rows) > 0, "{table} of {place}");
            assert_eq!(own(&world, 1 - place).count(&rows), 0, "{table} of {place}");
        }
        assert_eq!(own(&world, place).count("SELECT count(*) FROM entries"), 1);
    }
    // Lists and audits are each its own.
    for (_, keys, link) in &shops {
        let listed = world.api_as(&keys.sk_test, "GET /api/v1/conversions", json!(null));
        assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);
        assert_eq!(world.api_as(&keys.sk_test, &format!("GET /api/v1/links/{link}"), json!(null)).status, 200);
    }
}

#[test]
fn a_click_or_an_object_of_the_other_database_is_nobodys() {
    let Town { world, shops: [(_, first, link), (_, second, _)] } = town();
    let click_id = world.click(&first.pk_test, "same");
    let sold = world.api_as(&second.sk_test, "POST /api/v1/conversions", sale(&click_id, "T2"));
    // The link has the same number there.
    assert_eq!(sold.text("/attribution/reason"), "click_not_found", "{}", sold.raw);
    let read = world.api_as(&second.sk_test, &format!("GET /api/v1/links/{link}"), json!(null));
    assert_eq!(read.summary(), "404 NOT_FOUND");
    // A visitor's token says nothing there either.
    let body = json!({"merchant": first.pk_test, "ref": "same"});
    let token = world.send("POST /v1/clicks", &[], body).text("/visitor_token");
    let again = json!({"merchant": second.pk_test, "ref": "same", "visitor_token": token});
    assert_eq!(world.send("POST /v1/clicks", &[], again).status, 201);
}

#[test]
fn a_slug_is_unique_in_all_databases_whoever_comes_first() {
    let Town { world, shops } = town();
    for (first, second) in [(0, 1), (1, 0)] {
        let make = |place: usize, path: &str, mut body: serde_json::Value| {
            let keys = &shops[place].1;
            body["slug"] = json!(format!("slug-{first}"));
            if path == "links" {
                let some = world.api_as(&keys.sk_test, "GET /api/v1/participants", json!(null));
                body["participant_id"] = some.body["data"][0]["id"].clone();
            }
            world.api_as(&keys.sk_test, &format!("POST /api/v1/{path}"), body).summary()
        };
        for (path, body) in
            [("links", json!({"landing_url": "https://shop.test/"})), ("programs", json!({"name": "Friends"}))]
        {
            assert_eq!(make(first, path, body.clone()), "201", "{path}");
            assert_eq!(make(second, path, body.clone()), "409 CONFLICT", "{path}");
            assert_eq!(make(first, path, body), "409 CONFLICT", "{path}");
        }
        let followed = world.send(&format!("GET /r/slug-{first}"), &[], json!(null));
        assert_eq!(followed.status, 302);
    }
    // One that was claimed and not written, the same workspace may have still.
    let keys = &shops[1].1;
    let nobody = json!({"participant_id": "ppt_01kdvdna00000g40r40m30e209", "slug": "again", "landing_url": "https://shop.test/"});
    assert_eq!(world.api_as(&keys.sk_test, "POST /api/v1/links", nobody).summary(), "404 NOT_FOUND");
    let program = json!({"participant_id": world.api_as(&keys.sk_test, "GET /api/v1/participants", json!(null)).body["data"][0]["id"],
        "slug": "again", "landing_url": "https://shop.test/"});
    assert_eq!(world.api_as(&keys.sk_test, "POST /api/v1/links", program).summary(), "201");
}

#[test]
fn one_person_is_a_member_and_a_partner_in_both() {
    let Town { world, shops } = town();
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    for (id, keys, _) in &shops {
        let owner = json!({"owner_email": "ann@shop.test"});
        let made =
            world.send(&format!("POST /operator/v1/workspaces/{id}/owners"), &[("authorization", &operator)], owner);
        assert_eq!(made.status, 201, "{}", made.raw);
        world.make(&keys.sk_test, "partners", json!({"name": "Ann", "email": "ann@shop.test"}));
    }
    let ann = Visitor::signed_in(&world, "ann@shop.test");
    for (id, _, _) in &shops {
        assert_eq!(ann.get(&format!("/app/{id}/test")).status, 200);
        // What she does names her, wherever the workspace lies.
        let program = ann.api(id, "POST /api/v1/programs", json!({"name": "Hers"}));
        assert_eq!(program.status, 201, "{}", program.raw);
        let partner =
            ann.api(id, "GET /api/v1/partners", json!(null)).body["data"][1]["id"].as_str().unwrap().to_owned();
        assert_eq!(ann.api(id, &format!("POST /api/v1/partners/{partner}/erase"), json!({})).status, 200);
        let renamed = ann.api(id, "PATCH /api/v1/workspace", json!({"name": format!("Renamed {id}")}));
        assert_eq!(renamed.body["name"], format!("Renamed {id}"));
        assert!(ann.get("/app").raw.contains(&format!("Renamed {id}")));
    }
    assert_eq!(world.directory.count("SELECT count(*) FROM acts WHERE person_id IS NOT NULL"), 1);
    assert_eq!(world.db.count("SELECT count(*) FROM acts a JOIN people p ON p.id = a.person_id"), 1);
    let portal = ann.get("/partner");
    assert!(portal.status == 200 && shops.iter().all(|(id, _, _)| portal.raw.contains(&format!("Renamed {id}"))));
}

#[test]
fn the_operator_sees_all_and_a_new_workspace_goes_where_there_is_most_room() {
    let Town { world, shops } = town();
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    let make = |body| world.send("POST /operator/v1/workspaces", &[("authorization", &operator)], body);
    let sizes = [0, 1].map(|place| pollster::block_on(own(&world, place).size_bytes()).unwrap());
    let roomiest = usize::from(sizes[1] < sizes[0]);
    assert_eq!(make(json!({"name": "New"})).body["database"], json!(roomiest));
    for wrong in [json!(2), json!(-1), json!("1"), json!(300)] {
        assert_eq!(make(json!({"name": "x", "database": wrong})).summary(), "400 VALIDATION_ERROR");
    }
    let visitor = Visitor::signed_in(&world, OPERATOR_EMAIL);
    let page = visitor.get("/app/operator").raw;
    assert!(shops.iter().all(|(id, _, _)| page.contains(id)), "{page}");
}

#[test]
fn while_one_database_is_down_the_other_workspaces_go_on() {
    let Town { world, shops: [(first_id, first, _), (_, second, _)] } = town();
    world.db.is_down.store(true, std::sync::atomic::Ordering::SeqCst);
    // In an isolate that knows nobody yet.
    let world = world.another_isolate();
    let click_id = world.click(&first.pk_test, "same");
    let sold = world.api_as(&first.sk_test, "POST /api/v1/conversions", sale(&click_id, "T3"));
    assert_eq!(sold.text("/attribution/status"), "attributed", "{}", sold.raw);
    let refused = world.api_as(&second.sk_test, "POST /api/v1/conversions", sale(&click_id, "T4"));
    assert_eq!(refused.summary(), "503 UNAVAILABLE");
    assert_eq!(world.send("GET /healthz", &[], json!(null)).summary(), "503 UNAVAILABLE");
    // Who belongs elsewhere signs in all the same; webhooks and letters of those who are reached go on.
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    let owner = json!({"owner_email": "ann@shop.test"});
    let made =
        world.send(&format!("POST /operator/v1/workspaces/{first_id}/owners"), &[("authorization", &operator)], owner);
    assert_eq!(made.status, 201, "{}", made.raw);
    assert!(Visitor::new(&world).asks_for_link("ann@shop.test").is_some());
    let hook = json!({"url": "https://hooks.shop.test/", "events": ["*"]});
    let hook = world.make(&first.sk_test, "webhook-endpoints", hook);
    world.api_as(&first.sk_test, &format!("POST /api/v1/webhook-endpoints/{hook}/ping"), json!({}));
    assert!(pollster::block_on(crate::webhooks::lane::run(&world.app, &hook)).is_ok());
    assert_eq!(world.receivers.received().len(), 1);
    // What is due there is found and done.
    world.directory.execute("UPDATE commissions SET state = 'pending', hold_until = 1").unwrap();
    pollster::block_on(crate::jobs::sweep(&world.app));
    assert_eq!(world.directory.count("SELECT count(*) FROM commissions WHERE state = 'approved'"), 1);
}

#[test]
fn what_says_two_databases_or_none_is_refused() {
    let (first, second) = (std::sync::Arc::new(Sqlite::migrated()), std::sync::Arc::new(Sqlite::migrated()));
    let both = Databases::new(first.clone(), vec![second]);
    let one = Databases::new(first, Vec::new());
    let of = |database| Statement::new("SELECT 1 AS one").at(Home::Of(database));
    let (each, unsaid) = (Statement::each("SELECT 1 AS one"), Statement::new("SELECT 1 AS one"));
    let check = |databases: &Databases, batch: Vec<Statement>, rows: Option<usize>| {
        let result = pollster::block_on(databases.batch(batch.clone()));
        let found = result.map(|rows| rows.into_iter().map(|rows| rows.len()).sum::<usize>());
        assert_eq!(found.as_ref().ok().copied(), rows, "{batch:?}: {found:?}");
        assert!(rows.is_some() || matches!(found, Err(DbError::Failed(_))));
    };
    check(&both, vec![of(0), of(1)], None);
    check(&both, vec![unsaid.clone()], None);
    check(&both, vec![each.clone(), of(1)], None);
    check(&both, vec![of(1), unsaid.clone()], Some(2));
    check(&both, vec![of(0), Statement::directory("SELECT 1 AS one")], Some(2));
    check(&both, vec![each.clone(), each.clone()], Some(4));
    check(&both, vec![Statement::somewhere("SELECT 1 AS one"), of(1)], Some(2));
    // What no workspace of ours says: the first, where there is nothing of it. Written is nothing there.
    check(&both, vec![of(63)], Some(1));
    check(&both, vec![Statement::new("DELETE FROM mails").at(Home::Of(2))], None);
    // Where there is one, it is always that one.
    check(&one, vec![of(0), of(1), each, unsaid], Some(4));
}
