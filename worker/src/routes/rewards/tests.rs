use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value as Json, json};

use crate::testing::shop::{Shop, shop};
use crate::testing::{Answer, Program, World, charge, invoice_paid, invoice_payment, refund};

const BAD: &str = "400 VALIDATION_ERROR";
const CONFLICT: &str = "409 CONFLICT";
const UNKNOWN: &str = "404 NOT_FOUND";

/// Sends a second later, so that no limit is reached and every version has a time of its own.
fn send(world: &World, line: &str, body: Json) -> Answer {
    world.pass_ms(1_000);
    world.api(line, body)
}

fn with(body: &Json, more: Json) -> Json {
    let mut body = body.clone();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[track_caller]
fn make(world: &World, body: Json) -> String {
    let made = send(world, "POST /api/v1/rewards", body);
    assert_eq!(made.status, 201, "{}", made.body);
    made.text("/id")
}

#[track_caller]
fn change(world: &World, id: &str, body: Json) -> Json {
    let changed = send(world, &format!("POST /api/v1/rewards/{id}/change"), body);
    assert_eq!(changed.status, 200, "{}", changed.body);
    changed.body
}

/// A program without rewards, with an approved participant and the link `anna`.
fn bare(world: &World) -> Program {
    world.program_with(&world.keys.sk_test, "anna", json!({}))
}

/// Reports a purchase by a click on `link_ref` and gives its commission: amount, currency, state.
#[track_caller]
fn earns(world: &World, link_ref: &str, transaction: &str, more: Json) -> String {
    let click_id = world.click(&world.keys.pk_test, link_ref);
    let body = json!({"click_id": click_id, "external_transaction_id": transaction, "event_type": "purchase",
        "amount_cents": 10_000, "currency": "EUR"});
    let told = send(world, "POST /api/v1/conversions", with(&body, more));
    assert_eq!(told.status, 201, "{}", told.body);
    if told.body["commission_id"].is_null() {
        return "nothing".to_owned();
    }
    let commission = send(world, &format!("GET /api/v1/commissions/{}", told.text("/commission_id")), json!(null)).body;
    let line = format!("{} {} {}", commission["amount_cents"], commission["currency"], commission["state"]);
    line.replace('"', "")
}

#[test]
fn a_reward_is_made_with_defaults_and_wrong_ones_are_refused() {
    let world = World::new();
    let (anna, bert) = (bare(&world), world.program(&world.keys.sk_test, "bert"));
    let live = world.program(&world.keys.sk_live, "live");
    let good = json!({"program_id": anna.program_id, "trigger": "sale", "percent_bps": 1_500});
    let check = |more: Json, expected: &str| {
        let answer = send(&world, "POST /api/v1/rewards", with(&good, more.clone()));
        assert_eq!(answer.summary(), expected, "{more} → {}", answer.body);
    };
    check(json!({"participant_id": anna.participant_id, "event_type": "upgrade", "hold_days": 14}), "201");
    check(json!({"trigger": "recurring", "payments_max": 12}), "201");
    check(json!({"payments_max": 12}), BAD);
    check(json!({"trigger": "lead", "payments_max": 12}), BAD);
    check(json!({"program_id": null}), BAD);
    check(json!({"program_id": "anna"}), BAD);
    check(json!({"trigger": null}), BAD);
    check(json!({"percent_bps": null}), BAD);
    check(json!({"flat": {"amount_cents": 1, "currency": "EUR"}}), BAD);
    check(json!({"event_type": "e".repeat(101)}), BAD);
    check(json!({"participant_id": bert.participant_id}), BAD);
    check(json!({"participant_id": live.participant_id}), UNKNOWN);
    check(json!({"participant_id": "ppt_00000000000000000000000000"}), UNKNOWN);
    check(json!({"program_id": live.program_id}), UNKNOWN);
    check(json!({"program_id": "prog_00000000000000000000000000"}), UNKNOWN);
    let all_wrong =
        send(&world, "POST /api/v1/rewards", json!({"trigger": "x", "basis": "y", "hold_days": -1, "auto_approve": 7}));
    let fields: Vec<&str> =
        all_wrong.body["error"]["details"].as_array().unwrap().iter().map(|d| d["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["program_id", "trigger", "percent_bps", "basis", "hold_days", "auto_approve"]);

    let made = send(&world, "POST /api/v1/rewards", good.clone()).body;
    let shape = json!({
        "id": made["id"], "mode": "test", "program_id": anna.program_id, "version_id": made["version_id"], "version": 1,
        "participant_id": null, "trigger": "sale", "event_type": null, "percent_bps": 1_500, "flat": null,
        "basis": "gross", "hold_days": 0, "auto_approve": true, "payments_max": null,
        "valid_from": world.now().to_string(), "retired": false, "created_at": world.now().to_string(),
    });
    assert_eq!(made, shape);
    let line = format!("GET /api/v1/rewards/{}", made["id"].as_str().unwrap());
    let read = send(&world, &line, json!(null)).body;
    assert_eq!(read["versions"][0]["version_id"], made["version_id"]);
    let mut alone = read.clone();
    alone.as_object_mut().unwrap().remove("versions");
    assert_eq!(alone, shape);
    assert_eq!(world.api_as(&world.keys.sk_live, &line, json!(null)).summary(), UNKNOWN);
    let stranger = world.workspace("Second");
    assert_eq!(world.api_as(&stranger.sk_test, &line, json!(null)).summary(), UNKNOWN);
    let line = line.replace("GET", "POST") + "/retire";
    assert_eq!(world.api_as(&stranger.sk_test, &line, json!(null)).summary(), UNKNOWN);
}

#[test]
fn a_change_is_a_new_version_from_now_on_in_which_only_what_is_given_changes() {
    let world = World::new();
    let anna = bare(&world);
    let id = make(
        &world,
        json!({"program_id": anna.program_id, "trigger": "recurring", "percent_bps": 1_500, "payments_max": 3,
            "hold_days": 7, "event_type": "purchase", "basis": "net_of_tax", "auto_approve": false}),
    );
    let made_at = world.now().to_string();
    let flat = json!({"amount_cents": 500, "currency": "eur"});
    let changed = change(&world, &id, json!({"flat": flat, "percent_bps": null, "valid_from": "2020-01-01T00:00:00Z"}));
    let told = |field: &str| changed[field].clone();
    assert_eq!((told("version"), told("percent_bps")), (json!(2), json!(null)));
    assert_eq!(told("flat"), json!({"amount_cents": 500, "currency": "EUR"}));
    assert_eq!((told("payments_max"), told("hold_days"), told("event_type")), (json!(3), json!(7), json!("purchase")));
    assert_eq!((told("basis"), told("auto_approve")), (json!("net_of_tax"), json!(false)));
    assert_eq!((told("valid_from"), told("created_at")), (json!(world.now().to_string()), json!(made_at)));
    let numbers: Vec<&Json> = changed["versions"].as_array().unwrap().iter().map(|v| &v["version"]).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(send(&world, &format!("GET /api/v1/rewards/{id}"), json!(null)).body, changed);

    let line = |verb: &str| format!("POST /api/v1/rewards/{id}/{verb}");
    let check = |verb: &str, body: Json, expected: &str| {
        let answer = send(&world, &line(verb), body.clone());
        assert_eq!(answer.summary(), expected, "{verb} {body} → {}", answer.body);
    };
    check("change", json!({"trigger": "sale"}), BAD);
    check("change", json!({"trigger": "recurring", "program_id": anna.program_id}), "200");
    check("change", json!({"participant_id": anna.participant_id}), BAD);
    check("change", json!({"program_id": "prog_00000000000000000000000000"}), BAD);
    check("change", json!({"percent_bps": 1, "flat": flat}), BAD);
    check("change", json!({"payments_max": 0}), BAD);
    check("change", json!(null), BAD);
    check("sing", json!({}), UNKNOWN);
    check("retire", json!(null), "200");
    check("retire", json!(null), CONFLICT);
    check("change", json!({"hold_days": 1}), CONFLICT);
    let read = send(&world, &format!("GET /api/v1/rewards/{id}"), json!(null)).body;
    assert_eq!((&read["retired"], &read["version"]), (&json!(true), &json!(4)));
    let program = send(&world, &format!("GET /api/v1/programs/{}", anna.program_id), json!(null)).body;
    assert_eq!(program["rewards"], json!([]));
    assert_eq!(send(&world, "POST /api/v1/rewards/rew_x/change", json!({})).summary(), UNKNOWN);
}

#[test]
fn what_a_change_clears_is_as_it_is_by_default_and_null_still_equals_absent() {
    let world = World::new();
    let anna = bare(&world);
    let id = make(
        &world,
        json!({"program_id": anna.program_id, "trigger": "recurring", "percent_bps": 1_500, "payments_max": 3,
            "hold_days": 7, "event_type": "purchase", "clear": "of a new reward nothing can be cleared"}),
    );
    let limits =
        |reward: &Json| [&reward["payments_max"], &reward["hold_days"], &reward["event_type"]].map(Json::clone);
    let kept = change(&world, &id, json!({"payments_max": null, "event_type": null, "clear": null}));
    assert_eq!(limits(&kept), [json!(3), json!(7), json!("purchase")]);
    let lifted = change(&world, &id, json!({"clear": ["payments_max"]}));
    assert_eq!(limits(&lifted), [json!(null), json!(7), json!("purchase")]);
    let rest = change(&world, &id, json!({"payments_max": 5, "clear": ["event_type", "hold_days"]}));
    assert_eq!(limits(&rest), [json!(5), json!(0), json!(null)]);
    for (body, field) in [
        (json!({"clear": ["trigger"]}), "clear[0]"),
        (json!({"clear": ["payments_max", 1]}), "clear[1]"),
        (json!({"clear": "payments_max"}), "clear"),
        (json!({"clear": ["hold_days", "hold_days", "hold_days", "hold_days"]}), "clear"),
        (json!({"clear": ["hold_days"], "hold_days": 1}), "hold_days"),
    ] {
        let answer = send(&world, &format!("POST /api/v1/rewards/{id}/change"), body.clone());
        assert_eq!((answer.summary().as_str(), answer.text("/error/details/0/field").as_str()), (BAD, field), "{body}");
    }
}

#[test]
fn of_two_changes_at_once_the_second_is_told_so() {
    let world = World::new();
    let anna = bare(&world);
    let id = make(&world, json!({"program_id": anna.program_id, "trigger": "sale", "percent_bps": 1_500}));
    for (faster, slower) in [("change", "change"), ("retire", "change")] {
        let faster: &'static str = Box::leak(format!("POST /api/v1/rewards/{id}/{faster}").into_boxed_str());
        world.before_next_write(faster, json!({"percent_bps": 1_000}));
        let answer = send(&world, &format!("POST /api/v1/rewards/{id}/{slower}"), json!({"percent_bps": 9_000}));
        assert_eq!(answer.summary(), CONFLICT);
        assert_eq!(answer.text("/error/message"), "The reward was changed at the same time; look again.");
    }
    let read = send(&world, &format!("GET /api/v1/rewards/{id}"), json!(null)).body;
    assert_eq!((&read["version"], &read["percent_bps"], &read["retired"]), (&json!(3), &json!(1_000), &json!(true)));
}

#[test]
fn rewards_are_listed_at_their_newest_version_and_narrowed() {
    let world = World::new();
    let (anna, bert) = (bare(&world), world.program_with(&world.keys.sk_test, "bert", json!({})));
    let sale = |program: &Program, more: Json| {
        make(&world, with(&json!({"program_id": program.program_id, "trigger": "sale", "percent_bps": 100}), more))
    };
    let first = sale(&anna, json!({}));
    let own = sale(&anna, json!({"participant_id": anna.participant_id}));
    let lead = sale(&anna, json!({"trigger": "lead"}));
    let other = sale(&bert, json!({}));
    change(&world, &first, json!({"percent_bps": 200}));
    change(&world, &first, json!({"percent_bps": 300}));
    send(&world, &format!("POST /api/v1/rewards/{lead}/retire"), json!(null));
    let check = |query: &str, expected: &[&String]| {
        let answer = send(&world, &format!("GET /api/v1/rewards{query}"), json!(null));
        assert_eq!(answer.status, 200, "{query}");
        let ids: Vec<&str> =
            answer.body["data"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected.iter().map(|id| id.as_str()).collect::<Vec<_>>(), "{query}");
        answer
    };
    let all = check("", &[&other, &lead, &own, &first]);
    let told: Vec<&Json> = all.body["data"].as_array().unwrap().iter().map(|r| &r["version"]).collect();
    assert_eq!(told, [1, 2, 1, 3]);
    check(&format!("?program_id={}", anna.program_id), &[&lead, &own, &first]);
    check(&format!("?participant_id={}", anna.participant_id), &[&own]);
    check("?trigger=lead", &[&lead]);
    check("?program_id=prog_else", &[]);
    let page = check(&format!("?program_id={}&limit=2", anna.program_id), &[&lead, &own]);
    let next = page.text("/next_cursor");
    let page = check(&format!("?program_id={}&limit=2&cursor={next}", anna.program_id), &[&first]);
    assert_eq!(page.body["next_cursor"], json!(null));
    assert_eq!(send(&world, "GET /api/v1/rewards?trigger=click", json!(null)).summary(), BAD);
    // A program shows its own rewards, not its participants'.
    let program = send(&world, &format!("GET /api/v1/programs/{}", anna.program_id), json!(null)).body;
    assert_eq!(program["rewards"].as_array().unwrap().len(), 1);
    assert_eq!((&program["rewards"][0]["id"], &program["rewards"][0]["percent_bps"]), (&json!(first), &json!(300)));
}

#[test]
fn a_sale_earns_by_the_version_valid_when_it_happened_however_late_it_is_told() {
    let world = World::new();
    let anna = bare(&world);
    let click_id = world.click(&world.keys.pk_test, "anna");
    let id = make(&world, json!({"program_id": anna.program_id, "trigger": "sale", "percent_bps": 2_000}));
    world.pass_ms(DAY_MS);
    change(&world, &id, json!({"percent_bps": 500}));
    let changed_at = world.now();
    world.pass_ms(DAY_MS);
    assert_eq!(send(&world, &format!("POST /api/v1/rewards/{id}/retire"), json!(null)).status, 200);
    let retired_at = world.now();
    world.pass_ms(DAY_MS);
    let check = |transaction: &str, at: domain::time::Instant, expected: &str| {
        let more = json!({"click_id": click_id, "occurred_at": at.to_string()});
        assert_eq!(earns(&world, "anna", transaction, more), expected, "{transaction}");
    };
    check("1", changed_at.plus_ms(-1), "2000 EUR approved");
    check("2", changed_at, "500 EUR approved");
    check("3", retired_at.plus_ms(-1), "500 EUR approved");
    check("4", retired_at, "nothing");
}

/// A renewal of the subscription `sub_1`, or its first invoice.
fn invoice(shop: &Shop, id: &str, reason: &str) -> Json {
    let details =
        json!({"type": "subscription_details", "subscription_details": {"subscription": "sub_1", "metadata": {}}});
    let more = json!({"billing_reason": reason, "parent": details, "customer": "cus_1"});
    invoice_paid(id, shop.now_s(), false, more)
}

/// Each commission's entries, the earliest commission first.
fn entries(shop: &Shop) -> Json {
    let of = |commission: &Json| -> Vec<Json> {
        commission["entries"].as_array().unwrap().iter().map(|entry| entry["amount_cents"].clone()).collect()
    };
    json!(shop.data("commissions").iter().rev().map(of).collect::<Vec<_>>())
}

#[test]
fn a_refund_after_a_change_is_computed_by_the_old_rate_and_a_renewal_by_the_new_one() {
    let shop = shop();
    let rewards = shop.data(&format!("rewards?program_id={}&trigger=recurring", shop.program.program_id));
    let id = rewards[0]["id"].as_str().unwrap().to_owned();
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&invoice(&shop, "1", "subscription_create"));
    shop.take(&invoice_payment("1", shop.now_s()));
    assert_eq!(entries(&shop), json!([[2_000]]));
    shop.world.pass_ms(DAY_MS);
    change(&shop.world, &id, json!({"percent_bps": 1_000}));
    shop.world.pass_ms(MINUTE_MS);
    shop.take(&refund("1", "1", shop.now_s(), 5_000, "succeeded"));
    assert_eq!(entries(&shop), json!([[2_000, -1_000]]));
    shop.world.pass_ms(30 * DAY_MS);
    shop.take(&invoice(&shop, "2", "subscription_cycle"));
    shop.take(&invoice_payment("2", shop.now_s()));
    assert_eq!(entries(&shop), json!([[2_000, -1_000], [1_000]]));
    // The rest of the first, by a charge's figure, still by the old rate; then the renewal's, by the new one.
    shop.take(&charge("1", shop.now_s(), 10_000));
    shop.take(&refund("2", "2", shop.now_s(), 2_500, "succeeded"));
    assert_eq!(entries(&shop), json!([[2_000, -1_000, -1_000], [1_000, -250]]));
    let versions: Vec<Json> = shop.data("commissions").iter().rev().map(|c| c["reward_version"].clone()).collect();
    let read = send(&shop.world, &format!("GET /api/v1/rewards/{id}"), json!(null)).body;
    assert_eq!(json!(versions), json!([read["versions"][1]["version_id"], read["versions"][0]["version_id"]]));
}

#[test]
fn a_participants_own_reward_wins_for_its_trigger_alone_and_ends_alone() {
    let world = World::new();
    let anna = bare(&world);
    let bert = world.make(&world.keys.sk_test, "partners", json!({"name": "Bert", "email": "bert@partner.test"}));
    let bert = json!({"program_id": anna.program_id, "partner_id": bert, "status": "approved"});
    let bert = world.make(&world.keys.sk_test, "participants", bert);
    let link = json!({"participant_id": bert, "ref": "bert", "landing_url": "https://shop.test/"});
    world.make(&world.keys.sk_test, "links", link);
    let reward = |more: Json| make(&world, with(&json!({"program_id": anna.program_id, "trigger": "sale"}), more));
    let common = reward(json!({"percent_bps": 1_000}));
    reward(json!({"trigger": "lead", "flat": {"amount_cents": 50, "currency": "EUR"}}));
    let own = reward(json!({"percent_bps": 3_000, "participant_id": bert}));
    // Newer and naming the event type, and yet not the participant's own.
    reward(json!({"percent_bps": 1_500, "event_type": "purchase"}));
    let lead = json!({"event_type": "signup", "amount_cents": 0, "currency": null});
    assert_eq!(earns(&world, "bert", "1", json!({})), "3000 EUR approved");
    assert_eq!(earns(&world, "anna", "2", json!({})), "1500 EUR approved");
    assert_eq!(earns(&world, "anna", "3", json!({"event_type": "upgrade"})), "1000 EUR approved");
    assert_eq!(earns(&world, "bert", "4", lead), "50 EUR approved");
    // The program's reward ends, and the participant's own stays.
    assert_eq!(send(&world, &format!("POST /api/v1/rewards/{common}/retire"), json!(null)).status, 200);
    assert_eq!(earns(&world, "anna", "5", json!({"event_type": "upgrade"})), "nothing");
    assert_eq!(earns(&world, "bert", "6", json!({"event_type": "upgrade"})), "3000 EUR approved");
    // The participant's own ends, and the program's counts again.
    assert_eq!(send(&world, &format!("POST /api/v1/rewards/{own}/retire"), json!(null)).status, 200);
    assert_eq!(earns(&world, "bert", "7", json!({})), "1500 EUR approved");
}

#[test]
fn a_participants_own_cap_counts_and_the_programs_does_not_take_over_after_it() {
    let shop = shop();
    let own = json!({"program_id": shop.program.program_id, "participant_id": shop.program.participant_id,
        "trigger": "recurring", "percent_bps": 4_000, "payments_max": 2});
    let id = make(&shop.world, own);
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&invoice(&shop, "1", "subscription_create"));
    for n in ["2", "3"] {
        shop.world.pass_ms(30 * DAY_MS);
        shop.take(&invoice(&shop, n, "subscription_cycle"));
    }
    assert_eq!(entries(&shop), json!([[4_000], [4_000]]));
    // More payments earn from now on; the one that came before does not.
    shop.world.pass_ms(DAY_MS);
    change(&shop.world, &id, json!({"payments_max": 4}));
    for n in ["4", "5"] {
        shop.world.pass_ms(30 * DAY_MS);
        shop.take(&invoice(&shop, n, "subscription_cycle"));
    }
    assert_eq!(entries(&shop), json!([[4_000], [4_000], [4_000]]));
}

#[test]
fn the_one_that_names_the_event_type_beats_the_newest_and_a_change_makes_no_reward_newer() {
    let world = World::new();
    let anna = bare(&world);
    let reward = |more: Json| make(&world, with(&json!({"program_id": anna.program_id, "trigger": "sale"}), more));
    let named = reward(json!({"percent_bps": 1_000, "event_type": "purchase"}));
    let old = reward(json!({"percent_bps": 2_000}));
    reward(json!({"percent_bps": 3_000}));
    assert_eq!(earns(&world, "anna", "1", json!({})), "1000 EUR approved");
    assert_eq!(earns(&world, "anna", "2", json!({"event_type": "upgrade"})), "3000 EUR approved");
    change(&world, &old, json!({"hold_days": 1}));
    assert_eq!(earns(&world, "anna", "3", json!({"event_type": "upgrade"})), "3000 EUR approved");
    assert_eq!(send(&world, &format!("POST /api/v1/rewards/{named}/retire"), json!(null)).status, 200);
    assert_eq!(earns(&world, "anna", "4", json!({})), "3000 EUR approved");
}

#[test]
fn flat_and_percent_rewards_are_whole_minor_units_in_currencies_of_0_2_and_3_decimals() {
    let world = World::new();
    let anna = bare(&world);
    let flat = |amount: i64, currency: &str| {
        json!({"program_id": anna.program_id, "trigger": "sale", "event_type": currency,
            "flat": {"amount_cents": amount, "currency": currency}})
    };
    make(&world, flat(500, "JPY"));
    make(&world, flat(1_234, "KWD"));
    make(&world, json!({"program_id": anna.program_id, "trigger": "sale", "percent_bps": 333}));
    let check = |transaction: &str, event: &str, amount: i64, currency: &str, expected: &str| {
        let more = json!({"event_type": event, "amount_cents": amount, "currency": currency});
        assert_eq!(earns(&world, "anna", transaction, more), expected, "{transaction}");
    };
    check("1", "JPY", 980, "jpy", "500 JPY approved");
    check("2", "KWD", 12_345, "KWD", "1234 KWD approved");
    // 333 of 10,000: 32.6 yen, 411.1 fils, 1,000.665 cents.
    check("3", "purchase", 980, "JPY", "33 JPY approved");
    check("4", "purchase", 12_345, "KWD", "411 KWD approved");
    check("5", "purchase", 30_050, "EUR", "1001 EUR approved");
    // A flat reward in another currency than the payment is never converted: a person looks at it.
    check("6", "JPY", 10_000, "KWD", "500 JPY pending");
    let commission = send(&world, "GET /api/v1/commissions?limit=1", json!(null)).body["data"][0].clone();
    assert_eq!(commission["review_reasons"], json!(["currency_mismatch"]));
}
