use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};

use crate::store::imports as table;
use crate::testing::{Answer, NextWrite, OPERATOR_TOKEN, Visitor, World};

const IMPORT: &str = "POST /api/v1/imports";

/// A world with the program `friends`, and its host registered.
fn world() -> (World, String) {
    let world = World::new();
    let program = world.api("POST /api/v1/programs", json!({"name": "Friends", "slug": "friends", "status": "active"}));
    assert_eq!(program.status, 201, "{}", program.raw);
    world.api("POST /api/v1/hosts", json!({"host": "shop.test"}));
    (world, program.text("/id"))
}

fn import(world: &World, kind: &str, csv: &str, dry_run: bool) -> Answer {
    world.pass_ms(1_000);
    let answer = world.api(IMPORT, json!({"kind": kind, "csv": csv, "dry_run": dry_run}));
    assert_eq!(answer.status, 200, "{}", answer.raw);
    answer
}

/// Each row in words: `2 created`, `3 error email: must be …`.
fn told(answer: &Answer) -> Vec<String> {
    let rows = answer.body["rows"].as_array().unwrap().iter();
    rows.map(|row| {
        let mut line = format!("{} {}", row["line"], row["outcome"].as_str().unwrap());
        for wrong in row["errors"].as_array().unwrap() {
            line += &format!(" {}: {}", wrong["field"].as_str().unwrap(), wrong["message"].as_str().unwrap());
        }
        for column in row["differs"].as_array().into_iter().flatten() {
            line += &format!(" differs {}", column.as_str().unwrap());
        }
        line
    })
    .collect()
}

#[track_caller]
fn check(world: &World, kind: &str, csv: &str, expected: &[&str]) {
    assert_eq!(told(&import(world, kind, csv, false)), expected, "{csv}");
}

const PARTNERS: &str = "\u{feff}Email,name,program,status\r\n\
    anna@partner.test,\"Anna, the \"\"first\"\"\",friends,approved\r\n\
    Bert@Partner.test ,Bert,,\r\n\r\n\
    carl@partner.test,Carl,friends,\r\n";
const LINKS: &str = "email,program,ref,landing_url,slug\nanna@partner.test,friends,anna,https://shop.test/,anna-shop\n\
    carl@partner.test,friends,carl,https://shop.test/x,\n";
const CODES: &str = "email,program,code,stripe_promotion_code_id\nanna@partner.test,friends,ANNA10,promo_1\n\
    carl@partner.test,friends,carl10,\n";

#[test]
fn a_file_is_tried_dry_then_imported_and_the_same_again_changes_nothing() {
    let (world, _) = world();
    let rows = "(SELECT count(*) FROM partners) + (SELECT count(*) FROM participants) + (SELECT count(*) FROM links) \
        + (SELECT count(*) FROM promo_codes)";
    for (kind, csv, lines, made) in
        [("partners", PARTNERS, &[2, 3, 5][..], 5), ("links", LINKS, &[2, 3], 7), ("promo_codes", CODES, &[2, 3], 9)]
    {
        let all = |outcome: &str| lines.iter().map(|line| format!("{line} {outcome}")).collect::<Vec<_>>();
        let before = world.db.count(&format!("SELECT {rows}"));
        assert_eq!(told(&import(&world, kind, csv, true)), all("would_create"));
        assert_eq!(world.db.count(&format!("SELECT {rows}")), before);
        let made_now = import(&world, kind, csv, false);
        assert_eq!((told(&made_now), &made_now.body["counts"]["created"]), (all("created"), &json!(lines.len())));
        assert_eq!(world.db.count(&format!("SELECT {rows}")), made);
        let acts = "SELECT count(*) FROM acts WHERE kind = 'workspace.import'";
        let acted = world.db.count(acts);
        let again = import(&world, kind, csv, false);
        assert_eq!((told(&again), &again.body["counts"]["unchanged"]), (all("unchanged"), &json!(lines.len())));
        assert_eq!((world.db.count(&format!("SELECT {rows}")), world.db.count(acts)), (made, acted));
        let id = |answer: &Answer| answer.body["rows"][0]["id"].clone();
        assert_eq!(id(&again), id(&made_now));
    }
    let named = world.db.text("SELECT name || '/' || email FROM partners ORDER BY id LIMIT 1");
    assert!(
        ["Anna, the \"first\"/anna@partner.test", "Bert/bert@partner.test", "Carl/carl@partner.test"]
            .contains(&named.as_str())
    );
    // They are as others are: a click counts, and who joined is told of.
    world.click(&world.keys.pk_test, "anna");
    assert_eq!(world.send("GET /r/anna-shop", &[], json!(null)).status, 302);
    assert_eq!(world.db.count("SELECT count(*) FROM events WHERE type = 'participant.created'"), 2);
    assert_eq!(world.db.count("SELECT count(*) FROM events WHERE type = 'participant.approved'"), 1);
}

