//! Clicks in packs: each recorded and counted once, whatever comes twice, at once or late; found again; and what they cost.

use domain::click_id::{Click, LinkNumber};
use domain::time::{DAY_MS, HOUR_MS, Instant, MINUTE_MS, SECOND_MS};
use serde_json::{Value as Json, json};

use crate::jobs::{self, Message};
use crate::store::Database;
use crate::store::clicks::ClickRecord;
use crate::store::packs::{self, Least};
use crate::testing::{NextWrite, Program, World};

const ALL: Least = Least { clicks: 1, hours: 0 };

/// A world with so many links of one participant, numbered from 1.
fn world(links: u32) -> (World, Program) {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "link1");
    for number in 2..=links {
        let link = json!({"participant_id": program.participant_id, "ref": format!("link{number}"),
            "landing_url": "https://shop.test/", "name": "x"});
        world.make(&world.keys.sk_test, "links", link);
    }
    (world, program)
}

/// A record as the hot path makes it.
fn record(world: &World, at: Instant, link: u32, nonce: u32) -> ClickRecord {
    let click = Click { at, link: LinkNumber { database: 1, number: link }, nonce };
    ClickRecord {
        click_id: world.app.secrets.clicks.seal(click).unwrap().to_string(),
        workspace_id: world.db.text("SELECT id FROM workspaces"),
        mode: "test".to_owned(),
        link_number: i64::from(link),
        clicked_at: at,
        url: Some("https://shop.test/".to_owned()),
        referrer: Some(format!("https://blog{}.test/post?q=1", nonce % 3)),
        human: nonce % 5 != 4,
        flags: Vec::new(),
        address_hash: Some(format!("{:032x}", nonce % 7)),
        device: Some("desktop".to_owned()),
        browser: Some("chrome".to_owned()),
        country: Some(if nonce.is_multiple_of(2) { "DE" } else { "FR" }.to_owned()),
        request_id: Some(format!("request-{nonce}")),
    }
}

fn messages(records: &[ClickRecord]) -> Vec<Message> {
    records.iter().map(|record| Message::Click(Box::new(record.clone()))).collect()
}

/// Delivers them as one batch.
#[track_caller]
fn deliver(world: &World, records: &[ClickRecord]) {
    assert!(world.handle(messages(records)).iter().all(|done| *done));
}

/// Rows changed so far, those of triggers too; index entries come on top.
fn changes(world: &World) -> i64 {
    world.db.count("SELECT total_changes()")
}

#[track_caller]
fn holds(world: &World, records: i64, humans: i64) {
    assert_eq!((world.records(), world.humans()), (records, humans));
    assert_eq!(world.totals_that_differ(), [""; 0]);
}

#[test]
fn a_batch_is_a_row_or_two_and_what_comes_slowly_is_added_to_a_pack() {
    let (world, _) = world(5);
    let now = world.now();
    let some = |from: u32, count: u32| -> Vec<ClickRecord> {
        (from..from + count).map(|n| record(&world, now.plus_ms(i64::from(n)), n % 5 + 1, n)).collect()
    };
    let cost = |records: &[ClickRecord]| {
        let before = changes(&world);
        deliver(&world, records);
        changes(&world) - before
    };
    // The pack, and at the very first the mark up to which is summed. D1 counts one more, the pack's index entry.
    assert_eq!(cost(&some(0, 100)), 2);
    assert_eq!(cost(&some(100, 100)), 1);
    assert_eq!(world.db.count("SELECT count(*) FROM click_packs"), 2);
    // Slowly: one row a batch, no index entry but the first.
    for batch in 0..12 {
        assert_eq!(cost(&some(200 + batch * 10, 10)), 1);
    }
    assert_eq!(world.db.count("SELECT count(*) FROM click_packs"), 4, "one that has a hundred takes no more");
    // Again: nothing.
    assert_eq!(cost(&some(0, 100)), 0);
    assert_eq!(cost(&some(250, 60)), 0);
    holds(&world, 320, 256);
    // 320 clicks of 5 links come to 18 rows, and the mark: workspace, links by day and for good, participant, 2 countries, device,
    // 3 hosts.
    let before = changes(&world);
    world.sum_clicks();
    assert_eq!(changes(&world) - before, 1 + 5 + 5 + 1 + 2 + 1 + 3 + 1);
    holds(&world, 320, 256);
    assert_eq!(world.db.count("SELECT count(*) FROM unsummed_clicks"), 0);
    // What is summed is not added to.
    assert_eq!(cost(&some(400, 1)), 1);
    assert_eq!(world.db.count("SELECT count(*) FROM click_packs"), 5);
}

