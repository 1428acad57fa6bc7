use domain::time::{DAY_MS, MINUTE_MS};
use expect_test::expect;
use serde_json::{Value as Json, json};

use crate::testing::{Answer, NextWrite, Program, World};

const REPORT: &str = "POST /api/v1/conversions";

/// A purchase of 100 EUR, with `more` over it.
fn purchase(transaction: &str, more: Json) -> Json {
    let mut body = json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 10_000,
        "currency": "eur"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A world with the link `anna` and the promo code `Anna10`, both of test mode.
fn world() -> (World, Program) {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "anna");
    let code = json!({"participant_id": program.participant_id, "code": "Anna10"});
    world.make(&world.keys.sk_test, "promo-codes", code);
    (world, program)
}

/// `attributed attributed_click`, or a refusal's summary.
fn outcome(answer: &Answer) -> String {
    match answer.status.as_u16() {
        201 => format!("{} {}", answer.text("/attribution/status"), answer.text("/attribution/reason")),
        _ => answer.summary(),
    }
}

fn iso(world: &World, ahead_ms: i64) -> String {
    world.now().plus_ms(ahead_ms).to_string()
}

fn data(world: &World, key: &str, path: &str) -> Vec<Json> {
    let answer = world.api_as(key, &format!("GET /api/v1/{path}"), json!(null));
    assert_eq!(answer.status, 200, "{path} {}", answer.body);
    answer.body["data"].as_array().unwrap().clone()
}

#[test]
fn a_click_becomes_a_conversion_with_a_commission() {
    let (world, program) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    world.pass_ms(1_000);
    let body = purchase(
        "txn_1",
        json!({"click_id": click_id.to_uppercase(), "customer_external_id": "cust_1", "metadata": {"plan": "pro"},
            "prospect_email": "Ann@Example.com", "something_else": 7}),
    );
    let headers = [("authorization", format!("Bearer {}", world.keys.sk_test))];
    let headers = [(headers[0].0, headers[0].1.as_str()), ("x-request-id", "req-of-the-report")];
    let answer = world.send(REPORT, &headers, body);
    let told = &answer.body;
    let expected = json!({
        "id": told["id"], "mode": "test", "source": "api", "status": "recorded", "external_transaction_id": "txn_1",
        "event_type": "purchase", "amount_cents": 10_000, "currency": "EUR", "refunded_cents": 0,
        "occurred_at": "2026-06-01T12:00:01.000Z", "click_id": click_id, "promo_code": null,
        "customer_external_id": "cust_1", "metadata": {"plan": "pro"}, "stripe": {},
        "attribution": {
            "status": "attributed", "method": "click", "reason": "attributed_click", "click_id": click_id,
            "promo_code": null, "program_id": program.program_id, "participant_id": program.participant_id,
        },
        "decision_id": told["decision_id"], "commission_id": told["commission_id"],
        "customer_id": told["customer_id"], "created_at": "2026-06-01T12:00:01.000Z",
    });
    assert_eq!((answer.status.as_u16(), told), (201, &expected));
    assert_eq!(answer.header("x-ratelimit-limit"), "120");
    let read = world.api(&format!("GET /api/v1/conversions/{}", answer.text("/id")), json!(null));
    assert_eq!(read.body, expected);
    assert_eq!(data(&world, &world.keys.sk_test, "conversions"), std::slice::from_ref(&expected));

    let line = format!("GET /api/v1/commissions/{}", answer.text("/commission_id"));
    let commission = world.api(&line, json!(null)).body;
    let fact = commission["entries"][0]["cause"].clone();
    assert!(fact.as_str().unwrap().starts_with("fact_"));
    let expected = json!({
        "id": told["commission_id"], "mode": "test", "conversion_id": told["id"],
        "participant_id": program.participant_id, "program_id": program.program_id, "amount_cents": 2_000,
        "currency": "EUR", "state": "approved", "needs_review": false, "review_reasons": [], "disputed": false,
        "hold_until": "2026-06-01T12:00:01.000Z", "reward_version": commission["reward_version"],
        "entries": [{"amount_cents": 2_000, "kind": "earned", "cause": fact, "created_at": "2026-06-01T12:00:01.000Z"}],
        "created_at": "2026-06-01T12:00:01.000Z",
    });
    assert_eq!(commission, expected);
    assert_eq!(data(&world, &world.keys.sk_test, "commissions"), [expected]);

    let mut events: Vec<String> = data(&world, &world.keys.sk_test, "events")
        .iter()
        .map(|event| format!("{} {}", event["type"].as_str().unwrap(), event["sequence"]))
        .filter(|event| !event.starts_with("participant"))
        .collect();
    events.sort();
    assert_eq!(events, ["commission.approved 2", "commission.created 1", "conversion.created 1"]);
    // The buyer's address is nowhere, and the request's id is where it was stored.
    for table in ["facts", "conversions", "decisions", "events"] {
        let column = if table == "conversions" {
            "metadata || stripe"
        } else if table == "decisions" {
            "inputs"
        } else if table == "events" {
            "data"
        } else {
            "body"
        };
        let sql = format!("SELECT count(*) FROM {table} WHERE lower({column}) LIKE '%example.com%'");
        assert_eq!(world.db.count(&sql), 0, "{table}");
    }
    for table in ["facts", "conversions", "decisions"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE request_id = 'req-of-the-report'");
        assert_eq!(world.db.count(&sql), 1, "{table}");
    }
}

