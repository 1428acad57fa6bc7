//! The portal, by requests: what each page shows, whose it is, and what it takes.

use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use serde_json::{Value as Json, json};

use crate::pages::POLICY;
use crate::testing::{Answer, Program, Visitor, World};

const NOTHING: Json = Json::Null;
const EMAIL: &str = "anna@partner.test";
const PAGES: [&str; 10] = [
    "",
    "/links",
    "/codes",
    "/clicks",
    "/conversions",
    "/commissions",
    "/statements",
    "/questions",
    "/notices",
    "/settings",
];

struct Scene {
    world: World,
    key: String,
    pk: String,
    program: Program,
    click_id: String,
}

/// A partner with a click; commissions of a fifth, held for a day.
fn scene(live: bool) -> Scene {
    let world = World::new();
    let (key, pk) = match live {
        true => (world.keys.sk_live.clone(), world.keys.pk_live.clone()),
        false => (world.keys.sk_test.clone(), world.keys.pk_test.clone()),
    };
    let rewards = json!([{"trigger": "sale", "percent_bps": 2000, "hold_days": 1}]);
    let described = json!({"rewards": rewards, "minimum_payout_cents": 1_500});
    let program = world.program_with(&key, "anna", described);
    world.make(&key, "promo-codes", json!({"participant_id": program.participant_id, "code": "ANNA20"}));
    let browser = [("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")];
    let clicked = world.send("POST /v1/clicks", &browser, json!({"merchant": pk, "ref": "anna"}));
    let click_id = clicked.text("/click_id");
    world.deliver();
    world.pass_ms(MINUTE_MS);
    Scene { world, key, pk, program, click_id }
}

impl Scene {
    fn sell(&self, transaction: &str) -> String {
        let sale = json!({"click_id": self.click_id, "external_transaction_id": transaction, "event_type": "purchase",
            "amount_cents": 10_000, "currency": "EUR", "prospect_email": "buyer@secret.test",
            "customer_external_id": "customer-7", "metadata": {"note": "buyers-note"}});
        let sold = self.world.api_as(&self.key, "POST /api/v1/conversions", sale);
        assert_eq!(sold.status, 201, "{}", sold.raw);
        self.world.deliver();
        self.world.pass_ms(1);
        sold.text("/id")
    }

    fn api(&self, line: &str, body: Json) -> Answer {
        self.world.pass_ms(1);
        let answer = self.world.api_as(&self.key, line, body);
        assert!(answer.status.is_success(), "{line} {}", answer.raw);
        answer
    }

    fn commission(&self) -> String {
        self.api("GET /api/v1/commissions", NOTHING).text("/data/0/id")
    }

    fn anna(&self) -> Visitor<'_> {
        Visitor::signed_in(&self.world, EMAIL)
    }
}

#[track_caller]
fn check(answer: &Answer, status: u16, texts: &[&str]) {
    assert_eq!(answer.status, status, "{}", answer.raw);
    for text in texts {
        assert!(answer.raw.contains(text), "{text} is not in {}", answer.raw);
    }
    assert_eq!(answer.header("content-security-policy"), POLICY);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.raw.contains("<script") && !answer.raw.contains(" style="), "{}", answer.raw);
}

#[track_caller]
fn check_goes(answer: &Answer, location: &str) {
    let goes = answer.header("location").split("&seal=").next().unwrap();
    assert_eq!((answer.status.as_u16(), goes), (303, location), "{}", answer.raw);
}