#[test]
fn packs_are_summed_when_enough_wait_or_one_waits_long() {
    let (world, _) = world(1);
    let waits = || world.db.count("SELECT COALESCE(SUM(humans + machines), 0) FROM unsummed_clicks");
    let sum = |least| pollster::block_on(jobs::click_sums::run(&world.app, world.now(), least)).unwrap();
    let records: Vec<_> = (0..30).map(|n| record(&world, world.now().plus_ms(i64::from(n) * HOUR_MS), 1, n)).collect();
    deliver(&world, &records);
    sum(Least { clicks: 31, hours: 1 });
    assert_eq!(waits(), 30);
    sum(Least { clicks: 30, hours: 1 });
    assert_eq!(waits(), 0);
    // That wrote workspace, link and participant on two days, link for good, and two countries, a device and three hosts on two days:
    // the next one waits for ten times as many clicks, but not for more than a hundred times the least.
    assert_eq!(world.db.count("SELECT wrote FROM click_sums"), 19);
    let more: Vec<_> = (100..290).map(|n| record(&world, world.now(), 1, n)).collect();
    deliver(&world, &more[..189]);
    sum(Least { clicks: 30, hours: 1 });
    assert_eq!(waits(), 189);
    sum(Least { clicks: 1, hours: 1 });
    assert_eq!(waits(), 0);
    deliver(&world, &more);
    world.sweep();
    assert_eq!(waits(), 1);
    world.pass_ms(23 * HOUR_MS);
    world.sweep();
    assert_eq!(waits(), 1);
    world.pass_ms(HOUR_MS);
    world.sweep();
    assert_eq!(waits(), 0);
    // One that comes very late, of an hour before all that waits and was summed.
    deliver(&world, &[record(&world, world.now().plus_ms(-3 * DAY_MS), 1, 32)]);
    assert_eq!(waits(), 1);
    holds(&world, 221, 177);
    world.sweep();
    assert_eq!(waits(), 0);
    holds(&world, 221, 177);
}

#[test]
fn a_summing_that_comes_twice_at_once_or_unreported_counts_once() {
    let (world, _) = world(2);
    let records: Vec<_> = (0..20).map(|n| record(&world, world.now(), n % 2 + 1, n)).collect();
    deliver(&world, &records);
    let due = pollster::block_on(world.db.rows(packs::due(world.now(), ALL, 10))).unwrap();
    let due = packs::decode_due(&due[0]).unwrap();
    // More comes into the pack after it was found.
    deliver(&world, &[record(&world, world.now(), 1, 20)]);
    for _ in 0..2 {
        pollster::block_on(world.db.batch(packs::sum(&due))).unwrap();
        holds(&world, 21, 17);
    }
    deliver(&world, &[record(&world, world.now(), 1, 21)]);
    world.db.next_write(NextWrite::LandsButReportsFailure);
    let summed = pollster::block_on(jobs::click_sums::run(&world.app, world.now(), ALL));
    assert!(summed.is_err());
    world.sum_clicks();
    holds(&world, 22, 18);
}

#[test]
fn a_batch_that_comes_while_another_one_is_written_counts_once() {
    for (first, second) in [(0..60, 40..100), (40..100, 0..60), (0..100, 0..100), (0..1, 0..1)] {
        for is_summed in [false, true] {
            let (world, _) = world(3);
            let now = world.now();
            let of = |range: std::ops::Range<u32>| -> Vec<ClickRecord> {
                range.map(|n| record(&world, now.plus_ms(i64::from(n % 7)), n % 3 + 1, n)).collect()
            };
            let all = first.start.min(second.start)..first.end.max(second.end);
            if is_summed {
                deliver(&world, &of(10..30));
                world.sum_clicks();
            }
            let (app, faster) = (world.app.clone(), messages(&of(first.clone())));
            world.db.before_next_write(move || {
                assert!(pollster::block_on(jobs::handle(&app, faster)).done.iter().all(|done| *done));
            });
            deliver(&world, &[of(second.clone()), of(second.clone())].concat());
            deliver(&world, &of(first.clone()));
            let came = |n: &u32| all.contains(n) || (is_summed && (10..30).contains(n));
            let (clicks, humans) =
                ((0..100).filter(came).count(), (0..100).filter(came).filter(|n| n % 5 != 4).count());
            holds(&world, clicks as i64, humans as i64);
            world.sum_clicks();
            holds(&world, clicks as i64, humans as i64);
        }
    }
}