#[test]
fn explain_adds_what_the_decision_looked_at_and_its_steps() {
    let (world, program) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    let body = purchase("txn_1", json!({"click_id": click_id, "promo_code": "nobody"}));
    let answer = world.api("POST /api/v1/conversions?explain=1", body);
    assert_eq!(answer.status, 201);
    let standing = json!({
        "participant_id": program.participant_id, "participant_status": "approved", "program_id": program.program_id,
        "program_status": "active", "window_days": 30, "link_id": program.link_id, "at": "2026-06-01T12:00:00.000Z",
        "click_id": click_id, "known": "here",
    });
    assert_eq!(
        answer.body["explanation"],
        json!({
            "inputs": {
                "occurred_at": "2026-06-01T12:00:00.000Z",
                "promo_codes": [{"code": "nobody", "known": "unknown"}],
                "clicks": [standing],
                "surroundings": {"people": [{
                    "participant_id": program.participant_id, "conversions": 0, "refunded": 0, "policy": {},
                }]},
            },
            "candidates": [
                {"method": "promo_code", "value": "nobody", "outcome": "promo_code_not_found"},
                {"method": "click", "value": click_id, "outcome": "won"},
            ],
            "steps": answer.body["explanation"]["steps"],
        })
    );
    let steps = answer.body["explanation"]["steps"].as_array().unwrap();
    assert!(steps.len() == 4 && steps.iter().all(|step| step.as_str().unwrap().ends_with('.')), "{steps:?}");
    let audit = world.api(&format!("GET /api/v1/attribution-audit/{}", answer.text("/id")), json!(null));
    assert_eq!(audit.body["explanation"], answer.body["explanation"]);
    let plain = world.api("POST /api/v1/conversions?explain=0", purchase("txn_2", json!({"promo_code": "Anna10"})));
    assert_eq!(plain.body.get("explanation"), None);
    let by_code =
        world.api("POST /api/v1/conversions?explain=true", purchase("txn_3", json!({"promo_code": "Anna10"})));
    assert_eq!(by_code.body["explanation"]["inputs"].get("clicks"), None);
}

#[test]
fn fields_are_taken_within_their_limits() {
    let (world, _) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    let number = std::cell::Cell::new(0);
    let check = |changes: Json, expected: &str| {
        number.set(number.get() + 1);
        let transaction = format!("txn_{}", number.get());
        let mut body = purchase(&transaction, json!({"click_id": click_id}));
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let shown: String = changes.to_string().chars().take(120).collect();
        world.pass_ms(1_000);
        assert_eq!(world.api(REPORT, body).summary(), expected, "{shown}");
    };
    let (good, bad) = ("201", "400 VALIDATION_ERROR");
    for wrong in [json!(null), json!(""), json!(7), json!([]), json!("a\0b")] {
        check(json!({"external_transaction_id": wrong}), bad);
        check(json!({"event_type": wrong}), bad);
    }
    check(json!({"external_transaction_id": "t".repeat(255)}), good);
    check(json!({"external_transaction_id": "t".repeat(256)}), bad);
    check(json!({"external_transaction_id": "ü".repeat(255)}), good);
    check(json!({"external_transaction_id": "' OR 1=1 --"}), good);
    check(json!({"event_type": "e".repeat(100)}), good);
    check(json!({"event_type": "e".repeat(101)}), bad);
    for wrong in [
        json!(-1),
        json!(1.5),
        json!(10.0),
        json!("100"),
        json!(true),
        json!([1]),
        json!(9_007_199_254_740_992_i64),
        json!(u64::MAX),
    ] {
        check(json!({"amount_cents": wrong}), bad);
    }
    check(json!({"amount_cents": 9_007_199_254_740_991_i64}), good);
    check(json!({"amount_cents": null, "currency": null}), good);
    check(json!({"amount_cents": 0, "currency": null}), good);
    check(json!({"currency": null}), bad);
    for wrong in ["ZZZ", "euro", "", "e", "€"] {
        check(json!({"currency": wrong}), bad);
    }
    for right in ["EUR", "eur", "Usd", "jpy", "KWD"] {
        check(json!({"currency": right}), good);
    }
    check(json!({"currency": 978}), bad);
    for wrong in [
        json!("yesterday"),
        json!("2026-06-01"),
        json!("2026-06-01T12:00:00"),
        json!(1_767_225_600),
        json!("2026-02-30T00:00:00Z"),
    ] {
        check(json!({"occurred_at": wrong}), bad);
    }
    check(json!({"occurred_at": null}), good);
    check(json!({"occurred_at": "0000-01-01T00:00:00Z"}), good);
    check(json!({"occurred_at": "9999-01-01T00:00:00Z"}), bad);
    for wrong in
        [json!("no-uuid"), json!(""), json!(7), json!(format!("{click_id}0")), json!(click_id.replace('-', ""))]
    {
        check(json!({"click_id": wrong}), bad);
    }
    check(json!({"promo_code": "c".repeat(100)}), good);
    check(json!({"promo_code": "c".repeat(101)}), bad);
    check(json!({"promo_code": "ANNA10\0"}), bad);
    check(json!({"prospect_email": "ann@example.com"}), good);
    check(json!({"prospect_email": "ann"}), bad);
    check(json!({"prospect_email": null}), good);
    check(json!({"customer_external_id": "c".repeat(255)}), good);
    check(json!({"customer_external_id": "c".repeat(256)}), bad);
    let keys = |count: usize| (0..count).map(|key| (format!("k{key}"), json!(key))).collect::<serde_json::Map<_, _>>();
    check(json!({"metadata": keys(50)}), good);
    check(json!({"metadata": keys(51)}), bad);
    for wrong in [json!([]), json!("x"), json!(7)] {
        check(json!({"metadata": wrong}), bad);
    }
    check(json!({"metadata": {}}), good);
    check(json!({"metadata": {"nested": {"a": [1, null, "\0"]}}}), good);
    check(json!({"metadata": {"long": "x".repeat(20_000)}}), bad);
}