#[test]
fn every_broken_row_says_what_is_wrong_with_it_and_stops_no_other() {
    let (world, program) = world();
    let other = world.workspace("Other");
    let foreign = world.program(&other.sk_test, "foreign");
    let elsewhere = world.program(&world.keys.sk_live, "live-one");
    check(
        &world,
        "partners",
        &format!(
            "email,name,program,status\nno address,X,,\n,X,,\nnew@partner.test,,,\nx@partner.test,X,{},\ny@partner.test,Y,{},\n\
             z@partner.test,Z,friends,suspended\nw@partner.test,W,,approved\nshort@partner.test,S\ngood@partner.test,Good,{program},\n\
             good@partner.test,Good,friends,\n\"open@partner.test,O,,\nlast@partner.test,L,,\n",
            foreign.program_id, elsewhere.program_id
        ),
        &[
            "2 error email: must be an e-mail address",
            "3 error email: is required",
            "4 error name: is required of a partner who is not there yet",
            "5 error program: names no program of this workspace and mode, by id or by slug",
            "6 error program: names no program of this workspace and mode, by id or by slug",
            "7 error status: must be one of pending, approved",
            "8 error status: is what the partner is in a program; name the program",
            "9 error : has 2 cells, and the header line 4",
            "10 created",
            "11 error email: is in line 10 already",
            "12 error : has 1 cells, and the header line 4",
        ],
    );
    let good = world
        .db
        .text("SELECT id FROM participants WHERE program_id IN (SELECT id FROM programs WHERE slug = 'friends')");
    check(
        &world,
        "links",
        &format!(
            "participant_id,email,program,ref,landing_url,slug\n{good},,,good,https://shop.test/,\n{good},,,good,https://shop.test/,\n\
             {good},,,a b,https://shop.test/,\n{good},,,c,ftp://shop.test/,\n{good},,,d,https://other.test/,\n\
             {good},,,e,https://shop.test/,Bad Slug\n{good},,,f,https://shop.test/,one\n{good},,,g,https://shop.test/,one\n\
             {},,,h,https://shop.test/,\n,good@partner.test,,i,https://shop.test/,\n,nobody@partner.test,friends,j,https://shop.test/,\n\
             {good},x@partner.test,,k,https://shop.test/,\nppt_1,,,l,https://shop.test/,\n{good},,,,,\n",
            foreign.participant_id
        ),
        &[
            "2 created",
            "3 error ref: is in line 2 already",
            "4 error ref: must not contain white space",
            "5 error landing_url: must be an http or https URL",
            "6 error landing_url: other.test is not a registered host of this workspace and mode; register it under hosts",
            "7 error slug: must be lower-case letters, digits and inner dashes",
            "8 created",
            "9 error slug: is taken",
            "10 error participant_id: names nobody in this workspace and mode",
            "11 error program: is required where no participant_id is given",
            "12 error email: is nobody's who takes part in this program; import the partner first",
            "13 error email: is not the participant's",
            "14 error participant_id: must be an id that begins with ppt_",
            "15 error ref: is required landing_url: is required",
        ],
    );
    check(
        &world,
        "promo_codes",
        &format!(
            "participant_id,code,stripe_promotion_code_id\n{good},ONE,promo_1\n{good},one,promo_2\n{good},TWO,promo_1\n\
             {good},THREE,coupon_1\n{},FOUR,\n{good},,\n{good},{},\n",
            foreign.participant_id,
            "x".repeat(101)
        ),
        &[
            "2 created",
            "3 error code: is in line 2 already",
            "4 error stripe_promotion_code_id: is taken by another code",
            "5 error stripe_promotion_code_id: must be the id of a Stripe promotion code, promo_…",
            "6 error participant_id: names nobody in this workspace and mode",
            "7 error code: is required",
            "8 error code: must have 1 to 100 characters; has 101",
        ],
    );
}

#[test]
fn what_is_there_is_never_changed_and_what_a_file_says_otherwise_is_told() {
    let (world, _) = world();
    for (kind, csv) in [("partners", PARTNERS), ("links", LINKS), ("promo_codes", CODES)] {
        import(&world, kind, csv, false);
    }
    let before = world.db.everything();
    check(
        &world,
        "partners",
        "email,name,program,status\nanna@partner.test,Anne,friends,pending\nanna@partner.test,,,\n",
        &["2 unchanged differs name differs status", "3 unchanged"],
    );
    check(
        &world,
        "links",
        "email,program,ref,landing_url,slug,name\nanna@partner.test,friends,anna,https://shop.test/y,b,N\n\
         carl@partner.test,friends,anna,https://shop.test/,,\nanna@partner.test,friends,new,https://shop.test/,anna-shop,\n",
        &[
            "2 unchanged differs landing_url differs slug differs name",
            "3 error ref: is another participant's",
            "4 error slug: is taken",
        ],
    );
    check(
        &world,
        "promo_codes",
        "email,program,code,stripe_promotion_code_id\nanna@partner.test,friends,anna10,promo_9\n\
         carl@partner.test,friends,ANNA10,\ncarl@partner.test,friends,NEW,promo_1\n",
        &[
            "2 unchanged differs stripe_promotion_code_id",
            "3 error code: is another participant's",
            "4 error stripe_promotion_code_id: is taken by another code",
        ],
    );
    assert_eq!(world.db.everything(), before);
}