#[test]
fn a_batch_that_lands_but_reports_failure_is_taken_again_in_other_company() {
    let (world, _) = world(1);
    let one: Vec<_> = (0..50).map(|n| record(&world, world.now(), 1, n)).collect();
    for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
        world.db.next_write(fate);
        assert!(world.handle(messages(&one)).iter().all(|done| !done));
    }
    let other: Vec<_> = (25..75).map(|n| record(&world, world.now(), 1, n)).collect();
    deliver(&world, &other);
    holds(&world, 75, 60);
}

#[test]
fn a_click_that_a_conversion_had_to_write_gives_way_to_its_own_record() {
    // What is summed when.
    for sums in 0..8 {
        let (world, _) = world(1);
        let sum_if = |bit: u32| {
            if sums & (1 << bit) != 0 {
                world.sum_clicks();
            }
        };
        let at = world.now();
        deliver(&world, &[record(&world, at, 1, 0)]);
        sum_if(0);
        world.pass_ms(MINUTE_MS);
        // Number 4 is a machine's; the conversion cannot know.
        let (own, early) = (record(&world, at, 1, 4), record(&world, at, 1, 5));
        let sale = |transaction: &str, click: &ClickRecord| {
            let body =
                json!({"click_id": click.click_id, "external_transaction_id": transaction, "event_type": "purchase"});
            assert_eq!(world.api("POST /api/v1/conversions", body).status, 201);
        };
        sale("before", &own);
        holds(&world, 2, 2);
        sum_if(1);
        deliver(&world, &[own.clone(), early.clone()]);
        holds(&world, 3, 2);
        assert_eq!(world.db.count("SELECT count(*) FROM clicks"), 0);
        sum_if(2);
        sale("after", &early);
        sale("again", &own);
        deliver(&world, &[early, own]);
        holds(&world, 3, 2);
        world.sum_clicks();
        holds(&world, 3, 2);
    }
}

#[test]
fn a_click_of_before_the_last_purge_is_written_and_not_counted_again() {
    let (world, _) = world(1);
    let at = world.now();
    let old: Vec<_> = (0..3).map(|n| record(&world, at, 1, n)).collect();
    deliver(&world, &old);
    world.pass_ms(397 * DAY_MS);
    world.sweep();
    assert_eq!((world.records(), world.humans()), (0, 3), "summed first, then purged");
    // One comes again, beside one that is new and of the same time; and a conversion names one.
    let program = format!("UPDATE programs SET attribution_window_days = {}", 365);
    world.db.execute(&program).unwrap();
    deliver(&world, &old[..2]);
    assert_eq!((world.records(), world.humans()), (2, 3));
    world.sum_clicks();
    assert_eq!((world.records(), world.humans()), (2, 3));
    world.pass_ms(DAY_MS);
    world.sweep();
    assert_eq!((world.records(), world.humans()), (0, 3));
    // A conversion wrote it, a purge went over it, its own record comes: it was counted as the conversion's.
    let late = record(&world, world.now().plus_ms(-364 * DAY_MS), 1, 9);
    let body = json!({"click_id": late.click_id, "external_transaction_id": "late", "event_type": "purchase"});
    let sale = world.api("POST /api/v1/conversions", body);
    assert_eq!(sale.text("/attribution/reason"), "attributed_click", "{}", sale.raw);
    assert_eq!((world.records(), world.humans()), (1, 4));
    world.db.execute(&format!("UPDATE workspaces SET clicks_purged_until = {}", world.now().ms())).unwrap();
    deliver(&world, &[late]);
    assert_eq!((world.records(), world.humans()), (1, 4));
    world.sum_clicks();
    assert_eq!((world.records(), world.humans()), (1, 4));
}

