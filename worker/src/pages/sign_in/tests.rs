//! Signing in and out, by requests.

use std::sync::atomic::Ordering;

use domain::account::{LINK_LIVES_MS, SESSION_IDLES_MS, SESSION_LIVES_MS, SET_UP_LINK_LIVES_MS};
use domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};
use serde_json::json;

use crate::pages::POLICY;
use crate::testing::{Answer, ORIGIN, Visitor, World};

const OWNER: &str = "owner@shop.test";
const PARTNER: &str = "anna@partner.test";

/// A world with a workspace that has an owner, and one partner of another.
fn peopled() -> (World, String) {
    let world = World::new();
    let (workspace, _) = world.owned_workspace("Shop", OWNER);
    world.make(&world.keys.sk_test, "partners", json!({"name": "Anna", "email": PARTNER}));
    (world, workspace)
}

#[track_caller]
fn check_page(answer: &Answer, status: u16, text: &str) {
    assert_eq!(answer.status, status, "{}", answer.raw);
    assert!(answer.raw.contains(text), "{text} is not in {}", answer.raw);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("content-security-policy"), POLICY);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(!answer.raw.contains("<script") && !answer.raw.contains(" style="), "{}", answer.raw);
}

#[track_caller]
fn check_goes(answer: &Answer, location: &str) {
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, location), "{}", answer.raw);
}

