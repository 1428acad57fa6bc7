//! The management paths: what each makes, what it refuses, and how lists are paged.

use serde_json::{Value as Json, json};

use crate::testing::{Answer, World};

const LISTS: [&str; 21] = [
    "programs",
    "rewards",
    "partners",
    "participants",
    "links",
    "promo-codes",
    "hosts",
    "clicks",
    "conversions",
    "commissions",
    "events",
    "stripe-connections",
    "stripe-events",
    "attribution-audit",
    "payouts",
    "payouts/balances",
    "refunds",
    "customers",
    "fraud-alerts",
    "invites",
    "questions",
];

/// `body` with the keys of `more` put over it.
fn with(body: &Json, more: &Json) -> Json {
    let mut body = body.clone();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Sends `body` with each change over it to one path and holds the summaries against what is expected. The clock moves, so
/// that no limit is reached.
#[track_caller]
fn check(world: &World, path: &str, body: &Json, changes: &[(Json, &str)]) {
    for (change, expected) in changes {
        world.pass_ms(1_000);
        let answer = world.api(&format!("POST /api/v1/{path}"), with(body, change));
        assert_eq!(answer.summary(), *expected, "{path} {change} → {}", answer.body);
    }
}

const BAD: &str = "400 VALIDATION_ERROR";
const CONFLICT: &str = "409 CONFLICT";
const UNKNOWN: &str = "404 NOT_FOUND";

#[test]
fn programs_are_made_with_their_rewards_and_wrong_ones_refused() {
    let world = World::new();
    let reward = json!({"trigger": "sale", "percent_bps": 2_000});
    let rewards = |more: Json| json!({"rewards": [with(&reward, &more)]});
    let changes = [
        (json!({}), "201"),
        (json!({"slug": "friends"}), "201"),
        (json!({"slug": "friends"}), CONFLICT),
        (json!({"slug": "Friends"}), BAD),
        (json!({"slug": "-x"}), BAD),
        (json!({"slug": "s".repeat(64)}), BAD),
        (json!({"name": null}), BAD),
        (json!({"name": "n".repeat(101)}), BAD),
        (json!({"name": "n\0"}), BAD),
        (json!({"status": "open"}), BAD),
        (json!({"status": 7}), BAD),
        (json!({"status": null, "rewards": null, "attribution_window_days": null}), "201"),
        (json!({"attribution_window_days": 0}), BAD),
        (json!({"attribution_window_days": 366}), BAD),
        (json!({"attribution_window_days": 1.5}), BAD),
        (json!({"attribution_window_days": 365}), "201"),
        (json!({"attribution_model": "first"}), BAD),
        (json!({"attribution_model": "first_click"}), "201"),
        (json!({"minimum_payout_cents": -1}), BAD),
        (json!({"minimum_payout_cents": 0.5}), BAD),
        (json!({"minimum_payout_cents": 5_000}), "201"),
        (json!({"rewards": {}}), BAD),
        (json!({"rewards": [7]}), BAD),
        (json!({"rewards": vec![reward.clone(); 20]}), "201"),
        (json!({"rewards": vec![reward.clone(); 21]}), BAD),
        (rewards(json!({"trigger": null})), BAD),
        (rewards(json!({"trigger": "click"})), BAD),
        (rewards(json!({"percent_bps": null})), BAD),
        (rewards(json!({"percent_bps": 10_000})), "201"),
        (rewards(json!({"percent_bps": 10_001})), BAD),
        (rewards(json!({"percent_bps": -1})), BAD),
        (rewards(json!({"flat": {"amount_cents": 1, "currency": "EUR"}})), BAD),
        (rewards(json!({"percent_bps": null, "flat": {"amount_cents": 1, "currency": "EUR"}})), "201"),
        (rewards(json!({"percent_bps": null, "flat": {"amount_cents": 1}})), BAD),
        (rewards(json!({"percent_bps": null, "flat": {"amount_cents": 1.5, "currency": "EUR"}})), BAD),
        (rewards(json!({"percent_bps": null, "flat": 7})), BAD),
        (rewards(json!({"basis": "net"})), BAD),
        (rewards(json!({"hold_days": 366})), BAD),
        (rewards(json!({"auto_approve": "yes"})), BAD),
        (rewards(json!({"payments_max": 0})), BAD),
        (rewards(json!({"payments_max": 12, "trigger": "recurring"})), "201"),
        (rewards(json!({"payments_max": 12})), BAD),
    ];
    check(&world, "programs", &json!({"name": "Friends"}), &changes);
    let made =
        world.api("POST /api/v1/programs", with(&json!({"name": "Friends"}), &rewards(json!({"hold_days": 30}))));
    let shape = json!({
        "id": made.body["id"], "mode": "test", "name": "Friends", "slug": made.body["slug"], "status": "draft",
        "attribution_window_days": 30, "attribution_model": "last_click", "created_at": world.now().to_string(),
        "fraud": {
            "self_referral": "hold", "repeat_purchase": "flag", "fast_conversion": "flag", "click_burst": "flag",
            "disposable_email": "flag", "high_refund_rate": "flag",
        },
        "reverse_pending_on_end": false,
        "minimum_payout_cents": 0, "terms": "", "applications": "open", "rewards": [{
            "id": made.body["rewards"][0]["id"], "version_id": made.body["rewards"][0]["version_id"], "version": 1,
            "participant_id": null, "trigger": "sale", "event_type": null, "percent_bps": 2_000, "flat": null,
            "basis": "gross", "hold_days": 30, "auto_approve": true, "payments_max": null,
            "valid_from": world.now().to_string(), "retired": false,
        }],
    });
    assert_eq!(made.body, shape);
    assert_eq!(world.api(&format!("GET /api/v1/programs/{}", made.text("/id")), json!(null)).body, shape);
    let wrong =
        world.api("POST /api/v1/programs", json!({"name": "x", "rewards": [reward, {"trigger": "sale", "flat": {}}]}));
    assert_eq!(wrong.body["error"]["details"][0]["field"], "rewards[1].flat.amount_cents");
}

#[test]
fn a_programs_terms_and_applications_are_set_changed_and_taken_back() {
    let world = World::new();
    let terms = "No coupons.\nNo spam.";
    let id =
        world.make(&world.keys.sk_test, "programs", json!({"name": "x", "terms": terms, "applications": "closed"}));
    let change = |body: Json| world.api(&format!("PATCH /api/v1/programs/{id}"), body);
    let both = |answer: &Answer| (answer.text("/terms"), answer.text("/applications"));
    assert_eq!(both(&change(json!({}))), (terms.to_owned(), "closed".to_owned()));
    assert_eq!(both(&change(json!({"applications": "open"}))), (terms.to_owned(), "open".to_owned()));
    assert_eq!(both(&change(json!({"terms": ""}))), (String::new(), "open".to_owned()));
    assert_eq!(change(json!({"terms": "x".repeat(20_000)})).status, 200);
    for wrong in [json!({"terms": "x".repeat(20_001)}), json!({"terms": 1}), json!({"applications": "ajar"})] {
        assert_eq!(change(wrong).summary(), BAD);
    }
}

#[test]
fn partners_participants_links_codes_hosts_and_connections_refuse_what_is_wrong() {
    let world = World::new();
    let anna = world.program(&world.keys.sk_test, "anna");
    let participant = json!({"participant_id": anna.participant_id});
    let partner = world.make(&world.keys.sk_test, "partners", json!({"name": "Bert", "email": "Bert@Partner.test"}));
    check(
        &world,
        "partners",
        &json!({"name": "Carl", "email": "carl@partner.test"}),
        &[
            (json!({}), "201"),
            (json!({"email": " CARL@partner.test "}), CONFLICT),
            (json!({"email": "carl"}), BAD),
            (json!({"email": null}), BAD),
            (json!({"email": format!("{}@x.test", "c".repeat(250))}), BAD),
            (json!({"name": ""}), BAD),
        ],
    );
    check(
        &world,
        "participants",
        &json!({"program_id": anna.program_id, "partner_id": partner}),
        &[
            (json!({"status": "rejected"}), BAD),
            (json!({"program_id": null}), BAD),
            (json!({"program_id": partner}), BAD),
            (json!({"program_id": "prog_00000000000000000000000000"}), UNKNOWN),
            (json!({"partner_id": "part_00000000000000000000000000"}), UNKNOWN),
            (json!({}), "201"),
            (json!({}), CONFLICT),
        ],
    );
    let link = with(&participant, &json!({"landing_url": "https://shop.test/p?x=1"}));
    check(
        &world,
        "links",
        &link,
        &[
            (json!({}), "201"),
            (json!({"ref": "second", "slug": "second"}), "201"),
            (json!({"ref": "second"}), CONFLICT),
            (json!({"slug": "second"}), CONFLICT),
            (json!({"ref": "with space"}), BAD),
            (json!({"ref": "r".repeat(256)}), BAD),
            (json!({"slug": "Über"}), BAD),
            (json!({"participant_id": null}), BAD),
            (json!({"participant_id": "ppt_00000000000000000000000000"}), UNKNOWN),
            (json!({"landing_url": null}), BAD),
            (json!({"landing_url": "/p"}), BAD),
            (json!({"landing_url": "javascript:alert(1)"}), BAD),
            (json!({"landing_url": "ftp://shop.test/"}), BAD),
            (json!({"landing_url": "https://other.test/"}), BAD),
            (json!({"landing_url": "https://shop.test.other.test/"}), BAD),
            (json!({"landing_url": "https://shop.test@other.test/"}), BAD),
            (json!({"landing_url": "https://shop.test:8443/"}), BAD),
            (json!({"landing_url": "https://SHOP.test:443/"}), "201"),
            (json!({"name": "n".repeat(101)}), BAD),
        ],
    );
    check(
        &world,
        "promo-codes",
        &with(&participant, &json!({"code": "ANNA10"})),
        &[
            (json!({}), "201"),
            (json!({"code": "anna10"}), CONFLICT),
            (json!({"code": " anna10 "}), CONFLICT),
            (json!({"code": "   "}), BAD),
            (json!({"code": ""}), BAD),
            (json!({"code": "c".repeat(101)}), BAD),
            (json!({"code": "B", "stripe_promotion_code_id": "promo_1"}), "201"),
            (json!({"code": "C", "stripe_promotion_code_id": "promo_1"}), CONFLICT),
            (json!({"code": "C", "stripe_promotion_code_id": "coupon_1"}), BAD),
            (json!({"participant_id": "ppt_00000000000000000000000000"}), UNKNOWN),
        ],
    );
    check(
        &world,
        "hosts",
        &json!({}),
        &[
            (json!({"host": "Other.Test"}), "201"),
            (json!({"host": "other.test:443"}), CONFLICT),
            (json!({"host": "localhost:8787"}), "201"),
            (json!({"host": "bücher.test"}), "201"),
            (json!({"host": "xn--bcher-kva.test"}), CONFLICT),
            (json!({"host": "https://other.test"}), BAD),
            (json!({"host": "other.test/path"}), BAD),
            (json!({"host": "other.test?x"}), BAD),
            (json!({"host": "user@other.test"}), BAD),
            (json!({"host": ":pw@else.test"}), BAD),
            (json!({"host": "two words"}), BAD),
            (json!({"host": ""}), BAD),
        ],
    );
    check(
        &world,
        "stripe-connections",
        &json!({}),
        &[
            (json!({}), "201"),
            (json!({"signing_secret": "sk_live_0123456789abcdef"}), BAD),
            (json!({"signing_secret": "whsec_"}), BAD),
            (json!({"signing_secret": 7}), BAD),
        ],
    );
}

#[test]
fn a_connections_secret_is_stored_sealed_and_never_shown() {
    let world = World::new();
    let secret = "whsec_0123456789abcdef";
    let made = world.api("POST /api/v1/stripe-connections", json!({"signing_secret": format!(" {secret}\n")}));
    assert_eq!(made.status, 201);
    assert_eq!(made.text("/url"), format!("https://api.selgeo.test/webhooks/stripe/{}", made.text("/id")));
    let listed = world.api("GET /api/v1/stripe-connections", json!(null));
    assert_eq!(listed.body["data"], json!([made.body]));
    assert!(!made.raw.contains("0123456789abcdef"));
    assert_eq!(
        world.db.count("SELECT count(*) FROM stripe_connections WHERE signing_secret LIKE '%0123456789abcdef%'"),
        0
    );
    // The key itself is stored as a digest only.
    let key = world.keys.sk_test.strip_prefix("sk_test_").unwrap();
    assert_eq!(world.db.count(&format!("SELECT count(*) FROM api_keys WHERE concat(digest, shown) LIKE '%{key}%'")), 0);
}

#[test]
fn only_the_transitions_that_make_sense_are_made() {
    let world = World::new();
    let anna = world.program(&world.keys.sk_test, "anna");
    let act = |path: &str, expected: &str| {
        let answer = world.api(&format!("POST /api/v1/{path}"), json!(null));
        let told = if answer.status == 200 { answer.text("/status") } else { answer.summary() };
        assert_eq!(told, expected, "{path}");
    };
    let participant = format!("participants/{}", anna.participant_id);
    act(&format!("{participant}/approve"), CONFLICT);
    act(&format!("{participant}/reject"), CONFLICT);
    act(&format!("{participant}/suspend"), "suspended");
    act(&format!("{participant}/suspend"), CONFLICT);
    act(&format!("{participant}/approve"), "approved");
    act(&format!("{participant}/delete"), UNKNOWN);
    act("participants/nobody/approve", UNKNOWN);
    let program = format!("programs/{}", anna.program_id);
    act(&format!("{program}/pause"), "paused");
    act(&format!("{program}/pause"), "paused");
    act(&format!("{program}/activate"), "active");
    act(&format!("{program}/archive"), "archived");
    act(&format!("{program}/activate"), CONFLICT);
    act(&format!("{program}/sing"), UNKNOWN);
    act("programs/none/pause", UNKNOWN);
    let link = format!("links/{}", anna.link_id);
    act(&format!("{link}/pause"), "paused");
    act(&format!("{link}/activate"), "active");
    act(&format!("{link}/archive"), "archived");
    act("links/none/archive", UNKNOWN);
    let events = world.api("GET /api/v1/events?type=participant.suspended", json!(null));
    assert_eq!(events.body["data"].as_array().unwrap().len(), 1);
}

#[test]
fn of_two_acts_at_once_the_second_is_told_so() {
    let world = World::new();
    let anna = world.program(&world.keys.sk_test, "anna");
    let race = |path: String, faster: &'static str, slower: &str| {
        let faster: &'static str = Box::leak(format!("POST /api/v1/{path}/{faster}").into_boxed_str());
        world.before_next_write(faster, json!({}));
        let answer = world.api(&format!("POST /api/v1/{path}/{slower}"), json!(null));
        assert_eq!(answer.summary(), CONFLICT, "{path}");
    };
    race(format!("participants/{}", anna.participant_id), "suspend", "suspend");
    assert_eq!(world.db.count("SELECT count(*) FROM events WHERE type = 'participant.suspended'"), 1);
    race(format!("programs/{}", anna.program_id), "archive", "pause");
    let program = world.api(&format!("GET /api/v1/programs/{}", anna.program_id), json!(null));
    assert_eq!(program.text("/status"), "archived");
}