/// Of a page, what is between tags.
fn words(answer: &Answer) -> String {
    let mut text = String::new();
    for part in answer.raw.split('<').skip(1) {
        text.push(' ');
        text.push_str(part.split_once('>').map_or("", |(_, after)| after).trim());
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_page_wants_a_partner_and_shows_one_without_data_too() {
    let scene = scene(false);
    let (nobody, anna) = (Visitor::new(&scene.world), scene.anna());
    let (_, link) = scene.world.owned_workspace("Shop", "owner@shop.test");
    let owner = Visitor::new(&scene.world);
    check_goes(&owner.post(&link, ""), "/app");
    for path in PAGES {
        let path = format!("/partner{path}");
        let asked = nobody.get(&path);
        assert!(asked.header("location").starts_with("/sign-in?next=%2Fpartner"), "{path}");
        check(&owner.get(&path), 403, &["No partner has this address"]);
        check(&anna.get(&path), 200, &["Friends", "aria-current=\"page\"", EMAIL]);
    }
    check(&anna.get("/partner/settings/erase"), 200, &["Type your e-mail address"]);
    check(&anna.get("/partner/nothing"), 404, &["There is no such page"]);
    check(&anna.get("/partner?in=ppt_x"), 404, &["There is no such page"]);
    check(&anna.get("/partner/links?cursor=x"), 400, &["cursor"]);
}

#[test]
fn a_sale_is_followed_from_click_to_payout() {
    let scene = scene(true);
    let anna = scene.anna();
    let conversion = scene.sell("order-number-1");
    check(&anna.get("/partner/clicks"), 200, &["2026-06-01", "1 click on 1 day"]);
    let sales = anna.get("/partner/conversions");
    check(&sales, 200, &["100.00 EUR", "your link", "purchase"]);
    let id = scene.commission();
    check(&anna.get("/partner"), 200, &["20.00 EUR", "Nothing is ready to be paid yet."]);
    check(&anna.get("/partner/commissions"), 200, &["Held until 2026-06-02.", &id]);
    let refund = json!({"amount_cents": 2_000, "external_refund_id": "r1"});
    scene.api(&format!("POST /api/v1/conversions/{conversion}/refunds"), refund);
    scene.world.deliver();
    scene.world.pass_ms(DAY_MS);
    scene.world.sweep();
    scene.world.pass_ms(1);
    scene.api(&format!("POST /api/v1/commissions/{id}/bonus"), json!({"amount_cents": 100, "reason": "thank you"}));
    check(&anna.get("/partner"), 200, &["17.00 EUR can be paid with the next payout."]);
    let body = json!({"participant_id": scene.program.participant_id, "currency": "EUR"});
    let payout = scene.api("POST /api/v1/payouts", body).text("/id");
    check(&anna.get("/partner"), 200, &["A payout of 17.00 EUR is being made."]);
    check(&anna.get("/partner/statements"), 200, &["being made", "17.00 EUR"]);
    scene.api(&format!("POST /api/v1/payouts/{payout}/pay"), json!({}));
    let story = anna.get(&format!("/partner/commissions/{id}"));
    let told = words(&story);
    let mut rest = told.as_str();
    for step in [
        "Somebody came by your link.",
        "The sale: purchase, 100.00 EUR.",
        "It earned you 20.00 EUR, credited by your link.",
        "−4.00 EUR: money went back to the buyer.",
        "It was approved.",
        "The merchant added 1.00 EUR: thank you",
        "It was paid out.",
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step} is not next in {rest}"));
        rest = &rest[at..];
    }
    let statement = anna.get(&format!("/partner/statements/{payout}"));
    check(&statement, 200, &["17.00 EUR", "a bonus from the merchant", &id]);
    let csv = anna.get(&format!("/partner/statements/{payout}/csv"));
    assert_eq!((csv.status.as_u16(), csv.raw.lines().count()), (200, 4), "{}", csv.raw);
    let notices = anna.get("/partner/notices");
    check(
        &notices,
        200,
        &["17.00 EUR was paid out to you.", &format!("/partner/statements/{payout}"), "A sale earned you 20.00 EUR."],
    );
    // Nothing of who bought, anywhere.
    for path in PAGES.iter().map(|path| format!("/partner{path}")).chain([format!("/partner/commissions/{id}")]) {
        let page = anna.get(&path);
        for trace in ["secret.test", "customer-7", "buyers-note", "order-number-1"] {
            assert!(!page.raw.contains(trace), "{trace} {path}");
        }
    }
}

#[test]
fn why_a_commission_stands_as_it_does_is_told() {
    let scene = scene(false);
    let anna = scene.anna();
    scene.sell("T1");
    let id = scene.commission();
    scene.api(&format!("POST /api/v1/commissions/{id}/reject"), json!({"reason": "bought <b>himself</b>"}));
    for path in [format!("/partner/commissions/{id}"), "/partner/commissions".to_owned()] {
        check(&anna.get(&path), 200, &["Turned down: bought &#60;b&#62;himself&#60;/b&#62;"]);
    }
    let second = scene.sell("T2");
    let refund = json!({"amount_cents": 10_000, "external_refund_id": "r1"});
    scene.api(&format!("POST /api/v1/conversions/{second}/refunds"), refund);
    scene.world.deliver();
    check(&anna.get("/partner/commissions"), 200, &["Money went back to the buyer."]);
}

#[test]
fn what_is_somebody_elses_is_not_there() {
    let scene = scene(true);
    let world = &scene.world;
    scene.sell("T1");
    let commission = scene.commission();
    world.pass_ms(DAY_MS);
    world.sweep();
    let body = json!({"participant_id": scene.program.participant_id, "currency": "EUR"});
    let payout = scene.api("POST /api/v1/payouts", body).text("/id");
    // Somebody else in the same program, and somebody in another workspace.
    let partner = scene.api("POST /api/v1/partners", json!({"name": "Ben", "email": "ben@partner.test"})).text("/id");
    let joins = json!({"program_id": scene.program.program_id, "partner_id": partner, "status": "approved"});
    let ben_in = scene.api("POST /api/v1/participants", joins).text("/id");
    let other = world.workspace("Other");
    world.program(&other.sk_test, "carl");
    let link = &scene.program.link_id;
    let conversion = scene.api("GET /api/v1/conversions", NOTHING).text("/data/0/id");
    for email in ["ben@partner.test", "carl@partner.test"] {
        let stranger = Visitor::signed_in(world, email);
        for path in [
            format!("/partner?in={}", scene.program.participant_id),
            format!("/partner/links?in={}", scene.program.participant_id),
            format!("/partner/commissions/{commission}"),
            format!("/partner/statements/{payout}"),
            format!("/partner/statements/{payout}/csv"),
            format!("/partner/links/{link}/qr.svg"),
            format!("/partner/links/{link}/qr.png"),
            format!("/partner/questions?about={conversion}"),
            "/partner/commissions/com_x".to_owned(),
        ] {
            check(&stranger.get(&path), 404, &["There is no such page"]);
        }
        for (path, form) in [
            (format!("/partner/links/{link}/archive"), String::new()),
            (format!("/partner/links/{link}/restore"), String::new()),
            (
                "/partner/links".to_owned(),
                format!("in={}&landing_url=https%3A%2F%2Fshop.test%2F", scene.program.participant_id),
            ),
            ("/partner/questions".to_owned(), format!("in={}&text=Why", scene.program.participant_id)),
            ("/partner/questions".to_owned(), format!("about={conversion}&text=Why")),
            ("/partner/settings/name".to_owned(), format!("in={}&name=X", scene.program.participant_id)),
            ("/partner/settings/payout".to_owned(), format!("in={}&method=X", scene.program.participant_id)),
            ("/partner/settings/mail".to_owned(), format!("in={}", scene.program.participant_id)),
        ] {
            check(&stranger.post(&path, &form), 404, &["There is no such page"]);
        }
        for path in PAGES {
            let page = stranger.get(&format!("/partner{path}"));
            assert!(!page.raw.contains(&commission) && !page.raw.contains(EMAIL), "{path}");
        }
        let export = stranger.get("/partner/settings/export");
        assert!(
            export.status == 200 && !export.raw.contains(&commission) && !export.raw.contains(EMAIL),
            "{}",
            export.raw
        );
    }
    assert_eq!(world.db.count("SELECT count(*) FROM questions"), 0);
    assert_eq!(world.db.text(&format!("SELECT status FROM links WHERE id = '{link}'")), "active");
    assert!(!ben_in.is_empty() && !scene.pk.is_empty());
}

#[test]
fn forms_of_another_origin_change_nothing() {
    let scene = scene(false);
    let anna = scene.anna();
    let before = scene.world.db.everything();
    for (path, form) in [
        ("/partner/links", "landing_url=https%3A%2F%2Fshop.test%2F"),
        ("/partner/questions", "text=Why"),
        ("/partner/settings/name", "name=X"),
        ("/partner/settings/payout", "method=X"),
        ("/partner/settings/mail", ""),
        ("/partner/settings/erase", "email=anna%40partner.test"),
        (&format!("/partner/links/{}/archive", scene.program.link_id), ""),
        (&format!("/partner/links/{}/restore", scene.program.link_id), ""),
    ] {
        for origin in ["https://evil.test", "null", ""] {
            assert_eq!(anna.post_from(origin, path, form).status, 403, "{path} {origin}");
        }
    }
    assert_eq!(scene.world.db.everything(), before);
}

#[test]
fn a_partner_makes_links_to_registered_hosts_and_archives_them() {
    let scene = scene(false);
    let anna = scene.anna();
    let form = |name: &str, url: &str| {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!("name={}&landing_url={}", encode(name), encode(url))
    };
    let key = format!("/partner/links?in={}", scene.program.participant_id);
    let made = anna.post("/partner/links", &form("June <i>", "https://shop.test/a?b=1#c"));
    check_goes(&made, &format!("{key}&done=made"));
    let page = anna.get(made.header("location"));
    check(&page, 200, &["The link is made.", "June &#60;i&#62;", "https://shop.test/a?b=1#c", "shop.test"]);
    // An address that somebody else made tells nothing, nor does ours of another thing, or later.
    let forged = [&format!("{key}&done=made"), &made.header("location").replace("=made", "=archived")];
    for address in forged {
        assert!(!anna.get(address).raw.contains("role=\"status\""), "{address}");
    }
    scene.world.pass_ms(2 * MINUTE_MS);
    assert!(!anna.get(made.header("location")).raw.contains("role=\"status\""));
    let long = "x".repeat(10_000);
    for (name, url, text) in [
        ("", "https://evil.test/", "Links cannot lead to evil.test"),
        ("", "javascript:alert(1)", "Enter the whole address"),
        ("", "/a", "Enter the whole address"),
        ("", "", "Enter the whole address"),
        ("", "https://shop.test@evil.test/", "Links cannot lead to evil.test"),
        ("", &format!("https://shop.test/{long}"), "Enter the whole address"),
        (&long, "https://shop.test/", "A name has at most 100 characters."),
        ("a\0b", "https://shop.test/", "A name has at most 100 characters."),
    ] {
        check(&anna.post("/partner/links", &form(name, url)), 422, &[text, "aria-invalid=\"true\""]);
    }
    let id = scene.world.db.text("SELECT id FROM links WHERE name LIKE 'June%'");
    let slug = scene.world.db.text("SELECT slug FROM links WHERE name LIKE 'June%'");
    assert_eq!(scene.world.send("GET /r/x", &[], NOTHING).status, 404);
    assert_eq!(scene.world.send(&format!("GET /r/{slug}"), &[], NOTHING).status, 302);
    scene.world.deliver();
    for (kind, start) in [("svg", "<svg"), ("png", "\u{fffd}PNG")] {
        let picture = anna.get(&format!("/partner/links/{id}/qr.{kind}"));
        assert!(picture.status == 200 && picture.raw.starts_with(start), "{}", picture.raw);
        assert!(picture.header("content-type").starts_with("image/"));
        assert_eq!(picture.header("x-content-type-options"), "nosniff");
        assert!(picture.header("content-security-policy").starts_with("default-src 'none'"));
    }
    let archive = || anna.post(&format!("/partner/links/{id}/archive"), "");
    check_goes(&archive(), &format!("{key}&done=archived&of={id}"));
    assert_eq!(scene.world.send(&format!("GET /r/{slug}"), &[], NOTHING).status, 404);
    // So many, and no more; an archived one makes room.
    let insert = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 199) INSERT INTO links (id, workspace_id, mode, \
         participant_id, ref, slug, landing_url, name, status, created_at) SELECT printf('link_%026d', n), workspace_id, mode, id, 'r' || n, \
         's' || n, 'https://shop.test/', '', 'active', 0 FROM participants, n WHERE id = '{}'",
        scene.program.participant_id
    );
    assert_eq!(scene.world.db.execute(&insert).unwrap(), 199);
    check(&anna.post("/partner/links", &form("", "https://shop.test/")), 422, &["You have 200 links already."]);
    // Nor by taking the archived one back.
    check_goes(&anna.post(&format!("/partner/links/{id}/restore"), ""), &format!("{key}&done=kept_archived"));
}