#[test]
fn a_link_from_the_mail_signs_in_once_by_its_button() {
    let (world, _) = peopled();
    let visitor = Visitor::new(&world);
    check_page(&visitor.get("/sign-in"), 200, "Send me a link");
    let link = visitor.asks_for_link(" Owner@Shop.test ").unwrap();
    let letter = world.mail.sent.lock().unwrap()[0].clone();
    assert_eq!((letter.to.as_str(), letter.subject.as_str()), (OWNER, "Sign in to Selgeo"));

    // As often as mail scanners look at it.
    for _ in 0..3 {
        check_page(&visitor.get(&link), 200, "sign in as <strong class=\"text-any\">owner@shop.test</strong>");
        check_goes(&visitor.get("/app"), "/sign-in?next=%2Fapp");
    }
    let spent = visitor.post(&link, "");
    check_goes(&spent, "/");
    let cookie = spent.header("set-cookie").to_owned();
    assert!(cookie.starts_with("__Host-selgeo="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    check_goes(&visitor.get("/"), "/app");
    check_page(&visitor.get("/app"), 200, "Shop");

    let again = Visitor::new(&world);
    check_page(&again.get(&link), 410, "This link does not work any more");
    check_page(&again.post(&link, ""), 410, "This link does not work any more");
    check_goes(&again.get("/app"), "/sign-in?next=%2Fapp");
}

#[test]
fn of_two_who_spend_a_link_at_once_one_is_signed_in() {
    let (world, _) = peopled();
    let (fast, slow) = (Visitor::new(&world), Visitor::new(&world));
    let link = fast.asks_for_link(OWNER).unwrap();
    // Both have seen the button; one is first between the other's request and its write.
    let (app, line) = (world.app.clone(), link.clone());
    let router = crate::app::router(app.clone());
    world.directory.before_next_write(move || {
        let request = axum::extract::Request::post(format!("{ORIGIN}{line}"))
            .header("origin", ORIGIN)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = pollster::block_on(crate::app::answer(&app, &router, request, Default::default()));
        assert_eq!(answer.status(), 303);
    });
    check_page(&slow.post(&link, ""), 410, "does not work");
    assert_eq!(world.directory.count("SELECT count(*) FROM sessions"), 1);
}

#[test]
fn expired_reused_and_guessed_links_are_told_alike() {
    let (world, _) = peopled();
    let visitor = Visitor::new(&world);
    let expired = visitor.asks_for_link(OWNER).unwrap();
    world.pass_ms(LINK_LIVES_MS);
    let used = visitor.asks_for_link(OWNER).unwrap();
    check_goes(&visitor.post(&used, ""), "/");
    let guessed = format!("/sign-in/{}", "A".repeat(43));
    let stranger = Visitor::new(&world);
    let told = stranger.get(&guessed).raw;
    for link in [&expired, &used, &guessed, "/sign-in/x", "/sign-in/%00", "/sign-in/%3Cscript%3E"] {
        for answer in [stranger.get(link), stranger.post(link, "")] {
            check_page(&answer, 410, "Get a new link");
            assert_eq!(answer.raw, told);
        }
    }
    world.limiter.no_strangers.store(true, Ordering::SeqCst);
    check_page(&stranger.get(&guessed), 429, "Too many tries");
}

#[test]
fn a_link_works_to_the_last_millisecond_of_its_ten_minutes() {
    let (world, _) = peopled();
    let visitor = Visitor::new(&world);
    let link = visitor.asks_for_link(OWNER).unwrap();
    world.pass_ms(LINK_LIVES_MS - 1);
    check_goes(&visitor.post(&link, ""), "/");
}

#[test]
fn whether_anybody_has_an_address_is_not_told_by_the_answer_the_work_or_a_limit() {
    let (world, _) = peopled();
    let visitor = Visitor::new(&world);
    let mut seen = Vec::new();
    for email in [OWNER, PARTNER, "nobody@shop.test"] {
        let form = format!("email={}", email.replace('@', "%40"));
        let mut answers = Vec::new();
        for _ in 0..5 {
            world.round_trips();
            let answer = visitor.post("/sign-in", &form);
            check_page(&answer, 200, "Look into your mail");
            let work = world.round_trips();
            let mut headers: Vec<String> = answer.headers.keys().map(|name| name.to_string()).collect();
            headers.sort();
            answers.push((answer.raw.replace(email, "IT"), work, headers));
        }
        seen.push(answers);
        // Over the limit of one address, the answer is the same and nothing is sent.
        world.deliver();
        let sent = std::mem::take(&mut *world.mail.sent.lock().unwrap());
        assert_eq!(sent.len(), if email == "nobody@shop.test" { 0 } else { 3 }, "{email}");
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn whoever_asks_for_links_in_somebodys_name_sends_them_a_few_mails_at_most() {
    let (world, _) = peopled();
    let visitor = Visitor::new(&world);
    let mut links: Vec<String> = Vec::new();
    for _ in 0..9 {
        links.extend(visitor.asks_for_link(OWNER));
        world.pass_ms(MINUTE_MS);
    }
    assert_eq!(links.len(), 6);
    // Each of them works, so that nobody is locked out, and makes room for another.
    check_goes(&Visitor::new(&world).post(&links[0], ""), "/");
    assert!(visitor.asks_for_link(OWNER).is_some());
}

#[test]
fn asking_is_limited_for_each_network_address() {
    let (world, _) = peopled();
    let visitor = Visitor::new(&world);
    for n in 0..20 {
        assert_eq!(visitor.post("/sign-in", &format!("email=a{n}%40shop.test")).status, 200);
    }
    let refused = visitor.post("/sign-in", "email=b%40shop.test");
    check_page(&refused, 429, "Too many tries");
    assert_eq!(refused.header("retry-after"), "60");
    world.come_from("198.51.100.9");
    assert_eq!(visitor.post("/sign-in", "email=b%40shop.test").status, 200);
}

#[test]
fn what_is_no_address_gets_the_form_again() {
    let (world, _) = peopled();
    let visitor = Visitor::new(&world);
    let long = format!("email={}%40shop.test", "a".repeat(10_000));
    for form in ["", "email=", "email=ann", "email=a%40b%40c.test", "email=a%0Ab%40c.test", "email=%FF", &long] {
        check_page(&visitor.post("/sign-in", form), 422, "Enter your e-mail address");
    }
    let hostile = visitor.post("/sign-in", "email=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E");
    check_page(&hostile, 422, "&#34;&#62;&#60;script&#62;alert(1)");
    let accepted = visitor.post("/sign-in", "email=%3Cscript%3E%E2%80%AE%40shop.test");
    check_page(&accepted, 200, "&#60;script&#62;");
    assert_eq!(world.mail.sent.lock().unwrap().len(), 0);
}

#[test]
fn a_form_of_another_origin_changes_nothing() {
    let (world, _) = peopled();
    let visitor = Visitor::signed_in(&world, OWNER);
    let link = Visitor::new(&world).asks_for_link(OWNER).unwrap();
    for origin in [
        "https://evil.test",
        "null",
        "",
        "https://api.selgeo.test.evil.test",
        "http://api.selgeo.test",
        "https://API.selgeo.test",
    ] {
        for path in ["/sign-in", &link, "/sign-out"] {
            let answer = visitor.post_from(origin, path, "email=owner%40shop.test");
            check_page(&answer, 403, "another origin");
        }
    }
    assert_eq!(visitor.get("/app").status, 200);
    assert_eq!(visitor.get(&link).status, 200);

    // Where the browser withholds the origin, it still says whose form it is.
    let form = ("content-type", "application/x-www-form-urlencoded");
    let check = |headers: &[(&str, &str)], status: u16| {
        let headers = [&[form], headers].concat();
        let answer = world.send_bytes("POST /sign-in", &headers, b"email=x%40shop.test".to_vec());
        assert_eq!(answer.status, status, "{headers:?}");
    };
    check(&[("sec-fetch-site", "same-origin")], 200);
    check(&[("origin", "null"), ("sec-fetch-site", "same-origin")], 200);
    check(&[("sec-fetch-site", "same-site")], 403);
    check(&[("sec-fetch-site", "cross-site")], 403);
    check(&[("sec-fetch-site", "none")], 403);
    check(&[("origin", "https://evil.test"), ("sec-fetch-site", "same-origin")], 403);
    check(&[], 403);
}

#[test]
fn bad_bodies_of_forms_are_refused() {
    let (world, _) = peopled();
    let send = |media_type: &str, body: Vec<u8>| {
        world.send_bytes("POST /sign-in", &[("origin", ORIGIN), ("content-type", media_type)], body)
    };
    check_page(&send("application/json", b"{}".to_vec()), 415, "This could not be done");
    check_page(&send("application/x-www-form-urlencoded", vec![b'a'; 70_000]), 413, "over 65536 bytes");
    for path in ["/sign-in/x", "/sign-out"] {
        check_page(&world.send(&format!("PUT {path}"), &[], json!({})), 405, "takes no such request");
    }
    check_page(&world.send("GET /sign-out", &[], json!(null)), 405, "takes no such request");
}

#[test]
fn one_goes_where_one_wanted_to_but_never_elsewhere() {
    let (world, _) = peopled();
    let visitor = Visitor::new(&world);
    let check = |given: &str, expected: &str| {
        let given: String = url::form_urlencoded::byte_serialize(given.as_bytes()).collect();
        let asked = visitor.get(&format!("/sign-in?next={given}"));
        let kept = asked.raw.contains("name=\"next\"");
        assert_eq!(kept, expected != "/", "{given}");
        world.mail.sent.lock().unwrap().clear();
        let form = format!("email=owner%40shop.test&next={given}");
        assert_eq!(visitor.post("/sign-in", &form).status, 200);
        world.deliver();
        let link = world.mailed_link().unwrap();
        check_goes(&Visitor::new(&world).post(&link, ""), expected);
        world.pass_ms(MINUTE_MS);
    };
    check("/app/links?q=a%2Fb&x=1", "/app/links?q=a%2Fb&x=1");
    check("/partner", "/partner");
    for elsewhere in [
        "//evil.test",
        "/\\evil.test",
        "https://evil.test/",
        "/\t/evil.test",
        "javascript:alert(1)",
        "app",
        "/app\r\nx: y",
    ] {
        check(elsewhere, "/");
    }
    // A page that was asked for is come back to, with its query; what was sent there is not sent again.
    check_goes(
        &visitor.get("/app/links?q=%22a%22&page=2"),
        "/sign-in?next=%2Fapp%2Flinks%3Fq%3D%2522a%2522%26page%3D2",
    );
    check_goes(&visitor.get("/partner/statements"), "/sign-in?next=%2Fpartner%2Fstatements");
    check_goes(&visitor.post("/app/links", ""), "/sign-in");
    let signed_in = Visitor::signed_in(&world, OWNER);
    check_goes(&signed_in.get("/sign-in?next=%2Fapp%2Flinks"), "/app/links");
    check_goes(&signed_in.get("/sign-in?next=%2F%2Fevil.test"), "/");
}

#[test]
fn a_partner_has_their_own_pages_and_403_under_app() {
    let (world, _) = peopled();
    world.make(&world.keys.sk_live, "partners", json!({"name": "Anna", "email": PARTNER}));
    let other = world.workspace("Elsewhere <b>");
    world.make(&other.sk_test, "partners", json!({"name": "\u{202e}Anna\"'><script>", "email": PARTNER}));
    let partner = Visitor::signed_in(&world, PARTNER);
    check_goes(&partner.get("/"), "/partner");
    for path in ["/app", "/app/", "/app/links", "/app/operator"] {
        check_page(&partner.get(path), 403, "merchants");
    }
    assert_eq!(partner.post("/app/links", "").status, 403);
    let page = partner.get("/partner");
    check_page(&page, 200, "First");
    check_page(&page, 200, "Elsewhere &#60;b&#62;");
    check_page(&page, 200, "Anna&#34;&#39;&#62;&#60;script&#62;");
    check_page(&page, 200, "<span class=\"badge\">test</span>");
    check_page(&partner.get("/partner/nothing"), 404, "There is no such page");

    let owner = Visitor::signed_in(&world, OWNER);
    check_page(&owner.get("/partner"), 403, "No partner has this address");
    check_page(&owner.get("/app/nothing"), 404, "There is no such page");

    // Somebody may be both.
    world.make(&world.keys.sk_test, "partners", json!({"name": "Owen", "email": OWNER}));
    check_page(&owner.get("/app"), 200, "You are a partner too");
    check_page(&owner.get("/partner"), 200, "To your workspaces");
}

#[test]
fn whoever_lost_an_address_or_a_membership_loses_it_at_once() {
    let (world, workspace) = peopled();
    let partner = Visitor::signed_in(&world, PARTNER);
    let id = world.api("GET /api/v1/partners", json!(null)).text("/data/0/id");
    world.api(&format!("PATCH /api/v1/partners/{id}"), json!({"email": "anna@new.test"}));
    assert_eq!(partner.get("/partner").status, 403);

    let owner = Visitor::signed_in(&world, OWNER);
    let invited = owner.api(&workspace, "POST /api/v1/members", json!({"email": "v@shop.test", "role": "viewer"}));
    let viewer = Visitor::signed_in(&world, "v@shop.test");
    assert_eq!(viewer.get("/app").status, 200);
    let id = invited.text("/id");
    assert_eq!(owner.api(&workspace, &format!("DELETE /api/v1/members/{id}"), json!(null)).status, 204);
    assert_eq!(viewer.get("/app").status, 403);
    assert_eq!(Visitor::new(&world).asks_for_link("v@shop.test"), None);
}

#[test]
fn a_session_ends_by_signing_out_by_idling_and_by_age() {
    let (world, _) = peopled();
    let visitor = Visitor::signed_in(&world, OWNER);
    let kept = visitor.cookie.borrow().clone();
    let out = visitor.post("/sign-out", "");
    check_goes(&out, "/sign-in");
    assert_eq!(out.header("set-cookie"), "__Host-selgeo=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
    *visitor.cookie.borrow_mut() = kept;
    check_goes(&visitor.get("/app"), "/sign-in?next=%2Fapp");

    let idle = Visitor::signed_in(&world, OWNER);
    world.pass_ms(SESSION_IDLES_MS);
    assert_eq!(idle.get("/app").status, 303);

    let busy = Visitor::signed_in(&world, OWNER);
    let until = world.now().plus_ms(SESSION_LIVES_MS);
    while world.now().plus_ms(DAY_MS) < until {
        world.pass_ms(DAY_MS);
        assert_eq!(busy.get("/app").status, 200);
    }
    world.pass_ms(DAY_MS);
    assert_eq!(busy.get("/app").status, 303);
}

#[test]
fn a_page_view_reads_in_two_trips_and_writes_at_most_once_an_hour() {
    let (world, _) = peopled();
    let visitor = Visitor::signed_in(&world, OWNER);
    // Both databases are asked at once where somebody is a partner; the second one for nothing else.
    let trips = |path: &str| {
        world.round_trips();
        assert_eq!(visitor.get(path).status, 200);
        assert_eq!(world.db.round_trips(), 1);
        world.directory.round_trips()
    };
    assert_eq!(trips("/app"), 2);
    world.pass_ms(HOUR_MS);
    assert_eq!(trips("/app"), 3);
    assert_eq!(trips("/app"), 2);
}

#[test]
fn a_cookie_of_another_deployment_or_name_is_nobodys() {
    let (world, _) = peopled();
    let visitor = Visitor::signed_in(&world, OWNER);
    let token = visitor.cookie.borrow().split_once('=').unwrap().1.to_owned();
    let get = |world: &World, cookie: &str, url: &str| {
        world.send_bytes(&format!("GET {url}"), &[("cookie", cookie)], Vec::new()).status.as_u16()
    };
    assert_eq!(get(&world, &format!("a=b; __Host-selgeo={token}; c=d"), "/app"), 200);
    assert_eq!(get(&World::new(), &format!("__Host-selgeo={token}"), "/app"), 303);
    // The name without Secure is read where there can be no Secure.
    assert_eq!(get(&world, &format!("selgeo_session={token}"), "/app"), 303);
    assert_eq!(get(&world, &format!("selgeo_session={token}"), "http://127.0.0.1:8787/app"), 200);
    assert_eq!(get(&world, &format!("__Host-selgeo={token}"), "http://127.0.0.1:8787/app"), 303);
    for bad in
        ["", "x", "__Host-selgeo", "__Host-selgeo=", "__Host-selgeo=x", "__Host-selgeo=\"\"", "=;=;", "__host-selgeo="]
    {
        assert_eq!(get(&world, bad, "/app"), 303, "{bad}");
    }
}

#[test]
fn signing_in_anew_ends_the_session_that_the_browser_had() {
    let (world, _) = peopled();
    let visitor = Visitor::signed_in(&world, OWNER);
    let before = visitor.cookie.borrow().clone();
    let link = Visitor::new(&world).asks_for_link(PARTNER).unwrap();
    visitor.post(&link, "");
    assert_eq!(world.directory.count("SELECT count(*) FROM sessions"), 1);
    *visitor.cookie.borrow_mut() = before;
    assert_eq!(visitor.get("/app").status, 303);
}

#[test]
fn a_first_owner_signs_in_by_the_operators_link() {
    let world = World::new();
    let (workspace, link) = world.owned_workspace("Shop", "First@Owner.test");
    world.pass_ms(SET_UP_LINK_LIVES_MS - 1);
    let owner = Visitor::new(&world);
    check_page(&owner.get(&link), 200, "first@owner.test");
    check_goes(&owner.post(&link, ""), "/app");
    check_page(&owner.get("/app"), 200, &workspace);
    check_page(&owner.post(&link, ""), 410, "does not work");

    // One more, of a workspace that is there; an admin is made an owner by it.
    let operator = [("authorization", "Bearer operator-token-of-the-tests")];
    let line = format!("POST /operator/v1/workspaces/{workspace}/owners");
    let added = world.send(&line, &operator, json!({"owner_email": "second@owner.test"}));
    assert_eq!(added.status, 201, "{}", added.body);
    assert_eq!(world.send(&line, &operator, json!({"owner_email": "second@owner.test"})).status, 201);
    assert_eq!(owner.api(&workspace, "GET /api/v1/members", json!(null)).body["data"].as_array().unwrap().len(), 2);
    let check = |line: &str, headers: &[(&str, &str)], body, expected: &str| {
        assert_eq!(world.send(line, headers, body).summary(), expected);
    };
    check(&line, &operator, json!({}), "400 VALIDATION_ERROR");
    check(&line, &operator, json!({"owner_email": "x"}), "400 VALIDATION_ERROR");
    check(&line, &[], json!({"owner_email": "x@y.test"}), "401 INVALID_API_KEY");
    check("POST /operator/v1/workspaces/ws_x/owners", &operator, json!({"owner_email": "x@y.test"}), "404 NOT_FOUND");
    check("POST /operator/v1/workspaces", &operator, json!({"name": "x", "owner_email": "no"}), "400 VALIDATION_ERROR");
}

#[test]
fn mail_waits_while_it_cannot_leave_and_no_token_is_kept_or_sent_late() {
    let (world, _) = peopled();
    world.mail.refuses.store(true, Ordering::SeqCst);
    let visitor = Visitor::new(&world);
    assert_eq!(visitor.asks_for_link(OWNER), None);
    world.mail.refuses.store(false, Ordering::SeqCst);
    world.sweep();
    assert_eq!(world.mailed_link(), None, "it is not its time yet");
    world.pass_ms(15 * SECOND_MS);
    world.sweep();
    let link = world.mailed_link().unwrap();
    check_goes(&visitor.post(&link, ""), "/");
    world.pass_ms(HOUR_MS);
    world.sweep();
    assert_eq!(world.mail.sent.lock().unwrap().len(), 1);
    // Nothing that was said is kept.
    assert_eq!(world.directory.count("SELECT count(*) FROM mails WHERE content IS NOT NULL"), 0);

    // A lost message is found by the sweep; who waited ten minutes is not sent a link any more.
    world.mail.sent.lock().unwrap().clear();
    visitor.post("/sign-in", "email=owner%40shop.test");
    world.lose_queue();
    world.sweep();
    assert!(world.mailed_link().is_some());
    world.mail.sent.lock().unwrap().clear();
    visitor.post("/sign-in", "email=owner%40shop.test");
    world.lose_queue();
    world.pass_ms(LINK_LIVES_MS);
    world.sweep();
    assert_eq!(world.mailed_link(), None);
}

#[test]
fn a_message_that_comes_twice_sends_one_mail() {
    let (world, _) = peopled();
    Visitor::new(&world).post("/sign-in", "email=owner%40shop.test");
    let messages = world.queued();
    world.handle([messages.clone(), messages].concat());
    assert_eq!(world.mail.sent.lock().unwrap().len(), 1);
    world.pass_ms(HOUR_MS);
    world.sweep();
    assert_eq!(world.mail.sent.lock().unwrap().len(), 1);
}

#[test]
fn the_database_holds_no_address_and_no_token() {
    let (world, _) = peopled();
    let visitor = Visitor::signed_in(&world, OWNER);
    visitor.post("/sign-in", "email=owner%40shop.test&next=%2Fapp%2Fsecret");
    let token = visitor.cookie.borrow().split_once('=').unwrap().1.to_owned();
    let link = world.mailed_link().unwrap().replace("/sign-in/", "");
    let text = world.directory.everything() + &world.db.everything();
    for secret in [OWNER, &token, &link, "/app/secret"] {
        assert!(!text.contains(secret), "the database holds {secret}");
    }
}

#[test]
fn old_links_sessions_and_mails_are_forgotten() {
    let (world, _) = peopled();
    Visitor::signed_in(&world, OWNER);
    world.pass_ms(SESSION_LIVES_MS + 8 * DAY_MS);
    world.sweep();
    for table in ["sign_in_links", "sessions", "mails"] {
        assert_eq!(world.directory.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(world.directory.count("SELECT count(*) FROM people"), 1);
}

#[test]
fn a_local_server_has_a_mailbox_and_signs_in_at_once_and_a_deployment_has_neither() {
    let world = World::dev();
    world.owned_workspace("Shop", OWNER);
    const LOCAL: &str = "http://127.0.0.1:8787";
    let get = |world: &World, url: &str| world.send_bytes(&format!("GET {url}"), &[], Vec::new());
    for _ in 0..2 {
        let answer = get(&world, &format!("{LOCAL}/dev/sign-in?email=owner%40shop.test"));
        check_goes(&answer, "/");
        let cookie = answer.header("set-cookie").to_owned();
        assert!(cookie.starts_with("selgeo_session=") && !cookie.contains("Secure"), "{cookie}");
        let pair = cookie.split(';').next().unwrap();
        assert_eq!(world.send_bytes(&format!("GET {LOCAL}/app"), &[("cookie", pair)], Vec::new()).status, 200);
    }
    check_goes(&get(&world, &format!("{LOCAL}/dev/sign-in?email=owner%40shop.test&next=%2Fapp%2Fx")), "/app/x");
    check_goes(&get(&world, &format!("{LOCAL}/dev/sign-in?email=owner%40shop.test&next=%2F%2Fx")), "/");
    assert_eq!(get(&world, &format!("{LOCAL}/dev/sign-in?email=nobody%40shop.test")).status, 404);
    assert_eq!(get(&world, &format!("{LOCAL}/dev/sign-in")).status, 404);
    check_page(&get(&world, &format!("{LOCAL}/dev/mailbox")), 200, "No mail yet");

    let deployed = World::new();
    deployed.owned_workspace("Shop", OWNER);
    for path in ["/dev/mailbox", "/dev/sign-in?email=owner%40shop.test"] {
        // By another name than loopback's, a local server answers as a deployment does.
        for answer in [get(&world, path), get(&deployed, path), get(&deployed, &format!("{LOCAL}{path}"))] {
            assert_eq!(answer.summary(), "404 NOT_FOUND", "{path}");
        }
    }
}

#[test]
fn an_address_that_no_key_opens_any_more_is_sealed_anew_by_signing_in() {
    let (world, _) = peopled();
    world.directory.execute("UPDATE people SET email = 'sealed under a key that is lost'").unwrap();
    let owner = Visitor::signed_in(&world, OWNER);
    assert_eq!(owner.get("/app").status, 200);
}