#[test]
fn a_host_is_taken_away_once() {
    let world = World::new();
    let id = world.make(&world.keys.sk_test, "hosts", json!({"host": "shop.test"}));
    let delete = || world.api(&format!("DELETE /api/v1/hosts/{id}"), json!(null));
    let gone = delete();
    assert_eq!((gone.status.as_u16(), gone.raw.as_str()), (204, ""));
    assert_eq!(delete().summary(), UNKNOWN);
}

#[test]
fn every_list_holds_its_limits_and_refuses_cursors_that_are_not_its_own() {
    let world = World::new();
    let not_an_id = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, "zzz");
    let of_another_list =
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, "nope_00000000000000000000000000");
    for list in LISTS {
        world.pass_ms(60_000);
        let check = |query: &str, expected: &str| {
            let answer = world.api(&format!("GET /api/v1/{list}{query}"), json!(null));
            assert_eq!(answer.summary(), expected, "{list}{query}");
            if expected == "200" {
                assert!(answer.body["data"].is_array() && answer.body["next_cursor"].is_null(), "{}", answer.body);
                assert_eq!(answer.body.as_object().unwrap().len(), 2);
            }
        };
        for good in ["", "?limit=1", "?limit=100", "?limit=", "?cursor=", "?unknown=7", "?limit=50&limit=0"] {
            check(good, "200");
        }
        for bad in ["0", "101", "-1", "1.5", "x", "99999999999999999999"] {
            check(&format!("?limit={bad}"), BAD);
        }
        for bad in ["x", "!", "%FF", "e30", &not_an_id, &of_another_list, &"A".repeat(300)] {
            check(&format!("?cursor={bad}"), BAD);
        }
    }
}