#[test]
fn a_file_of_another_shape_is_refused_as_a_whole() {
    let (world, _) = world();
    let refused = |kind: &str, csv: &str, expected: &str| {
        let answer = world.api(IMPORT, json!({"kind": kind, "csv": csv}));
        assert_eq!(answer.summary(), "400 VALIDATION_ERROR", "{csv}");
        assert!(answer.raw.contains(expected), "{expected}: {}", answer.raw);
    };
    refused("partners", "name\nAnna\n", "line 1: the column email is missing");
    refused("partners", "email;name\na@b.test;A\n", "there is no column");
    refused("partners", "email,mail\n", "there is no column");
    refused("partners", "email,email\n", "the column email is there twice");
    refused("links", "ref\nx\n", "the column landing_url is missing");
    refused("promo_codes", "\u{1}\u{2}\n", "there is no column");
    refused("dragons", "email\n", "must be one of partners, links, promo_codes");
    refused("partners", "", "must have 1 to 61440 characters");
    refused("partners", &format!("email\n{}", "x@y.test\n".repeat(501)), "must have at most 500 rows");
    let many = import(&world, "partners", &format!("email\n{}", "x@y.test\n".repeat(500)), true);
    assert_eq!(many.body["counts"]["error"], 500);
    assert_eq!(world.api(IMPORT, json!({"kind": "partners", "csv": "x".repeat(64 * 1024)})).status, 413);
    assert_eq!(world.api(IMPORT, json!({"csv": "email\n"})).summary(), "400 VALIDATION_ERROR");
    // Empty but for its header line.
    assert_eq!(told(&import(&world, "partners", "email,name", false)), [""; 0]);
}

#[test]
fn a_file_may_come_as_it_is() {
    let (world, _) = world();
    let bearer = format!("Bearer {}", world.keys.sk_test);
    let send = |query: &str, media_type: &str, body: &[u8]| {
        let headers = [("authorization", bearer.as_str()), ("content-type", media_type)];
        world.send_bytes(&format!("{IMPORT}{query}"), &headers, body.to_vec())
    };
    let csv = b"email,name\nanna@partner.test,Anna\n";
    let dry = send("?kind=partners&dry_run=true", "text/csv; charset=utf-8", csv);
    assert_eq!(told(&dry), ["2 would_create"]);
    assert_eq!(told(&send("?kind=partners", "text/csv", csv)), ["2 created"]);
    let latin = send("?kind=partners", "text/csv", b"email,name\na@partner.test,Ren\xe9\n");
    assert!(latin.raw.contains("must be UTF-8; line 2 is not"), "{}", latin.raw);
    assert_eq!(send("", "text/csv", csv).summary(), "400 VALIDATION_ERROR");
    assert_eq!(send("?kind=partners", "text/html", csv).summary(), "415 UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(send("?kind=partners", "text/csv", &[b'x'; 65 * 1024]).summary(), "413 PAYLOAD_TOO_LARGE");
}

#[test]
fn what_another_takes_meanwhile_is_judged_again() {
    let (world, _) = world();
    import(&world, "partners", PARTNERS, false);
    let anna = world.db.text(
        "SELECT m.id FROM participants m JOIN partners p ON p.id = m.partner_id WHERE p.email = 'anna@partner.test'",
    );
    let link = json!({"participant_id": anna, "ref": "raced", "landing_url": "https://shop.test/", "slug": "raced"});
    world.before_next_write("POST /api/v1/links", link);
    check(
        &world,
        "links",
        &format!("participant_id,ref,landing_url\n{anna},raced,https://shop.test/\n{anna},free,https://shop.test/\n"),
        &["2 unchanged", "3 created"],
    );
    world.before_next_write("POST /api/v1/partners", json!({"name": "Dora", "email": "dora@partner.test"}));
    check(&world, "partners", "email,name,program\ndora@partner.test,Dora,friends\n", &["2 created"]);
    assert_eq!(world.db.count("SELECT count(*) FROM partners WHERE email = 'dora@partner.test'"), 1);
    for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
        world.db.next_write(fate);
        let body = json!({"kind": "partners", "csv": "email,name\nemil@partner.test,Emil\n"});
        assert_eq!(world.api(IMPORT, body).summary(), "503 UNAVAILABLE");
    }
    check(&world, "partners", "email,name\nemil@partner.test,Emil\n", &["2 unchanged"]);
}