#[test]
fn a_pack_keeps_all_that_a_record_says() {
    let (world, program) = world(1);
    let mut one = record(&world, world.now(), 1, 3);
    one.url = Some("https://shop.test/?q=\"\\\u{1}ü\u{1f600}'".to_owned());
    one.flags = vec!["unmetered".to_owned(), "pre\"view".to_owned()];
    one.request_id = Some("re\"qu\\est".to_owned());
    let mut two = record(&world, world.now().plus_ms(5), 1, 4);
    two = ClickRecord {
        url: None,
        referrer: None,
        address_hash: None,
        device: None,
        browser: None,
        country: None,
        request_id: None,
        ..two
    };
    deliver(&world, &[one.clone(), two.clone()]);
    let scope = crate::store::Scope {
        workspace_id: domain::ids::Id::parse(&one.workspace_id).unwrap(),
        mode: domain::mode::Mode::Test,
    };
    for click in [&one, &two] {
        let sought = (click.click_id.as_str(), world.app.secrets.clicked_at(&click.click_id));
        let found = crate::store::clicks::by_ids(&scope, &[sought, ("x", None)]).unwrap();
        let rows = pollster::block_on(world.db.rows(found)).unwrap();
        let found = crate::store::clicks::decode(&rows[0]).unwrap();
        assert_eq!((rows.len(), &found.record), (1, click));
        assert_eq!(
            (found.link_id, found.participant_id),
            (Some(program.link_id.clone()), Some(program.participant_id.clone()))
        );
    }
    assert_eq!(world.db.text("SELECT group_concat(referrer_host) FROM packed_clicks"), "blog0.test");
    assert_eq!(
        world.db.text("SELECT records FROM click_packs").replace(&one.click_id, "c").replace(&two.click_id, "d"),
        r#"[["c",1,1780315200000,1,["unmetered","pre\"view"],"https://shop.test/?q=\"\\\u0001ü😀'","https://blog0.test/post?q=1","blog0.test","00000000000000000000000000000003","desktop","chrome","FR","re\"qu\\est"],["d",1,1780315200005,0,[],null,null,null,null,null,null,null,null]]"#,
        "the format of what is stored"
    );
}

/// Every click of a list, page by page.
fn all(world: &World, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    for _ in 0..10_000 {
        let answer = world.api(&format!("GET /api/v1/clicks?{query}{cursor}"), json!(null));
        assert_eq!(answer.status, 200, "{}", answer.raw);
        let page = answer.body["data"].as_array().unwrap();
        found.extend(page.iter().map(|click| click["id"].as_str().unwrap().to_owned()));
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
        // The limit per address is not what is looked at here.
        world.pass_ms(SECOND_MS);
    }
    panic!("the list has no end");
}

/// Holds lists of all sorts against what was written.
#[track_caller]
fn lists_hold(world: &World, program: &Program, records: &[ClickRecord], limit: u32) {
    let links = world.db.text("SELECT group_concat(id) FROM (SELECT id FROM links ORDER BY number)");
    let links: Vec<&str> = links.split(',').collect();
    let middle = records[records.len() / 2].clicked_at;
    let check = |query: &str, is_it: &dyn Fn(&ClickRecord) -> bool| {
        let mut expected: Vec<_> = records.iter().filter(|record| is_it(record)).collect();
        expected.sort_by_key(|record| std::cmp::Reverse((record.clicked_at, &record.click_id)));
        let expected: Vec<_> = expected.into_iter().map(|record| record.click_id.clone()).collect();
        let found = all(world, &format!("limit={limit}&{query}"));
        assert!(found == expected, "{query}: {} of {}", found.len(), expected.len());
    };
    check("", &|_| true);
    check("human=false", &|record| !record.human);
    check(&format!("link_id={}", links[1]), &|record| record.link_number == 2);
    check(&format!("link_id={}&human=true", links[2]), &|record| record.link_number == 3 && record.human);
    check(&format!("participant_id={}&to={middle}", program.participant_id), &|record| record.clicked_at < middle);
    check(&format!("from={middle}"), &|record| record.clicked_at >= middle);
    check(&format!("from={middle}&to={}", middle.plus_ms(1)), &|record| record.clicked_at == middle);
    check("link_id=link_01kdvdna00000g40r40m30e209", &|_| false);
}

