//! Settings: who may set what, how long clicks are kept, and wiping.

use domain::time::{DAY_MS, HOUR_MS};
use serde_json::json;

use super::Shop;
use crate::testing::Visitor;

fn form(name: &str, days: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("name", name).append_pair("clicks_kept_days", days).finish()
}

#[test]
fn an_owner_names_the_workspace_and_says_for_how_long_clicks_are_kept() {
    let shop = Shop::new();
    let owner = shop.owner();
    shop.world.round_trips();
    let page = owner.get(&shop.at("settings"));
    assert_eq!(shop.world.round_trips(), 2);
    for shown in [shop.workspace.as_str(), "value=\"396\"", ">1000<", ">120<", "operator@selgeo.test", "settings/wipe"]
    {
        assert!(page.raw.contains(shown), "{shown}: {}", page.raw);
    }
    let saved = owner.post(&shop.at("settings"), &form(" <b>Shop</b> ", "90"));
    assert_eq!(saved.status, 303, "{}", saved.raw);
    let page = owner.get(saved.header("location")).raw;
    assert!(page.contains("Saved.") && page.contains("value=\"90\"") && page.contains("&#60;b&#62;Shop"), "{page}");
    assert!(!page.contains("<b>Shop"));
    for (name, days, problem) in [
        ("", "90", "problem-name"),
        ("Shop", "29", "problem-days"),
        ("Shop", "1827", "problem-days"),
        ("Shop", "a year", "problem-days"),
        ("Shop", "1.5", "problem-days"),
        (&"x".repeat(101), "90", "problem-name"),
    ] {
        let refused = owner.post(&shop.at("settings"), &form(name, days));
        assert_eq!(refused.status, 400, "{name} {days}: {}", refused.raw);
        assert!(refused.raw.contains(problem), "{name} {days}: {}", refused.raw);
    }
    let shown = || shop.world.api("GET /api/v1/workspace", json!(null)).body;
    assert_eq!((&shown()["clicks_kept_days"], &shown()["track_by_workspace_id"]), (&json!(90), &json!(false)));
    let with_box = |days: &str| format!("{}&track_by_workspace_id=true", form("Shop", days));
    const TICKED: &str = "name=\"track_by_workspace_id\" type=\"checkbox\" value=\"true\" checked";
    // What was ticked stays so on a form that comes back, and is not saved by it.
    assert!(owner.post(&shop.at("settings"), &with_box("29")).raw.contains(TICKED));
    assert_eq!(shown()["track_by_workspace_id"], false);
    let saved = owner.post(&shop.at("settings"), &with_box("90"));
    assert!(owner.get(saved.header("location")).raw.contains(TICKED));
    assert_eq!(shown()["track_by_workspace_id"], true);
    owner.post(&shop.at("settings"), &form("Shop", "90"));
    assert_eq!(shown()["track_by_workspace_id"], false);
}

#[test]
fn an_admin_a_viewer_and_a_key_change_no_setting() {
    let shop = Shop::new();
    let owner = shop.owner();
    for role in ["admin", "viewer"] {
        let made = owner.post(&shop.at("members/new"), &format!("email={role}%40shop.test&role={role}"));
        assert_eq!(made.status, 303, "{}", made.raw);
        let member = Visitor::signed_in(&shop.world, &format!("{role}@shop.test"));
        let page = member.get(&shop.at("settings"));
        assert!(page.status == 200 && !page.raw.contains("name=\"clicks_kept_days\""), "{role}: {}", page.raw);
        assert_eq!(member.post(&shop.at("settings"), &form("Mine", "90")).status, 403, "{role}");
        assert_eq!(page.raw.contains("settings/wipe"), role == "admin");
    }
    let viewer = Visitor::signed_in(&shop.world, "viewer@shop.test");
    assert_eq!(viewer.get(&shop.at("settings/wipe")).status, 403);
    assert_eq!(viewer.post(&shop.at("settings/wipe"), "").status, 403);
    assert_eq!(shop.world.api("PATCH /api/v1/workspace", json!({"name": "Mine"})).summary(), "403 FORBIDDEN");
    assert_eq!(owner.post_from("https://evil.test", &shop.at("settings"), &form("Mine", "90")).status, 403);
    assert_eq!(shop.world.api("GET /api/v1/workspace", json!(null)).text("/name"), "First");
}