#[test]
fn a_code_that_stripe_named_before_wakes_its_sales_and_a_large_file_costs_few_trips() {
    let (world, _) = world();
    import(&world, "partners", PARTNERS, false);
    let connection = world.stripe_connection(&world.keys.sk_test);
    let reward = world.db.text("SELECT id FROM programs WHERE slug = 'friends'");
    let reward = json!({"program_id": reward, "trigger": "sale", "percent_bps": 2_000});
    assert_eq!(world.api("POST /api/v1/rewards", reward).status, 201);
    world.pass_ms(MINUTE_MS);
    let discounts = json!({"discounts": [{"coupon": null, "promotion_code": "promo_1"}]});
    world.stripe(&connection, &crate::testing::session_completed("1", world.now().seconds(), discounts));
    world.deliver();
    assert_eq!(world.db.count("SELECT count(*) FROM commissions"), 0);
    import(&world, "promo_codes", CODES, false);
    world.deliver();
    assert_eq!(world.db.count("SELECT count(*) FROM commissions"), 1);
    let mut rows = String::from("email,name,program,status\n");
    for n in 0..500 {
        rows += &format!("p{n}@partner.test,P {n},friends,approved\n");
    }
    world.round_trips();
    assert_eq!(import(&world, "partners", &rows, false).body["counts"]["created"], 500);
    assert!(world.round_trips() <= 4);
}

#[test]
fn programs_from_traaaction_bring_their_ways_along() {
    let (world, program) = world();
    let body = |dry_run: bool| json!({"kind": "partners", "csv": PARTNERS, "source": "traaaction", "dry_run": dry_run});
    let set = "SELECT track_by_workspace_id + (SELECT sum(reverse_pending_on_end) FROM programs) FROM workspaces WHERE name = 'First'";
    assert_eq!(world.api(IMPORT, body(true)).body["settings"]["reverse_pending_on_end"], json!([program]));
    assert_eq!(world.db.count(set), 0);
    // That the workspace's id suffices is an owner's to say, not a key's.
    let by_key = world.api(IMPORT, body(false));
    assert_eq!((by_key.status.as_u16(), &by_key.body["settings"]["track_by_workspace_id"]), (200, &json!(false)));
    assert_eq!(world.db.count(set), 1);
    let workspace = world.api("GET /api/v1/workspace", json!(null)).text("/id");
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    let line = format!("POST /operator/v1/workspaces/{workspace}/owners");
    let made = world.send(&line, &[("authorization", &operator)], json!({"owner_email": "olga@shop.test"}));
    assert_eq!(made.status, 201, "{}", made.raw);
    let by_owner = Visitor::signed_in(&world, "olga@shop.test").api(&workspace, IMPORT, body(false));
    assert_eq!(by_owner.body["settings"]["track_by_workspace_id"], json!(true), "{}", by_owner.raw);
    assert_eq!(world.db.count(set), 2);
    let wrong = json!({"kind": "partners", "csv": PARTNERS, "source": "elsewhere"});
    assert_eq!(world.api(IMPORT, wrong).summary(), "400 VALIDATION_ERROR");
    let act = world.db.text("SELECT detail FROM acts WHERE kind = 'workspace.import' ORDER BY id LIMIT 1");
    assert_eq!(serde_json::from_str::<Json>(&act).unwrap()["from_traaaction"], true);
}

#[test]
fn a_row_that_is_wrong_takes_nothing_from_a_later_one() {
    let (world, _) = world();
    let rows = "email,name,program\nnora@partner.test,,friends\nnora@partner.test,Nora,friends\nnora@partner.test,Nora,friends\n";
    let told = world.api(IMPORT, json!({"kind": "partners", "csv": rows})).body;
    let outcomes: Vec<&str> =
        told["rows"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["error", "created", "error"], "{told}");
}

#[test]
fn what_rows_name_is_found_by_an_index_however_many_there_are() {
    let (world, _) = world();
    let workspace_id = domain::ids::Id::parse(&world.db.text("SELECT id FROM workspaces")).unwrap();
    let scope = crate::store::Scope { workspace_id, mode: domain::mode::Mode::Test };
    for statement in [
        table::partners(&scope, &["x"]).unwrap(),
        table::participants(&scope, &["x"], &["x"]).unwrap(),
        table::links(&scope, &["x"]).unwrap(),
    ] {
        let plan = world.db.plan(statement.sql());
        let is_whole = |line: &&str| {
            line.ends_with("(workspace_id=? AND mode=?)") || line.starts_with("SCAN") && !line.contains(" j")
        };
        let whole = plan.lines().find(is_whole);
        assert_eq!(whole, None, "{}\n{plan}", statement.sql());
    }
}