#[test]
fn lists_go_through_packs_summed_or_not_and_single_rows() {
    let (world, program) = world(3);
    let start = world.now();
    let mut records = Vec::new();
    for n in 0..700 {
        // Some days apart, and many within one second; link 3 is rarely clicked.
        let at = start.plus_ms(i64::from(n / 35) * 3 * DAY_MS + i64::from(n % 35 / 5) * MINUTE_MS + i64::from(n % 4));
        let link = if n % 100 == 0 { 3 } else { n % 2 + 1 };
        records.push(record(&world, at, link, n));
    }
    // Not in the order of time.
    let (early, late): (Vec<_>, Vec<_>) = records.iter().cloned().partition(|record| record.link_number == 1);
    for some in late.chunks(90) {
        deliver(&world, some);
    }
    world.sum_clicks();
    for some in early.chunks(40) {
        deliver(&world, some);
    }
    // Those of the first days are rows of their own, as from before there were packs.
    let days = format!("clicked_at < {}", start.plus_ms(10 * DAY_MS).ms());
    let unpack = format!(
        "CREATE TEMP TABLE moved AS SELECT click_id, workspace_id, mode, link_number, clicked_at, url, referrer, human, flags, address_hash, \
         device, browser, country, request_id FROM packed_clicks WHERE {days}"
    );
    world.db.execute(&unpack).unwrap();
    world.db.execute(&format!("DELETE FROM click_packs WHERE last_at < {}", start.plus_ms(10 * DAY_MS).ms())).unwrap();
    world.db.execute("INSERT INTO clicks SELECT * FROM moved").unwrap();
    assert_eq!(world.records(), 700);
    world.pass_ms(60 * DAY_MS);
    lists_hold(&world, &program, &records, 37);
}

#[test]
fn a_rare_link_is_found_over_many_days_and_in_more_packs_than_one_page_looks_at() {
    let (world, program) = world(3);
    let start = world.now();
    let mut records = Vec::new();
    for n in 0..900 {
        // A pack each, of an hour; link 2 has clicks on 40 days, link 3 on three.
        let link = if n % 300 == 299 {
            3
        } else if n % 22 == 0 {
            2
        } else {
            1
        };
        records.push(record(&world, start.plus_ms(i64::from(n) * HOUR_MS), link, n));
    }
    for some in records.chunks(100) {
        deliver(&world, some);
    }
    world.sum_clicks();
    world.pass_ms(40 * DAY_MS);
    lists_hold(&world, &program, &records, 100);
    let third = world.db.text("SELECT id FROM links WHERE number = 3");
    let once = world.api(&format!("GET /api/v1/clicks?link_id={third}"), json!(null));
    assert_eq!(
        (once.body["data"].as_array().unwrap().len(), &once.body["next_cursor"]),
        (3, &Json::Null),
        "days without are skipped"
    );
}

#[test]
fn more_packs_of_one_moment_than_a_page_looks_at_are_no_dead_end() {
    let (world, program) = world(3);
    let start = world.now();
    let mut records = Vec::new();
    // After an hour in which the queue stood still: every batch has clicks of all of it.
    for n in 0..230 {
        let pair = [n, n + 1_000].map(|nonce| {
            let at = if nonce < 1_000 { n } else { 3_599_000 - n };
            record(&world, start.plus_ms(i64::from(at)), n % 3 + 1, nonce)
        });
        deliver(&world, &pair);
        world.sum_clicks();
        records.extend(pair);
    }
    assert_eq!(world.db.count("SELECT count(*) FROM click_packs"), 230);
    world.pass_ms(HOUR_MS);
    lists_hold(&world, &program, &records, 100);
}

#[test]
fn what_the_code_from_before_writes_counts_while_it_still_runs() {
    let (world, _) = world(2);
    let one = record(&world, world.now(), 1, 1);
    let insert = |click: &ClickRecord, human: bool, flags: &str| {
        let sql = format!(
            "INSERT INTO clicks (click_id, workspace_id, mode, link_number, clicked_at, human, flags) VALUES ('{}', '{}', 'test', {}, {}, \
             {human}, '{flags}') ON CONFLICT (click_id) DO UPDATE SET human = excluded.human, flags = excluded.flags \
             WHERE clicks.flags = '[\"recovered\"]'",
            click.click_id,
            click.workspace_id,
            click.link_number,
            click.clicked_at.ms()
        );
        world.db.execute(&sql).unwrap()
    };
    insert(&one, true, "[\"recovered\"]");
    holds(&world, 1, 1);
    insert(&one, false, "[]");
    holds(&world, 1, 0);
    insert(&one, true, "[]");
    holds(&world, 1, 0);
    // The same message comes to the new code, and the other way about.
    deliver(&world, &[one, record(&world, world.now(), 2, 2)]);
    holds(&world, 2, 1);
    assert_eq!(insert(&record(&world, world.now(), 2, 2), true, "[]"), 0);
    holds(&world, 2, 1);
}