#[test]
fn a_list_is_newest_first_and_stays_stable_while_rows_are_added() {
    let world = World::new();
    let mut made = Vec::new();
    let mut make = |count: usize| {
        for _ in 0..count {
            world.pass_ms(1_000);
            let body = json!({"name": "x", "email": format!("{}@partner.test", made.len())});
            made.push(world.make(&world.keys.sk_test, "partners", body));
        }
    };
    make(120);
    let page = |query: &str| {
        world.pass_ms(1_000);
        let answer = world.api(&format!("GET /api/v1/partners{query}"), json!(null));
        let ids: Vec<String> =
            answer.body["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        (ids, answer.text("/next_cursor"))
    };
    assert_eq!(page("").0.len(), 50);
    assert_eq!(page("?limit=100").0.len(), 100);
    let (mut seen, mut cursor) = page("?limit=7");
    while !cursor.is_empty() {
        make(3);
        let (ids, next) = page(&format!("?limit=7&cursor={cursor}"));
        seen.extend(ids);
        cursor = next;
    }
    let expected: Vec<String> = made[..120].iter().rev().cloned().collect();
    assert_eq!(seen, expected);
    // A page that ends with the list says so.
    assert_eq!(page(&format!("?limit=100&cursor={}", page("?limit=100").1)).1, "");
}

#[test]
fn events_are_narrowed_by_type_and_subject() {
    let world = World::new();
    let anna = world.program(&world.keys.sk_test, "anna");
    let count = |query: &str| {
        world.api(&format!("GET /api/v1/events{query}"), json!(null)).body["data"].as_array().unwrap().len()
    };
    assert_eq!(count(""), 2);
    assert_eq!(count("?type=participant.approved"), 1);
    assert_eq!(count(&format!("?subject={}", anna.participant_id)), 2);
    assert_eq!(count("?subject=else"), 0);
    let event = &world.api("GET /api/v1/events?type=participant.created", json!(null)).body["data"][0];
    let mut keys: Vec<_> = event.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["api_version", "created_at", "data", "id", "mode", "sequence", "subject", "type"]);
    assert_eq!((&event["sequence"], &event["api_version"]), (&json!(1), &json!("v1")));
}