#[test]
fn a_partner_takes_back_what_they_archived_and_not_what_the_merchant_did() {
    let scene = scene(false);
    let anna = scene.anna();
    let id = scene.program.link_id.clone();
    let key = format!("/partner/links?in={}", scene.program.participant_id);
    let does = |verb: &str| anna.post(&format!("/partner/links/{id}/{verb}"), "");
    let merchant = |verb: &str| scene.api(&format!("POST /api/v1/links/{id}/{verb}"), NOTHING).text("/status");
    let status = || scene.api(&format!("GET /api/v1/links/{id}"), NOTHING).text("/status");
    let slug = scene.world.db.text(&format!("SELECT slug FROM links WHERE id = '{id}'"));
    let leads = || scene.world.send(&format!("GET /r/{slug}"), &[], NOTHING).status.as_u16();
    assert_eq!(leads(), 302);
    // By the notice, and later in the list.
    let archived = does("archive");
    assert_eq!(leads(), 404);
    let undo = format!("action=\"/partner/links/{id}/restore\"");
    assert_eq!(anna.get(archived.header("location")).raw.matches(&undo).count(), 2);
    assert_eq!(anna.get(&key).raw.matches(&undo).count(), 1);
    check_goes(&does("restore"), &format!("{key}&done=restored"));
    assert_eq!((status().as_str(), leads()), ("active", 302));
    assert!(!anna.get(&key).raw.contains(&undo));
    // What was paused is paused again; a second archiving forgets nothing.
    assert_eq!(merchant("pause"), "paused");
    does("archive");
    does("archive");
    assert_eq!(status(), "archived");
    does("restore");
    assert_eq!(status(), "paused");
    // What the merchant archived stays so, also where the partner did before.
    assert_eq!(merchant("archive"), "archived");
    assert!(!anna.get(&key).raw.contains(&undo));
    check_goes(&does("restore"), &format!("{key}&done=kept_archived"));
    merchant("activate");
    does("archive");
    merchant("archive");
    check_goes(&does("restore"), &format!("{key}&done=kept_archived"));
    assert_eq!(status(), "archived");
    // And somebody else's is not there.
    let ben = scene.world.make(&scene.key, "partners", json!({"name": "Ben", "email": "ben@partner.test"}));
    let body = json!({"program_id": scene.program.program_id, "partner_id": ben, "status": "approved"});
    scene.world.make(&scene.key, "participants", body);
    let ben = Visitor::signed_in(&scene.world, "ben@partner.test");
    assert_eq!(ben.post(&format!("/partner/links/{id}/restore"), "").status, 404);
}