#[test]
fn totals_from_before_there_were_packs_are_taken_over() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    for file in files {
        if file.ends_with("0020_click_packs.sql") {
            let before = "INSERT INTO workspaces (id, name, clicks_per_minute, conversions_per_minute, other_per_minute, created_at) \
                VALUES ('ws', 'x', 1, 1, 1, 0);
                INSERT INTO programs (id, workspace_id, mode, name, slug, status, attribution_window_days, attribution_model, created_at) \
                VALUES ('g', 'ws', 'test', 'x', 'x', 'active', 30, 'last_click', 0);
                INSERT INTO partners (id, workspace_id, mode, name, email, created_at) VALUES ('a', 'ws', 'test', 'x', 'x', 0);
                INSERT INTO participants (id, workspace_id, mode, program_id, partner_id, status, created_at) \
                VALUES ('p', 'ws', 'test', 'g', 'a', 'approved', 0);
                INSERT INTO links (number, id, workspace_id, mode, participant_id, ref, slug, landing_url, name, status, created_at) \
                VALUES (7, 'l', 'ws', 'test', 'p', 'x', 'x', 'x', 'x', 'active', 0);
                INSERT INTO daily_clicks VALUES ('ws', 'test', 100, 2, 0), ('ws', 'test', 101, 1, 1);
                INSERT INTO clicks (click_id, workspace_id, mode, link_number, clicked_at, human, flags) SELECT value, 'ws', 'test', 7, \
                8640000000 + 43200000 * value, value <> 3, '[]' FROM json_each('[0, 1, 2, 3]');";
            connection.execute_batch(before).unwrap();
        }
        connection.execute_batch(&std::fs::read_to_string(&file).unwrap()).unwrap();
    }
    let sql =
        "SELECT group_concat(concat(kind, ' ', name, ' ', day, ': ', humans, ' ', machines), '; ') FROM click_totals";
    let totals: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(
        totals,
        "all  100: 2 0; all  101: 1 1; link 7 100: 2 0; link 7 101: 1 1; link_ever 7 0: 3 1; participant p 100: 2 0; participant p 101: 1 1"
    );
}

#[test]
fn clicks_that_came_together_travel_together_and_no_message_is_too_long() {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    let long = "\u{1}".repeat(2_048);
    for number in 0..60 {
        let (url, referrer) = if number < 50 { ("https://shop.test/", "") } else { (long.as_str(), long.as_str()) };
        let body = json!({"merchant": world.keys.pk_test, "ref": "anna", "url": url, "referrer": referrer});
        assert_eq!(world.send("POST /v1/clicks", &[], body).status, 201);
    }
    let records = world.queued().iter().flat_map(Message::clicks).cloned().collect();
    let messages = jobs::messages_of(records);
    let sizes: Vec<usize> = messages.iter().map(|message| message.clicks().len()).collect();
    assert_eq!((&sizes[..2], sizes.iter().sum::<usize>()), (&[25, 25][..], 60), "{sizes:?}");
    assert!(messages.iter().all(|message| serde_json::to_string(message).unwrap().len() < 128_000));
    // And no batch of them is more than a queue takes at once.
    let bytes = |batch: &[Message]| batch.iter().map(|one| serde_json::to_string(one).unwrap().len()).sum::<usize>();
    let batches = jobs::batches_of(messages.clone());
    assert!(batches.len() > 1 && batches.iter().all(|batch| bytes(batch) < 256_000), "{}", batches.len());
    assert_eq!(batches.concat(), messages);
    assert!(world.handle(messages.clone()).iter().all(|done| *done));
    assert!(world.handle(messages).iter().all(|done| *done));
    assert_eq!(world.db.count("SELECT count(*) FROM packed_clicks"), 60);
}

#[test]
fn of_a_great_batch_only_what_failed_is_delivered_again() {
    let (world, _) = world(1);
    let now = world.now();
    let all: Vec<ClickRecord> = (0..600).map(|nonce| record(&world, now, 1, nonce)).collect();
    let messages: Vec<Message> = all.chunks(20).map(|some| Message::Clicks { records: some.to_vec() }).collect();
    world.db.next_write(NextWrite::IsLost);
    let done = world.handle(messages.clone());
    assert_eq!(done.iter().filter(|done| !**done).count(), 12, "the first 240 clicks");
    assert_eq!(world.db.count("SELECT count(*) FROM packed_clicks"), 360);
    assert!(world.handle(messages).iter().all(|done| *done));
    assert_eq!(world.db.count("SELECT count(*) FROM packed_clicks"), 600);
}