#[test]
fn test_data_is_wiped_step_by_step_and_live_data_never() {
    let shop = Shop::new();
    let owner = shop.owner();
    for number in 0..5 {
        shop.sale(&format!("txn_{number}"));
    }
    shop.world.deliver();
    let live = format!("/app/{}/live/settings", shop.workspace);
    assert!(owner.get(&live).raw.contains("Live data is never deleted"));
    assert_eq!(owner.get(&format!("{live}/wipe")).status, 404);
    assert_eq!(owner.post(&format!("{live}/wipe"), "").status, 403);
    assert!(owner.get(&shop.at("settings/wipe")).raw.contains("cannot be undone"));
    assert_eq!(shop.world.db.count("SELECT count(*) FROM conversions"), 5);
    shop.world.round_trips();
    let mut steps = 1;
    let mut page = owner.post(&shop.at("settings/wipe"), "");
    assert!(shop.world.round_trips() <= 5);
    while page.raw.contains("Go on") {
        assert!(page.raw.contains("Still there") && page.raw.contains("Deleted just now"), "{}", page.raw);
        steps += 1;
        page = owner.post(&shop.at("settings/wipe"), "");
    }
    assert!(page.status == 200 && page.raw.contains("Test data is wiped"), "{}", page.raw);
    assert!(steps > 1, "families go first, then what hangs on none");
    for table in ["conversions", "clicks", "click_packs", "click_totals", "daily_conversions", "daily_commissions"] {
        assert_eq!(shop.world.db.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}

#[test]
fn clicks_are_purged_when_they_were_kept_long_enough_and_their_totals_stay() {
    let shop = Shop::new();
    let world = &shop.world;
    let old = shop.visit(&world.keys.pk_test, "anna");
    world.deliver();
    let count = |sql: &str| world.db.count(sql);
    let humans = || world.humans();
    world.pass_ms(31 * DAY_MS);
    shop.visit(&world.keys.pk_test, "anna");
    world.deliver();
    world.sweep();
    assert_eq!((world.records(), humans()), (2, 2), "13 months are not over");
    let saved = shop.owner().post(&shop.at("settings"), &form("Shop", "30"));
    assert_eq!(saved.status, 303, "{}", saved.raw);
    world.sweep();
    assert_eq!((world.records(), humans()), (1, 2));

    // The id still proves itself. The record that the conversion writes was counted before, and goes again with the next purge.
    let program = format!("PATCH /api/v1/programs/{}", shop.program.program_id);
    assert_eq!(world.api(&program, json!({"attribution_window_days": 60})).status, 200);
    let body = json!({"click_id": old, "external_transaction_id": "late", "event_type": "purchase", "amount_cents": 100, "currency": "EUR"});
    let sale = world.api("POST /api/v1/conversions", body);
    assert_eq!(sale.text("/attribution/reason"), "attributed_click", "{}", sale.raw);
    assert_eq!((count("SELECT count(*) FROM clicks WHERE flags = '[\"recovered\"]'"), humans()), (1, 2));
    world.pass_ms(DAY_MS);
    world.sweep();
    assert_eq!((world.records(), humans()), (1, 2));
    // Kept for longer again, nothing is counted twice either.
    shop.owner().post(&shop.at("settings"), &form("Shop", "400"));
    world.sweep();
    assert_eq!(humans(), 2);
}

#[test]
fn a_purge_takes_its_turns_and_never_more_than_its_bound() {
    let shop = Shop::new();
    let world = &shop.world;
    for _ in 0..30 {
        shop.sale(&shop.visit(&world.keys.pk_test, "anna"));
        world.lose_queue();
    }
    for _ in 0..30 {
        shop.visit(&world.keys.pk_test, "anna");
        world.pass_ms(HOUR_MS);
    }
    world.deliver();
    world.pass_ms(400 * DAY_MS);
    let purge = || {
        let batch = crate::store::clicks::purge(world.now(), 20, 10, 10);
        pollster::block_on(world.app.db.batch(batch)).unwrap();
        [world.db.count("SELECT count(*) FROM clicks"), world.db.count("SELECT count(*) FROM click_packs")]
    };
    assert_eq!([purge(), purge()], [[20, 30], [10, 30]], "packs that are not summed stay");
    world.sum_clicks();
    assert_eq!([purge(), purge(), purge(), purge()], [[0, 20], [0, 10], [0, 0], [0, 0]]);
    assert_eq!(world.db.count("SELECT count(*) FROM workspaces WHERE clicks_purge_at = 0"), 0);
    assert_eq!(world.humans(), 60);
    for statement in crate::store::clicks::purge(world.now(), 20, 10, 10) {
        let plan = world.db.plan(statement.sql());
        assert!(
            !["SCAN clicks", "SCAN c\n", "SCAN click_packs", "SCAN p\n"].iter().any(|scan| plan.contains(scan)),
            "{plan}"
        );
    }
}

#[test]
fn a_click_is_counted_once_however_often_and_in_whatever_order_its_record_comes() {
    let shop = Shop::new();
    let world = &shop.world;
    shop.sale("txn_before_its_click");
    let queued = world.queued();
    assert_eq!(world.totals_that_differ(), [""; 0], "the conversion wrote the click");
    world.handle([queued.clone(), queued.clone()].concat());
    world.handle(queued);
    world.deliver();
    assert_eq!(world.totals_that_differ(), [""; 0]);
    assert_eq!(world.humans(), 1);
    shop.visit(&world.keys.pk_test, "anna");
    let queued = world.queued();
    world.lose_queue();
    world.db.next_write(crate::testing::NextWrite::LandsButReportsFailure);
    assert_eq!(world.handle(queued.clone()), [false]);
    assert_eq!(world.handle(queued), [true]);
    assert_eq!(world.humans(), 2);
}

#[test]
fn a_browser_keeps_how_closely_pages_are_set_in_the_dashboard_and_in_the_portal() {
    const COMPACT: &str = "<html lang=\"en\" data-density=\"compact\">";
    const COMFORTABLE: &str = "<html lang=\"en\">";
    let shop = Shop::new();
    assert_eq!(shop.owner().post(&shop.at("members/new"), "email=anna%40partner.test&role=viewer").status, 303);
    // A viewer, who is a partner beside.
    let anna = Visitor::signed_in(&shop.world, "anna@partner.test");
    let shows = |opening: &str| {
        for page in [shop.at(""), shop.at("settings"), shop.at("programs"), "/partner".to_owned()] {
            let page = anna.get(&page);
            assert!(page.status == 200 && page.raw.contains(opening), "{opening}: {}", page.raw);
        }
    };
    shows(COMFORTABLE);
    let own = shop.at("settings/density");
    for place in [own.as_str(), "/partner/settings/density"] {
        assert_eq!(anna.post_from("https://evil.test", place, "density=compact").status, 403);
        for form in ["", "density=", "density=tight"] {
            let refused = anna.post(place, form);
            assert_eq!((refused.status.as_u16(), refused.header("set-cookie")), (400, ""), "{place} {form}");
        }
        shows(COMFORTABLE);
        let kept = anna.post(place, "density=compact");
        assert_eq!(kept.status, 303, "{}", kept.raw);
        assert_eq!(
            kept.header("set-cookie"),
            "__Host-selgeo-density=compact; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure"
        );
        let saved = anna.get(kept.header("location")).raw;
        assert!(saved.contains("Saved.") && saved.contains("<option value=\"compact\" selected>"), "{saved}");
        shows(COMPACT);
        let left = anna.post(place, "density=comfortable");
        assert_eq!(
            left.header("set-cookie"),
            "__Host-selgeo-density=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
        );
        shows(COMFORTABLE);
    }
    // It is the browser's: another one of theirs is as it was.
    assert_eq!(anna.post(&own, "density=compact").status, 303);
    let other = Visitor::signed_in(&shop.world, "anna@partner.test");
    assert!(other.get(&shop.at("")).raw.contains(COMFORTABLE));
    assert_eq!(Visitor::new(&shop.world).post(&own, "density=compact").header("set-cookie"), "");
}