#[test]
fn whoever_is_not_approved_sees_why_and_makes_no_links() {
    let world = World::new();
    let key = world.keys.sk_test.clone();
    let partner = world.make(&key, "partners", json!({"name": "Anna", "email": EMAIL}));
    let anna = Visitor::signed_in(&world, EMAIL);
    check(&anna.get("/partner/links"), 200, &["You are in no program here yet."]);
    check(&anna.post("/partner/questions", "text=Why"), 404, &[]);
    let program = world.make(&key, "programs", json!({"name": "Friends", "status": "active"}));
    world.make(&key, "hosts", json!({"host": "shop.test"}));
    let id = world.make(&key, "participants", json!({"program_id": program, "partner_id": partner}));
    let link = "name=x&landing_url=https%3A%2F%2Fshop.test%2F";
    for (verb, text) in [
        ("", "Your application is waiting"),
        ("reject", "Your application was turned down."),
        ("approve", ""),
        ("suspend", "You are suspended"),
    ] {
        if !verb.is_empty() {
            assert_eq!(world.api(&format!("POST /api/v1/participants/{id}/{verb}"), json!({})).status, 200);
        }
        let page = anna.get("/partner/links");
        check(&page, 200, &[text]);
        assert_eq!(page.raw.contains("Make the link"), verb == "approve", "{verb}");
        let made = anna.post("/partner/links", link);
        assert_eq!(made.status.as_u16(), if verb == "approve" { 303 } else { 422 }, "{verb}");
    }
    assert_eq!(world.db.count("SELECT count(*) FROM links"), 1);
    check(
        &anna.get("/partner/notices"),
        200,
        &["You are suspended: your links earn nothing for now.", "Your application was turned down."],
    );
}