#[test]
fn settings_of_programs_partners_and_links_are_changed_one_by_one() {
    let world = World::new();
    let anna = world.program(&world.keys.sk_test, "anna");
    let partner = world.api("POST /api/v1/partners", json!({"name": "Bert", "email": "bert@partner.test"})).text("/id");
    // `field=value` of the answer, or its refusal.
    let check = |path: &str, body: Json, expected: &str| {
        world.pass_ms(1_000);
        let answer = world.api(&format!("PATCH /api/v1/{path}"), body.clone());
        let field = expected.split('=').next().unwrap();
        let told = match answer.status.as_u16() {
            200 => format!("{field}={}", answer.body[field].to_string().replace('"', "")),
            _ => answer.summary(),
        };
        assert_eq!(told, expected, "{path} {body} → {}", answer.body);
        if answer.status == 200 {
            assert_eq!(world.api(&format!("GET /api/v1/{path}"), json!(null)).body, answer.body, "{path}");
        }
    };
    let program = format!("programs/{}", anna.program_id);
    check(&program, json!({"name": "Lovers"}), "name=Lovers");
    check(&program, json!({"attribution_window_days": 7, "name": null}), "attribution_window_days=7");
    check(&program, json!({"attribution_model": "first_click", "status": "archived", "slug": "x"}), "status=active");
    check(&program, json!({}), "name=Lovers");
    check(&program, json!({}), "attribution_model=first_click");
    for bad in [
        json!({"name": ""}),
        json!({"name": "n".repeat(101)}),
        json!({"attribution_window_days": 0}),
        json!({"attribution_window_days": 366}),
        json!({"attribution_model": "first"}),
    ] {
        check(&program, bad, BAD);
    }
    check("programs/none", json!({"name": "x"}), UNKNOWN);

    let partner = format!("partners/{partner}");
    check(&partner, json!({"email": " BERT@other.test "}), "email=bert@other.test");
    check(&partner, json!({"name": "Berta"}), "name=Berta");
    check(&partner, json!({"email": null}), "email=bert@other.test");
    check(&partner, json!({"email": "anna@partner.test"}), CONFLICT);
    check(&partner, json!({"email": "bert"}), BAD);
    check(&partner, json!({"email": "  "}), BAD);
    check(&partner, json!({"name": ""}), BAD);
    check("partners/none", json!({"name": "x"}), UNKNOWN);

    let link = format!("links/{}", anna.link_id);
    check(&link, json!({"name": "Spring"}), "name=Spring");
    check(&link, json!({"landing_url": "https://shop.test/spring"}), "landing_url=https://shop.test/spring");
    check(&link, json!({"ref": "other", "slug": "other"}), "ref=anna");
    check(&link, json!({"landing_url": "https://other.test/"}), BAD);
    check(&link, json!({"landing_url": "/p"}), BAD);
    check(&link, json!({"name": "n".repeat(101)}), BAD);
    check("links/none", json!({"name": "x"}), UNKNOWN);

    // Nobody else's are changed.
    let stranger = world.workspace("Second");
    for path in [&program, &partner, &link] {
        let line = format!("PATCH /api/v1/{path}");
        for key in [&stranger.sk_test, &world.keys.sk_live] {
            assert_eq!(world.api_as(key, &line, json!({"name": "x"})).summary(), UNKNOWN, "{path}");
        }
        let media =
            [("authorization", format!("Bearer {}", world.keys.sk_test)), ("content-type", "text/plain".into())];
        let media: Vec<(&str, &str)> = media.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(world.send(&line, &media, json!({"name": "x"})).summary(), "415 UNSUPPORTED_MEDIA_TYPE", "{path}");
        assert_eq!(world.api_as(&world.keys.pk_test, &line, json!({"name": "x"})).summary(), "401 INVALID_API_KEY");
    }
}

#[test]
fn of_two_changes_of_settings_at_once_neither_undoes_the_other() {
    let world = World::new();
    let anna = world.program(&world.keys.sk_test, "anna");
    let line: &'static str = Box::leak(format!("PATCH /api/v1/programs/{}", anna.program_id).into_boxed_str());
    world.before_next_write(line, json!({"attribution_window_days": 7}));
    let program = world.api(line, json!({"name": "Lovers"})).body;
    assert_eq!((&program["name"], &program["attribution_window_days"]), (&json!("Lovers"), &json!(7)));
}