#[test]
fn money_is_read_as_it_is_written_and_a_refusal_names_the_field_and_its_limit() {
    let (world, _) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    let made = world.api(REPORT, purchase("txn_sale", json!({"click_id": click_id})));
    let refunds = format!("POST /api/v1/conversions/{}/refunds", made.text("/id"));
    let bearer = format!("Bearer {}", world.keys.sk_test);
    let send = |line: &str, body: String| {
        world.pass_ms(1_000);
        world.send_bytes(line, &[("authorization", &bearer)], body.into_bytes())
    };
    let report = |amount: &str, currency: &str| {
        let body = format!(
            r#"{{"external_transaction_id":"txn_bad","event_type":"purchase","click_id":"{click_id}","amount_cents":{amount},"currency":{currency}}}"#
        );
        send(REPORT, body)
    };
    let refund = |amount: &str| send(&refunds, format!(r#"{{"external_refund_id":"r_bad","amount_cents":{amount}}}"#));
    let check = |answer: Answer, field: &str, message: &str, what: &str| {
        assert_eq!(answer.summary(), "400 VALIDATION_ERROR", "{what}");
        assert_eq!(answer.body["error"]["details"], json!([{"field": field, "message": message}]), "{what}");
    };
    for amount in [
        "-1",
        "-9007199254740991",
        "1.5",
        "0.1",
        "10.0",
        "1e3",
        "1E3",
        "1e-3",
        "9007199254740992",
        "18446744073709551616",
        "1e300",
        r#""100""#,
        r#""""#,
        r#""1e3""#,
        "true",
        "[100]",
        "{}",
    ] {
        let message = "must be a whole number from 0 to 9007199254740991";
        check(report(amount, r#""EUR""#), "amount_cents", message, amount);
        check(refund(amount), "amount_cents", "must be a whole number from 1 to 9007199254740991", amount);
    }
    check(refund("0"), "amount_cents", "must be a whole number from 1 to 9007199254740991", "0");
    check(refund("10001"), "amount_cents", "is more than what is left of the conversion, 10000", "10001");
    // What JSON does not know is no JSON.
    for amount in ["NaN", "Infinity", "0x10", "01", "1_000", "+1", "1e999", ""] {
        for answer in [report(amount, r#""EUR""#), refund(amount)] {
            assert_eq!(answer.summary(), "400 VALIDATION_ERROR", "{amount}");
            assert!(answer.text("/error/message").starts_with("The body is not JSON"), "{amount}");
        }
    }
    for currency in [r#""ZZZ""#, r#""E""#, r#""EURO""#, r#""€""#, r#""EU R""#] {
        check(report("100", currency), "currency", "must be a currency code of ISO 4217, such as EUR", currency);
    }
    check(report("100", "978"), "currency", "must be a string", "978");
    check(report("100", "null"), "currency", "is required when amount_cents is over 0", "null");
    // None of it used the ids up, nor left anything.
    assert_eq!(world.db.count("SELECT count(*) FROM facts"), 1);
    assert_eq!(report("9007199254740991", r#""jpy""#).status, 201);
    assert_eq!(refund("10000").status, 201);
}

#[test]
fn a_conversion_may_be_dated_five_minutes_ahead_and_no_more() {
    let (world, _) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    let check = |transaction: &str, ahead_ms: i64, expected: &str| {
        let body = purchase(transaction, json!({"click_id": click_id, "occurred_at": iso(&world, ahead_ms)}));
        assert_eq!(world.api(REPORT, body).summary(), expected, "{ahead_ms}");
    };
    check("txn_1", 5 * MINUTE_MS, "201");
    check("txn_2", 5 * MINUTE_MS + 1, "400 VALIDATION_ERROR");
    let offset = json!({"click_id": click_id, "occurred_at": "2026-06-01T14:00:00.123456+02:00"});
    assert_eq!(world.api(REPORT, purchase("txn_3", offset)).text("/occurred_at"), "2026-06-01T12:00:00.123Z");
}

#[test]
fn a_click_counts_from_five_minutes_before_to_the_end_of_the_window() {
    let (world, _) = world();
    let clicked_at = world.now();
    let click_id = world.click(&world.keys.pk_test, "anna");
    world.pass_ms(31 * DAY_MS);
    let check = |age_ms: i64, expected: &str| {
        let more = json!({"click_id": click_id, "occurred_at": clicked_at.plus_ms(age_ms).to_string()});
        let answer = world.api(REPORT, purchase(&format!("txn{age_ms}"), more));
        assert_eq!(outcome(&answer), expected, "{age_ms}");
        assert_eq!(answer.body["commission_id"].is_null(), expected.starts_with("un"));
    };
    check(-5 * MINUTE_MS, "attributed attributed_click");
    check(-5 * MINUTE_MS - 1, "unattributed click_after_conversion");
    check(0, "attributed attributed_click");
    check(30 * DAY_MS, "attributed attributed_click");
    check(30 * DAY_MS + 1, "unattributed window_expired");
}

#[test]
fn a_click_that_is_not_ours_here_is_not_found() {
    let (world, _) = world();
    let other = world.workspace("Second");
    world.program(&other.sk_test, "anna");
    let ours = world.click(&world.keys.pk_test, "anna");
    let theirs = world.click(&other.pk_test, "anna");
    let mut changed = ours.clone().into_bytes();
    changed[0] = if changed[0] == b'0' { b'1' } else { b'0' };
    let changed = String::from_utf8(changed).unwrap();
    let check = |transaction: &str, click_id: &str, expected: &str| {
        let answer = world.api(REPORT, purchase(transaction, json!({"click_id": click_id})));
        assert_eq!(outcome(&answer), expected, "{click_id}");
        assert_eq!(answer.text("/click_id"), click_id);
        assert_eq!(
            answer.body.pointer("/attribution/click_id").and_then(Json::as_str),
            (click_id == ours).then_some(click_id)
        );
    };
    check("txn_1", &ours, "attributed attributed_click");
    check("txn_2", &theirs, "unattributed click_not_found");
    check("txn_3", &changed, "unattributed click_not_found");
    check("txn_4", "0190f3c1-5e5a-4c3e-9b1a-0123456789ab", "unattributed click_not_found");
    check("txn_5", "00000000-0000-0000-0000-000000000000", "unattributed click_not_found");
    assert_eq!(world.db.count("SELECT count(*) FROM commissions"), 1);
}

#[test]
fn a_promo_code_beats_the_click_and_one_that_fails_gives_way() {
    let (world, anna) = world();
    let bert = world.program(&world.keys.sk_test, "bert");
    let click_id = world.click(&world.keys.pk_test, "bert");
    let number = std::cell::Cell::new(0);
    let check = |more: Json, expected: &str, participant: Option<&str>| {
        number.set(number.get() + 1);
        let answer = world.api(REPORT, purchase(&format!("txn_{}", number.get()), more.clone()));
        assert_eq!(outcome(&answer), expected, "{more}");
        assert_eq!(answer.body["attribution"]["participant_id"].as_str(), participant, "{more}");
    };
    let (anna, bert) = (Some(anna.participant_id.as_str()), Some(bert.participant_id.as_str()));
    for code in ["Anna10", "anna10", "ANNA10", " anna10 "] {
        check(json!({"promo_code": code}), "attributed attributed_promo_code", anna);
        check(json!({"promo_code": code, "click_id": click_id}), "attributed attributed_promo_code", anna);
    }
    check(json!({"promo_code": "nobody", "click_id": click_id}), "attributed attributed_click", bert);
    check(json!({"promo_code": "nobody"}), "unattributed promo_code_not_found", None);
    let unknown = "0190f3c1-5e5a-4c3e-9b1a-0123456789ab";
    check(json!({"promo_code": "nobody", "click_id": unknown}), "unattributed promo_code_not_found", None);
    // The window does not apply to codes.
    let long_ago = iso(&world, -400 * DAY_MS);
    check(json!({"promo_code": "anna10", "occurred_at": long_ago}), "attributed attributed_promo_code", anna);
}

#[test]
fn who_may_not_earn_now_is_recorded_without_a_commission() {
    let (world, program) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    let number = std::cell::Cell::new(0);
    let check = |act: &str, expected: &str| {
        let acted = world.api(&format!("POST /api/v1/{act}"), json!(null));
        assert_eq!(acted.status, 200, "{act} {}", acted.body);
        number.set(number.get() + 1);
        let answer = world.api(REPORT, purchase(&format!("txn_{}", number.get()), json!({"click_id": click_id})));
        assert_eq!(outcome(&answer), expected, "{act}");
        assert_eq!(answer.body["commission_id"].is_null(), expected.starts_with("un"));
    };
    let (participant, campaign) =
        (format!("participants/{}", program.participant_id), format!("programs/{}", program.program_id));
    check(&format!("{participant}/suspend"), "unattributed participant_not_approved");
    check(&format!("{participant}/approve"), "attributed attributed_click");
    check(&format!("{campaign}/pause"), "unattributed program_inactive");
    check(&format!("{campaign}/activate"), "attributed attributed_click");
    // A link that takes no clicks any more does not undo those it took.
    check(&format!("links/{}/archive", program.link_id), "attributed attributed_click");
    check(&format!("{campaign}/archive"), "unattributed program_inactive");
    let draft = world.program_with(
        &world.keys.sk_test,
        "carl",
        json!({"status": "draft", "rewards": [{"trigger": "sale", "percent_bps": 1}]}),
    );
    let click_id = world.click(&world.keys.pk_test, "carl");
    let answer = world.api(REPORT, purchase("txn_draft", json!({"click_id": click_id})));
    assert_eq!(answer.text("/attribution/participant_id"), draft.participant_id);
    let commission = world.api(&format!("GET /api/v1/commissions/{}", answer.text("/commission_id")), json!(null));
    assert_eq!(commission.body["amount_cents"], 1);
}

#[test]
fn an_amount_of_0_is_a_lead_and_rewards_go_by_trigger_and_event_type() {
    let world = World::new();
    let rewards = json!([
        {"trigger": "lead", "flat": {"amount_cents": 500, "currency": "EUR"}},
        {"trigger": "lead", "event_type": "demo_call", "flat": {"amount_cents": 900, "currency": "USD"}},
        {"trigger": "sale", "percent_bps": 1_250, "hold_days": 14},
        {"trigger": "sale", "event_type": "upgrade", "percent_bps": 3_000, "auto_approve": false},
        {"trigger": "sale", "event_type": "bundle", "flat": {"amount_cents": 700, "currency": "USD"}},
        {"trigger": "sale", "event_type": "net", "percent_bps": 1_000, "basis": "net_of_fees"},
    ]);
    world.program_with(&world.keys.sk_test, "anna", json!({"rewards": rewards}));
    let click_id = world.click(&world.keys.pk_test, "anna");
    let check = |event_type: &str, amount_cents: i64, expected: &str| {
        let body = json!({"external_transaction_id": format!("{event_type}_{amount_cents}"), "event_type": event_type,
            "amount_cents": amount_cents, "currency": if amount_cents > 0 { "eur" } else { "" }, "click_id": click_id});
        let mut body = body;
        if amount_cents == 0 {
            body.as_object_mut().unwrap().remove("currency");
        }
        let answer = world.api(REPORT, body);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let line = format!("GET /api/v1/commissions/{}", answer.text("/commission_id"));
        let c = world.api(&line, json!(null)).body;
        let told = format!("{} {} {} {}", c["amount_cents"], c["currency"], c["state"], c["review_reasons"]);
        assert_eq!(told.replace('"', ""), expected, "{event_type} {amount_cents}");
    };
    check("signup", 0, "500 EUR approved []");
    check("demo_call", 0, "900 USD approved []");
    check("purchase", 10_000, "1250 EUR pending []");
    check("purchase", 1_004, "126 EUR pending []");
    check("upgrade", 10_000, "3000 EUR pending []");
    check("bundle", 10_000, "700 USD pending [currency_mismatch]");
    check("net", 10_000, "1000 EUR pending [fee_unknown]");
    // The hold ends by the conversion's own time; who needs a person waits for one.
    world.pass_ms(14 * DAY_MS - 1);
    world.sweep();
    let approved = "SELECT count(*) FROM commissions WHERE state = 'approved'";
    assert_eq!(world.db.count(approved), 2);
    world.pass_ms(1);
    world.sweep();
    world.sweep();
    assert_eq!(world.db.count(approved), 4);
    assert_eq!(world.db.count("SELECT count(*) FROM events WHERE type = 'commission.approved'"), 4);
    let late = data(&world, &world.keys.sk_test, "events?type=commission.approved");
    assert_eq!((&late[0]["sequence"], &late[0]["data"]["state"]), (&json!(2), &json!("approved")));
    assert_eq!(late[0]["data"]["id"], late[0]["subject"]);
}

#[test]
fn a_program_without_a_fitting_reward_attributes_and_pays_nothing() {
    let (world, program) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    let body = json!({"external_transaction_id": "lead_1", "event_type": "signup", "click_id": click_id});
    let answer = world.api(REPORT, body);
    assert_eq!(outcome(&answer), "attributed attributed_click");
    assert_eq!(answer.text("/attribution/participant_id"), program.participant_id);
    assert_eq!(answer.body["commission_id"], json!(null));
    assert_eq!((&answer.body["amount_cents"], &answer.body["currency"]), (&json!(0), &json!(null)));
}

#[test]
fn two_sweeps_at_once_approve_once() {
    let world = World::new();
    let rewards = json!([{"trigger": "sale", "percent_bps": 1_000, "hold_days": 1}]);
    world.program_with(&world.keys.sk_test, "anna", json!({"rewards": rewards}));
    let click_id = world.click(&world.keys.pk_test, "anna");
    world.api(REPORT, purchase("txn_1", json!({"click_id": click_id})));
    world.pass_ms(DAY_MS);
    let app = world.app.clone();
    world.db.before_next_write(move || {
        pollster::block_on(crate::jobs::sweep(&app));
    });
    world.sweep();
    assert_eq!(world.db.count("SELECT count(*) FROM commissions WHERE state = 'approved'"), 1);
    assert_eq!(world.db.count("SELECT count(*) FROM events WHERE type = 'commission.approved'"), 1);
}

#[test]
fn a_refused_report_leaves_only_its_decision_and_its_id_stays_usable() {
    let (world, _) = world();
    world.program(&world.keys.sk_live, "live");
    let live_code =
        json!({"participant_id": data(&world, &world.keys.sk_live, "participants")[0]["id"], "code": "LIVE10"});
    world.make(&world.keys.sk_live, "promo-codes", live_code);
    let live = world.click(&world.keys.pk_live, "live");
    let ours = world.click(&world.keys.pk_test, "anna");
    let mut decisions = 0;
    let mut check = |more: Json, expected: &str, reason: &str| {
        let answer = world.api(REPORT, purchase("txn_1", more.clone()));
        assert_eq!(answer.summary(), expected, "{more}");
        assert_eq!(answer.header("x-ratelimit-limit"), "120");
        decisions += 1;
        assert_eq!(world.db.count("SELECT count(*) FROM decisions"), decisions, "{more}");
        for table in ["conversions", "facts", "families", "family_keys", "commissions", "clicks"] {
            assert_eq!(world.db.count(&format!("SELECT count(*) FROM {table}")), 0, "{table} after {more}");
        }
        world.pass_ms(1);
        let audit = world.api("GET /api/v1/attribution-audit?external_transaction_id=txn_1&limit=1", json!(null));
        let newest = &audit.body["data"][0];
        assert_eq!(newest["refused"], expected.split_once(' ').unwrap().1, "{more}");
        assert_eq!((&newest["reason"], &newest["conversion_id"]), (&json!(reason), &json!(null)), "{more}");
    };
    let no_signal = "422 NO_ATTRIBUTION_SIGNAL";
    check(json!({}), no_signal, "no_signal");
    check(json!({"click_id": null, "promo_code": null}), no_signal, "no_signal");
    check(json!({"prospect_email": "ann@example.com"}), no_signal, "no_signal");
    check(json!({"customer_external_id": "nobody_yet"}), no_signal, "no_signal");
    let mismatch = "422 MODE_MISMATCH";
    check(json!({"click_id": live}), mismatch, "mode_mismatch");
    check(json!({"promo_code": "live10"}), mismatch, "mode_mismatch");
    check(json!({"promo_code": "live10", "click_id": ours}), mismatch, "attributed_click");
    check(json!({"promo_code": "nobody", "click_id": live}), mismatch, "promo_code_not_found");
    let answer = world.api(REPORT, purchase("txn_1", json!({"click_id": ours})));
    assert_eq!(outcome(&answer), "attributed attributed_click");
    // A code that both modes have is this mode's.
    let both = json!({"participant_id": data(&world, &world.keys.sk_test, "participants")[0]["id"], "code": "live10"});
    world.make(&world.keys.sk_test, "promo-codes", both);
    let answer = world.api(REPORT, purchase("txn_2", json!({"promo_code": "LIVE10"})));
    assert_eq!(outcome(&answer), "attributed attributed_promo_code");
}

#[test]
fn a_repeat_is_refused_with_the_first_ones_id() {
    let (world, _) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    let first = world.api(REPORT, purchase("txn_1", json!({"click_id": click_id})));
    let check = |body: Json| {
        let answer = world.api(REPORT, body);
        assert_eq!(answer.summary(), "409 CONVERSION_DUPLICATE");
        let mut keys: Vec<_> = answer.body["error"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, ["code", "conversion_id", "message", "request_id"]);
        assert_eq!(answer.text("/error/conversion_id"), first.text("/id"));
    };
    check(purchase("txn_1", json!({"click_id": click_id})));
    check(purchase("txn_1", json!({"promo_code": "Anna10", "amount_cents": 1})));
    check(purchase("txn_1", json!({})));
    for table in ["conversions", "commissions", "entries", "decisions", "facts"] {
        assert_eq!(world.db.count(&format!("SELECT count(*) FROM {table}")), 1, "{table}");
    }
    // An id is compared as it is written.
    assert_eq!(world.api(REPORT, purchase("TXN_1", json!({"click_id": click_id}))).status, 201);
    assert_eq!(world.api(REPORT, purchase("txn_1 ", json!({"click_id": click_id}))).status, 201);
}

#[test]
fn of_two_reports_at_once_the_second_is_a_duplicate() {
    let (world, _) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    let body = purchase("txn_1", json!({"click_id": click_id}));
    world.before_next_write(REPORT, body.clone());
    world.check(REPORT, body, expect!["409 CONVERSION_DUPLICATE"]);
    for table in ["conversions", "commissions", "entries", "decisions", "facts"] {
        assert_eq!(world.db.count(&format!("SELECT count(*) FROM {table}")), 1, "{table}");
    }
}

#[test]
fn a_write_that_was_lost_may_be_tried_again() {
    let (world, _) = world();
    let body = purchase("txn_1", json!({"promo_code": "anna10"}));
    world.db.next_write(NextWrite::IsLost);
    world.check(REPORT, body.clone(), expect!["503 UNAVAILABLE"]);
    for table in ["conversions", "facts", "decisions", "events WHERE subject LIKE 'conv%'"] {
        assert_eq!(world.db.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    world.check(REPORT, body.clone(), expect!["201"]);
    world.check(REPORT, body, expect!["409 CONVERSION_DUPLICATE"]);
}

#[test]
fn a_write_that_landed_but_reported_failure_is_not_counted_twice() {
    let (world, _) = world();
    let body = purchase("txn_1", json!({"promo_code": "anna10"}));
    world.db.next_write(NextWrite::LandsButReportsFailure);
    world.check(REPORT, body.clone(), expect!["503 UNAVAILABLE"]);
    let again = world.api(REPORT, body);
    assert_eq!(again.summary(), "409 CONVERSION_DUPLICATE");
    let listed = data(&world, &world.keys.sk_test, "conversions");
    assert_eq!((listed.len(), listed[0]["id"].as_str()), (1, again.body["error"]["conversion_id"].as_str()));
    assert_eq!(world.db.count("SELECT count(*) FROM entries"), 1);
}

#[test]
fn a_report_costs_two_round_trips_when_its_key_is_remembered() {
    let (world, _) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    world.pass_ms(30_000);
    world.db.round_trips();
    for (transaction, more, trips) in [
        ("txn_1", json!({"click_id": click_id}), 3),
        ("txn_2", json!({"click_id": click_id}), 2),
        ("txn_3", json!({"promo_code": "ANNA10"}), 2),
        ("txn_4", json!({"click_id": click_id, "promo_code": "ANNA10", "amount_cents": 0}), 2),
    ] {
        assert_eq!(world.api(REPORT, purchase(transaction, more)).status, 201);
        assert_eq!(world.db.round_trips(), trips, "{transaction}");
    }
    // A repeat is only looked up; a refusal leaves its decision.
    let repeat = world.api(REPORT, purchase("txn_1", json!({"click_id": click_id})));
    assert_eq!((repeat.summary().as_str(), world.db.round_trips()), ("409 CONVERSION_DUPLICATE", 1));
    assert_eq!(world.api(REPORT, purchase("txn_5", json!({}))).summary(), "422 NO_ATTRIBUTION_SIGNAL");
    assert_eq!(world.db.round_trips(), 2);
}

#[test]
fn a_click_is_never_used_up() {
    let world = World::new();
    let rewards = json!([{"trigger": "lead", "flat": {"amount_cents": 500, "currency": "EUR"}}, {"trigger": "sale", "percent_bps": 2_000}]);
    world.program_with(&world.keys.sk_test, "anna", json!({"rewards": rewards}));
    let click_id = world.click(&world.keys.pk_test, "anna");
    let lead = json!({"external_transaction_id": "lead_1", "event_type": "lead", "click_id": click_id});
    assert_eq!(outcome(&world.api(REPORT, lead)), "attributed attributed_click");
    assert_eq!(
        outcome(&world.api(REPORT, purchase("txn_1", json!({"click_id": click_id})))),
        "attributed attributed_click"
    );
    let amounts: Vec<_> =
        data(&world, &world.keys.sk_test, "commissions").iter().map(|c| c["amount_cents"].as_i64().unwrap()).collect();
    assert_eq!(amounts.iter().sum::<i64>(), 2_500);
}

#[test]
fn a_click_whose_record_was_lost_is_recovered_by_its_conversion() {
    let (world, program) = world();
    let click_id = world.click(&world.keys.pk_test, "anna");
    let own = world.queued();
    assert_eq!(world.lose_queue(), 1);
    world.pass_ms(MINUTE_MS);
    assert_eq!(
        outcome(&world.api(REPORT, purchase("txn_1", json!({"click_id": click_id})))),
        "attributed attributed_click"
    );
    let click = || world.api(&format!("GET /api/v1/clicks/{click_id}"), json!(null)).body;
    assert_eq!(click()["flags"], json!(["recovered"]));
    assert_eq!(
        (&click()["created_at"], &click()["link_id"]),
        (&json!("2026-06-01T12:00:00.000Z"), &json!(program.link_id))
    );
    // The click's own record comes late, twice; then another conversion.
    world.handle([own.clone(), own].concat());
    assert_eq!((&click()["flags"], &click()["country"]), (&json!(["no_agent"]), &json!("DE")));
    world.api(REPORT, purchase("txn_2", json!({"click_id": click_id})));
    assert_eq!((&click()["flags"], &click()["country"]), (&json!(["no_agent"]), &json!("DE")));
    assert_eq!(world.records(), 1);
}

#[test]
fn two_workspaces_and_two_modes_never_see_each_others_objects() {
    let world = World::new();
    let second = world.workspace("Second");
    let keys = [world.keys.sk_test.clone(), world.keys.sk_live.clone(), second.sk_test.clone(), second.sk_live.clone()];
    let public = [&world.keys.pk_test, &world.keys.pk_live, &second.pk_test, &second.pk_live];
    let mut all: Vec<Vec<(String, String)>> = Vec::new();
    for (key, pk) in keys.iter().zip(public) {
        let program = world.program(key, "anna");
        // The same names everywhere.
        world.make(key, "promo-codes", json!({"participant_id": program.participant_id, "code": "ANNA10"}));
        let connection = world.stripe_connection(key);
        let livemode = key.starts_with("sk_live");
        let event = json!({"id": "evt_1", "object": "event", "type": "charge.expired", "created": 1, "livemode": livemode, "data": {"object": {}}});
        assert_eq!(world.stripe(&connection, &event).status, 200);
        let click_id = world.click(pk, "anna");
        let answer = world.api_as(key, REPORT, purchase("txn_1", json!({"click_id": click_id})));
        assert_eq!(outcome(&answer), "attributed attributed_click");
        world.deliver();
        let mut objects = Vec::new();
        for list in [
            "programs",
            "partners",
            "participants",
            "links",
            "promo-codes",
            "hosts",
            "clicks",
            "conversions",
            "commissions",
            "stripe-connections",
            "stripe-events",
            "events",
            "attribution-audit",
        ] {
            let rows = data(&world, key, list);
            assert!(rows.len() == 1 || list == "events", "{list}: {rows:?}");
            assert!(rows.iter().all(|row| row["mode"] == json!(if livemode { "live" } else { "test" })), "{list}");
            let field = if list == "attribution-audit" { "conversion_id" } else { "id" };
            objects.extend(rows.iter().map(|row| (list.to_owned(), row[field].as_str().unwrap().to_owned())));
        }
        all.push(objects);
    }
    for (owner, objects) in all.iter().enumerate() {
        for (list, id) in
            objects.iter().filter(|(list, _)| !["hosts", "stripe-connections", "events"].contains(&list.as_str()))
        {
            for (asker, key) in keys.iter().enumerate() {
                world.pass_ms(1_000);
                let answer = world.api_as(key, &format!("GET /api/v1/{list}/{id}"), json!(null));
                let expected = if asker == owner { "200" } else { "404 NOT_FOUND" };
                assert_eq!(answer.summary(), expected, "{list} of {owner} asked by {asker}");
            }
        }
    }
    // Nor may one act on another's, or hang something of its own on it.
    let id = |list: &str| all[0].iter().find(|(held, _)| held == list).unwrap().1.clone();
    let (program, partner, participant, link, host) =
        (id("programs"), id("partners"), id("participants"), id("links"), id("hosts"));
    for key in &keys[1..] {
        let check = |line: String, body: Json| {
            world.pass_ms(1_000);
            assert_eq!(world.api_as(key, &line, body).summary(), "404 NOT_FOUND", "{line}");
        };
        check(format!("POST /api/v1/programs/{program}/archive"), json!(null));
        check(format!("POST /api/v1/participants/{participant}/suspend"), json!(null));
        check(format!("POST /api/v1/links/{link}/archive"), json!(null));
        check(format!("DELETE /api/v1/hosts/{host}"), json!(null));
        check("POST /api/v1/participants".to_owned(), json!({"program_id": program, "partner_id": partner}));
        check(
            "POST /api/v1/links".to_owned(),
            json!({"participant_id": participant, "ref": "x", "landing_url": "https://shop.test/"}),
        );
        check("POST /api/v1/promo-codes".to_owned(), json!({"participant_id": participant, "code": "X"}));
    }
}

#[test]
fn live_money_and_its_reasons_are_only_added_to() {
    let world = World::new();
    for (sk, pk) in [(&world.keys.sk_test, &world.keys.pk_test), (&world.keys.sk_live, &world.keys.pk_live)] {
        world.program(sk, "anna");
        let click_id = world.click(pk, "anna");
        assert_eq!(world.api_as(sk, REPORT, purchase("txn_1", json!({"click_id": click_id}))).status, 201);
    }
    for table in ["entries", "facts", "decisions"] {
        for column in ["created_at", "workspace_id", "mode"] {
            let column = if table == "facts" && column == "created_at" { "recorded_at" } else { column };
            let refused = world.db.execute(&format!("UPDATE {table} SET {column} = {column}")).unwrap_err();
            assert_eq!(refused, format!("{table} are never changed"));
        }
    }
    world.db.execute("DELETE FROM fraud_alerts").unwrap();
    for table in ["entries", "commissions", "decisions", "conversions", "facts"] {
        let refused = world.db.execute(&format!("DELETE FROM {table} WHERE mode = 'live'")).unwrap_err();
        assert_eq!(refused, format!("live {table} are never deleted"));
        // Test mode's rows may be wiped.
        assert_eq!(world.db.execute(&format!("DELETE FROM {table} WHERE mode = 'test'")), Ok(1), "{table}");
        assert_eq!(world.db.count(&format!("SELECT count(*) FROM {table}")), 1, "{table}");
    }
    assert_eq!(world.db.execute("UPDATE events SET type = type").unwrap_err(), "events are never changed");
    assert_eq!(world.db.execute("DELETE FROM links").unwrap_err(), "links are archived, never deleted");
}