#[test]
fn a_question_goes_to_the_merchant_and_its_answer_comes_back() {
    let scene = scene(false);
    let anna = scene.anna();
    let conversion = scene.sell("T1");
    let base = format!("/partner/questions?in={}", scene.program.participant_id);
    let text = "Why+%3Cb%3Enot%3C%2Fb%3E%3F%0AIt+was+mine.";
    check_goes(
        &anna.post("/partner/questions", &format!("reference=T%3C1&day=2026-05-31&text={text}")),
        &format!("{base}&done=asked"),
    );
    check(&anna.get(&format!("/partner/questions?about={conversion}")), 200, &["About your sale", &conversion]);
    check_goes(
        &anna.post("/partner/questions", &format!("about={conversion}&text=And+this")),
        &format!("{base}&done=asked"),
    );
    let page = anna.get("/partner/questions");
    check(&page, 200, &["number T&#60;1, of 2026-05-31", "Why &#60;b&#62;not&#60;/b&#62;?", "one of your sales"]);
    let listed = scene.api("GET /api/v1/questions?status=open", NOTHING);
    let asked = listed.body["data"].as_array().unwrap();
    assert_eq!((asked.len(), &asked[1]["happened_on"]), (2, &json!("2026-05-31")));
    let id = asked[1]["id"].as_str().unwrap();
    scene.api(&format!("POST /api/v1/questions/{id}/answer"), json!({"text": "It was <i>opted out</i>."}));
    check(&anna.get("/partner/questions"), 200, &["It was &#60;i&#62;opted out&#60;/i&#62;."]);
    check(&anna.get("/partner/notices"), 200, &["Your question has an answer.", id]);
    let long = "x".repeat(10_000);
    for (form, text) in [
        ("text=", "Say what you want to know."),
        (&format!("text={long}"), "at most 2000 characters"),
        (&format!("text=a&reference={long}"), "at most 255 characters"),
        ("text=a&day=yesterday", "Enter the day as"),
        ("text=a&day=2026-13-01", "Enter the day as"),
    ] {
        check(&anna.post("/partner/questions", form), 422, &[text]);
    }
    check(&anna.post("/partner/questions", "about=conv_x&text=a"), 404, &[]);
    for _ in 0..19 {
        assert_eq!(anna.post("/partner/questions", "text=again").status, 303);
    }
    check(&anna.post("/partner/questions", "text=again"), 422, &["Many of your questions wait"]);
}

#[test]
fn settings_are_kept_sealed_and_switches_hold() {
    let scene = scene(true);
    let anna = scene.anna();
    let saved = format!("/partner/settings?in={}&done=saved", scene.program.participant_id);
    check_goes(&anna.post("/partner/settings/name", "name=Anna+%22A%22"), &saved);
    check_goes(&anna.post("/partner/settings/payout", "method=Bank&details=DE02+1203%0AAnna&tax_id=DE999"), &saved);
    let last = anna.post("/partner/settings/mail", "paid=yes&answers=yes");
    check_goes(&last, &saved);
    let page = anna.get(last.header("location"));
    check(
        &page,
        200,
        &["Saved.", "value=\"Anna &#34;A&#34;\"", "DE02 1203\nAnna</textarea>", "value=\"DE999\"", "15.00"],
    );
    assert!(
        page.raw.contains("name=\"paid\" value=\"yes\" checked")
            && !page.raw.contains("name=\"earned\" value=\"yes\" checked")
    );
    let everything = scene.world.directory.everything() + &scene.world.db.everything();
    assert!(!everything.contains("DE02 1203") && !everything.contains("DE999"));
    let partner = scene.api("GET /api/v1/partners", NOTHING).text("/data/0/id");
    assert_eq!(scene.api(&format!("GET /api/v1/partners/{partner}/payout-details"), NOTHING).text("/tax_id"), "DE999");
    // Emptied, it is gone.
    check_goes(&anna.post("/partner/settings/payout", "method=&details=&tax_id="), &saved);
    assert_eq!(
        scene.world.db.count("SELECT count(*) FROM partners WHERE payout_details IS NULL AND tax_id IS NULL"),
        1
    );
    let long = "x".repeat(501);
    for (path, form) in [
        ("name", "name=".to_owned()),
        ("name", format!("name={}", "x".repeat(201))),
        ("payout", format!("details={long}")),
        ("payout", format!("tax_id={long}")),
        ("payout", format!("method={}", "x".repeat(41))),
    ] {
        check(&anna.post(&format!("/partner/settings/{path}"), &form), 422, &["role=\"alert\""]);
    }
    scene.world.pass_ms(HOUR_MS);
    scene.world.sweep();
    scene.world.mail.sent.lock().unwrap().clear();
    scene.sell("T1");
    scene.world.pass_ms(HOUR_MS);
    scene.world.sweep();
    assert!(scene.world.mail.sent.lock().unwrap().is_empty());
}

#[test]
fn an_export_holds_all_of_theirs_and_nothing_of_anybody_else() {
    let scene = scene(true);
    let anna = scene.anna();
    scene.sell("T1");
    anna.post("/partner/questions", "text=Why&reference=T9");
    anna.post("/partner/settings/payout", "method=Bank&details=DE02");
    let other = scene.world.workspace("Other");
    scene.world.make(&other.sk_test, "partners", json!({"name": "Annie", "email": EMAIL}));
    let file = anna.get("/partner/settings/export");
    assert_eq!(
        (file.status.as_u16(), file.header("content-disposition")),
        (200, "attachment; filename=\"selgeo-partner.json\"")
    );
    let partners = file.body["partners"].as_array().unwrap();
    assert_eq!((partners.len(), &file.body["email"]), (2, &json!(EMAIL)));
    let live = &partners[0];
    assert_eq!(
        (&live["mode"], &live["payout"]["details"], &live["name"]),
        (&json!("live"), &json!("DE02"), &json!("Anna"))
    );
    let membership = &live["memberships"][0];
    let count = |name: &str| membership[name].as_array().map_or(0, Vec::len);
    let counts = ["links", "promo_codes", "clicks", "conversions", "commissions", "payouts", "questions"].map(count);
    assert_eq!(counts, [1, 1, 1, 1, 1, 0, 1], "{membership}");
    assert_eq!(live["notices"].as_array().unwrap().len(), 2);
    for trace in ["secret.test", "customer-7", "buyers-note", "\"T1\""] {
        assert!(!file.raw.contains(trace), "{trace}");
    }
}

#[test]
fn who_types_their_address_is_erased_everywhere_and_signed_out() {
    let scene = scene(true);
    let anna = scene.anna();
    let other = scene.world.workspace("Other");
    scene.world.make(&other.sk_test, "partners", json!({"name": "Anna", "email": EMAIL}));
    scene.sell("T1");
    check(&anna.post("/partner/settings/erase", "email=other%40partner.test"), 422, &["not the address"]);
    let erased = anna.post("/partner/settings/erase", "email=+Anna%40Partner.test");
    check(&erased, 200, &["You are erased"]);
    assert!(erased.header("set-cookie").contains("Max-Age=0"));
    check_goes(&anna.get("/partner"), "/sign-in?next=%2Fpartner");
    assert_eq!(Visitor::new(&scene.world).asks_for_link(EMAIL), None);
    assert!(!(scene.world.directory.everything() + &scene.world.db.everything()).contains(EMAIL));
    assert_eq!(scene.world.db.count("SELECT count(*) FROM partners WHERE name = 'Erased partner'"), 2);
    assert_eq!(scene.api("GET /api/v1/commissions", NOTHING).body["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_long_list_goes_on_and_stays_at_its_place() {
    let scene = scene(false);
    for n in 0..53 {
        scene.sell(&format!("T{n}"));
        scene.world.pass_ms(MINUTE_MS);
    }
    let anna = scene.anna();
    for path in ["conversions", "commissions", "notices"] {
        let first = anna.get(&format!("/partner/{path}"));
        check(&first, 200, &["rel=\"next\""]);
        let next = first.raw.split("href=\"").find(|part| part.contains("cursor=")).unwrap();
        let next = next.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        assert!(next.starts_with(&format!("/partner/{path}?in=ppt_")), "{next}");
        let second = anna.get(&next);
        check(&second, 200, &["Newest"]);
        assert!(!second.raw.contains("rel=\"next\""));
    }
}

#[test]
fn no_page_takes_more_than_five_round_trips() {
    let scene = scene(true);
    scene.sell("T1");
    let (anna, id) = (scene.anna(), scene.commission());
    for path in PAGES.iter().map(|path| (*path).to_owned()).chain([format!("/commissions/{id}")]) {
        scene.world.round_trips();
        assert_eq!(anna.get(&format!("/partner{path}")).status, 200);
        let trips = scene.world.round_trips();
        // Where somebody is a partner, both databases are asked at once.
        assert!(trips <= 5 + 1, "{path} takes {trips}");
    }
}

#[test]
fn hostile_values_are_shown_as_text_and_exported_safely() {
    let world = World::new();
    let key = world.keys.sk_live.clone();
    let hostile = "=HYPERLINK(\"https://evil.test\")<script>alert('x')</script>\u{202e}\"><img src=x>";
    let rewards = json!([{"trigger": "sale", "percent_bps": 2000, "event_type": hostile}]);
    let program = world.make(
        &key,
        "programs",
        json!({"name": hostile, "slug": "evil", "status": "active", "rewards": rewards,
        "terms": format!("{hostile}\n{}", "x".repeat(10_000))}),
    );
    let partner = world.make(&key, "partners", json!({"name": hostile, "email": EMAIL}));
    let body = json!({"program_id": program, "partner_id": partner, "status": "approved"});
    let participant = world.make(&key, "participants", body);
    world.make(&key, "hosts", json!({"host": "shop.test"}));
    let landing = "https://shop.test/?q=<script>\"'&x=%3Cscript%3E";
    let link = json!({"participant_id": participant, "ref": "\"><script>", "landing_url": landing, "name": hostile});
    world.make(&key, "links", link);
    world.make(&key, "promo-codes", json!({"participant_id": participant, "code": "<script>\"'"}));
    let sale = json!({"promo_code": "<script>\"'", "external_transaction_id": hostile, "event_type": hostile,
        "amount_cents": 10_000, "currency": "EUR"});
    assert_eq!(world.api_as(&key, "POST /api/v1/conversions", sale).status, 201);
    world.deliver();
    let anna = Visitor::signed_in(&world, EMAIL);
    let asked = format!("text={}", url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect::<String>());
    assert_eq!(anna.post("/partner/questions", &asked).status, 303);
    let questions = world.api_as(&key, "GET /api/v1/questions", NOTHING);
    let line = format!("POST /api/v1/questions/{}/answer", questions.text("/data/0/id"));
    assert_eq!(world.api_as(&key, &line, json!({"text": hostile})).status, 200);
    let commission = world.api_as(&key, "GET /api/v1/commissions", NOTHING).text("/data/0/id");
    let mut paths: Vec<String> = PAGES.iter().map(|path| format!("/partner{path}")).collect();
    paths.extend([format!("/partner/commissions/{commission}"), "/join/evil".to_owned()]);
    for path in paths {
        let page = anna.get(&path);
        assert_eq!(page.status, 200, "{path}");
        for raw in ["<script", "<img src=x"] {
            assert!(!page.raw.contains(raw), "{raw} in {path}: {}", page.raw);
        }
    }
    let due = world.api_as(&key, "POST /api/v1/payouts", json!({}));
    let payout = due.text("/data/0/id");
    let csv = anna.get(&format!("/partner/statements/{payout}/csv"));
    assert_eq!(csv.status, 200, "{} {}", due.raw, csv.raw);
    for cell in csv.raw.lines().flat_map(|line| line.split(',')) {
        assert!(!cell.starts_with(['=', '+', '@', '\t', '\r']), "{cell}");
    }
    let export = anna.get("/partner/settings/export");
    assert_eq!(export.body["partners"][0]["name"], hostile);
    assert_eq!(export.header("content-type"), "application/json");
}

#[test]
fn what_the_portal_reads_is_found_by_an_index() {
    let world = World::new();
    let scope = crate::store::Scope {
        workspace_id: domain::ids::Id::parse(&world.db.text("SELECT id FROM workspaces")).unwrap(),
        mode: domain::mode::Mode::Test,
    };
    let page = crate::store::page::Page { limit: 50, after: None };
    let own = Some("ppt_x".to_owned());
    use crate::store::{commissions, conversions, invites, links, notices, partners, payouts, portal, questions};
    let email = "a@b.test";
    let program = domain::ids::Id::least(world.now());
    let filter = invites::Filter::default();
    // What an index has found already, put in order; clicks that wait to be summed, by link.
    const INSIDE: [&str; 7] =
        ["SCAN d", "SCAN e", "SCAN n", "SCAN m", "SCAN (subquery-1)", "SCAN (subquery-2)", "SCAN u LEFT-JOIN"];
    for statement in [
        portal::places(email),
        portal::sums(&[]).unwrap(),
        portal::click_days(&scope, "ppt_x"),
        partners::list_beginning(&scope, "a", &page),
        payouts::participants(&scope, None, None, &page),
        payouts::participants(&scope, own.as_ref(), None, &page),
        payouts::sums(&scope, &[]).unwrap(),
        payouts::totals(&scope),
        payouts::due(&scope, None, 10),
        portal::door("friends"),
        portal::owner_of_link("x"),
        portal::owner_of_commission("x"),
        portal::owner_of_payout("x"),
        portal::own_conversion(&scope, "ppt_x", "x"),
        partners::by_email(&scope, email),
        partners::participant_by_email(&scope, &program, email),
        links::list(&scope, own.as_ref(), None, &page),
        links::list_promo_codes(&scope, own.as_ref(), &page),
        conversions::list(&scope, &conversions::Filter { participant_id: own.clone(), ..Default::default() }, &page),
        commissions::list(&scope, &commissions::Filter { participant_id: own.clone(), ..Default::default() }, &page),
        payouts::list(&scope, &payouts::Filter { participant_id: own.clone(), status: None }, &page),
        questions::list(&scope, &questions::Filter { participant_id: own.clone(), ..Default::default() }, &page),
        questions::list(&scope, &questions::Filter { status: Some("open".to_owned()), ..Default::default() }, &page),
        notices::list(&scope, "part_x", None, &page),
        notices::unmailed("part_x", world.now(), 10),
        notices::due(world.now(), 10),
        invites::list(&scope, &filter, world.now(), &page),
        invites::by_digest(&scope, &program, "x"),
    ] {
        let plan = world.db.plan(statement.sql());
        let is_scan =
            |step: &&str| step.starts_with("SCAN") && !["USING", "VIRTUAL TABLE"].iter().any(|how| step.contains(how));
        let scans: Vec<&str> = plan.lines().filter(is_scan).filter(|step| !INSIDE.contains(step)).collect();
        assert!(scans.is_empty(), "{}\n{plan}", statement.sql());
        // Of a list of theirs, nobody else's rows are gone through.
        let is_own = statement.sql().contains(" AND participant_id = ? ");
        assert!(!is_own || plan.contains("AND participant_id=?"), "{}\n{plan}", statement.sql());
    }
}
