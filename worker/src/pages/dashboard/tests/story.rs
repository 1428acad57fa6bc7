//! One conversion's page: everything that happened, in order, and why.

use serde_json::{Value as Json, json};

use super::{OWNER, Shop};
use crate::store::Scope;
use crate::store::story;
use crate::testing::{dispute, invoice_payment, refund, session_completed};

/// The titles of a time line's steps, in order.
fn titles(page: &str) -> Vec<String> {
    page.split("<h3>").skip(1).map(|rest| rest.split("</h3>").next().unwrap().to_owned()).collect()
}

impl Shop {
    fn stripe(&self, connection: &str, event: &Json) {
        assert_eq!(self.world.stripe(connection, event).status, 200);
        self.world.deliver();
        self.world.pass_ms(1_000);
    }

    fn only(&self, list: &str) -> String {
        self.world.api(&format!("GET /api/v1/{list}"), json!(null)).text("/data/0/id")
    }
}

#[test]
fn a_story_goes_from_the_click_to_the_webhook_and_costs_at_most_five_round_trips() {
    let shop = Shop::new();
    let world = &shop.world;
    let endpoint = json!({"url": "https://hooks.shop.test/in", "events": ["*"]});
    assert_eq!(world.api("POST /api/v1/webhook-endpoints", endpoint).status, 201);
    let connection = world.stripe_connection(&world.keys.sk_test);
    let click = world.click(&world.keys.pk_test, "anna");
    world.deliver();
    world.pass_ms(60_000);
    let at = || world.now().seconds();
    shop.stripe(&connection, &session_completed("1", at(), json!({"client_reference_id": click})));
    let owner = shop.owner();
    let commission = shop.only("commissions");
    let bonus = shop.at(&format!("commissions/{commission}/bonus"));
    assert_eq!(owner.post(&bonus, "amount_cents=500&reason=a+fine+review").status, 303);
    world.pass_ms(1_000);
    shop.stripe(&connection, &refund("1", "1", at(), 2_500, "succeeded"));
    shop.stripe(&connection, &dispute("1", at(), "needs_response"));
    world.run_lanes();

    let conversion = shop.only("conversions");
    world.round_trips();
    let page = owner.get(&shop.at(&format!("conversions/{conversion}")));
    let trips = world.round_trips();
    assert_eq!(page.status, 200, "{}", page.raw);
    assert_eq!(trips, 4, "the session, the story, clicks, names");
    let titles = titles(&page.raw);
    let place = |title: &str| {
        titles.iter().position(|one| one == title).unwrap_or_else(|| panic!("no step {title:?} in {titles:#?}"))
    };
    let told = [
        "Somebody came by a link",
        "Stripe: a checkout was completed",
        "Decided: credited to Anna",
        "A commission was earned",
        "Event conversion.created",
        "A bonus was added",
        "Stripe: a refund",
        "The commission follows what went back to the buyer",
        "Stripe: a dispute",
    ];
    for pair in told.windows(2) {
        assert!(place(pair[0]) < place(pair[1]), "{pair:?}: {titles:#?}");
    }
    for shown in [
        "+20.00 EUR",
        "+5.00 EUR",
        "\u{2212}5.00 EUR",
        &format!("Click {click}: valid."),
        "https://hooks.shop.test/in",
        "data-state=\"delivered\"",
        "a fine review",
        OWNER,
        &format!("/commissions/{commission}/reject?back="),
    ] {
        assert!(page.raw.contains(shown), "{shown}: {}", page.raw);
    }
    let audit = world.api(&format!("GET /api/v1/attribution-audit/{conversion}"), json!(null));
    assert_eq!(audit.body["acts"][0]["by"], json!({"kind": "member", "name": "", "email": OWNER}));
}

#[test]
fn the_words_are_those_of_the_decision_and_losers_say_why() {
    let shop = Shop::new();
    let world = &shop.world;
    let other = world.program(&world.keys.sk_test, "otto");
    let code = json!({"participant_id": other.participant_id, "code": "OTTO"});
    assert_eq!(world.api("POST /api/v1/promo-codes", code).status, 201);
    let click = world.click(&world.keys.pk_test, "anna");
    world.deliver();
    assert_eq!(
        world.api(&format!("POST /api/v1/participants/{}/suspend", other.participant_id), json!(null)).status,
        200
    );
    let body = json!({"click_id": click, "promo_code": "otto", "external_transaction_id": "t", "event_type": "purchase",
        "amount_cents": 100, "currency": "EUR"});
    let made = world.api("POST /api/v1/conversions?explain=1", body);
    assert_eq!(made.status, 201, "{}", made.raw);
    let page = shop.owner().get(&shop.at(&format!("conversions/{}", made.text("/id")))).raw;
    let steps: Vec<String> = serde_json::from_value(made.body["explanation"]["steps"].clone()).unwrap();
    assert_eq!(steps.len(), 4, "{steps:?}");
    for step in &steps {
        assert!(page.contains(&step.replace('\'', "&#39;")), "{step}: {page}");
    }
    let of = |id: &str| shop.at(&format!("participants/{id}"));
    let (loser, winner) = (of(&other.participant_id), of(&shop.program.participant_id));
    for shown in ["data-state=\"lost\"", "data-state=\"won\"", &loser, &winner] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
}

#[test]
fn a_conversion_that_was_merged_leads_to_the_one_that_stays() {
    let shop = Shop::new();
    let world = &shop.world;
    let connection = world.stripe_connection(&world.keys.sk_test);
    let at = || world.now().seconds();
    shop.stripe(&connection, &session_completed("1", at(), json!({})));
    let click = world.click(&world.keys.pk_test, "anna");
    let body = json!({"click_id": click, "external_transaction_id": "in_1", "event_type": "purchase", "amount_cents": 10_000,
        "currency": "EUR"});
    let reported = world.api("POST /api/v1/conversions", body);
    assert_eq!(reported.status, 201, "{}", reported.raw);
    world.pass_ms(1_000);
    shop.stripe(&connection, &invoice_payment("1", at()));
    let all = world.api("GET /api/v1/conversions", json!(null)).body;
    let (merged, stays): (Vec<&Json>, Vec<&Json>) =
        all["data"].as_array().unwrap().iter().partition(|one| one["status"] == "merged");
    let id = |of: &[&Json]| of[0]["id"].as_str().unwrap().to_owned();
    assert_eq!((merged.len(), stays.len()), (1, 1), "{all:#}");
    let owner = shop.owner();
    let page = owner.get(&shop.at(&format!("conversions/{}", id(&merged)))).raw;
    let link = format!("href=\"{}\"", shop.at(&format!("conversions/{}", id(&stays))));
    assert!(page.contains("which stays:") && page.contains(&link), "{page}");
    assert!(!page.contains("Credit by hand"), "{page}");
    let page = owner.get(&shop.at(&format!("conversions/{}", id(&stays)))).raw;
    assert!(page.contains("Merged into this one:") && page.contains(&id(&merged)), "{page}");
}

#[test]
fn an_unattributed_conversion_is_credited_from_its_page_and_the_act_names_the_member() {
    let shop = Shop::new();
    let body = json!({"click_id": "0190f3c1-5e5a-4c3e-9b1a-0123456789ab", "external_transaction_id": "t",
        "event_type": "<b>\u{202e}purchase", "amount_cents": 100, "currency": "EUR", "metadata": {"<i>": "<script>x</script>", "n": [1]}});
    let made = shop.world.api("POST /api/v1/conversions", body);
    assert_eq!(made.status, 201, "{}", made.raw);
    let own = shop.at(&format!("conversions/{}", made.text("/id")));
    let owner = shop.owner();
    let page = owner.get(&own).raw;
    assert!(page.contains("Decided: credited to nobody") && page.contains("Not credited:"), "{page}");
    assert!(page.contains("&#60;script&#62;x") && !page.contains("<script>x") && !page.contains("<b>"), "{page}");
    let form = owner.get(&format!("{own}/attribute?back={own}"));
    assert_eq!(form.status, 200, "{}", form.raw);
    shop.world.pass_ms(1_000);
    let body = format!("participant_id={}&reason=by+phone&back={own}", shop.program.participant_id);
    let done = owner.post(&format!("{own}/attribute"), &body);
    assert_eq!(done.status, 303, "{}", done.raw);
    assert!(done.header("location").starts_with(&own), "{}", done.header("location"));
    let page = owner.get(done.header("location")).raw;
    assert!(page.contains("Credited by hand") && page.contains("by phone") && page.contains(OWNER), "{page}");
    assert!(page.contains("A later decision took its place."), "{page}");
    assert!(!page.contains("/attribute?back="), "who is credited is not credited again: {page}");
}

#[test]
fn anothers_conversion_is_no_page_and_the_story_reads_by_indexes() {
    let shop = Shop::new();
    let made = shop.sale("t").text("/id");
    let owner = shop.owner();
    for path in [shop.at("conversions/conv_x"), shop.at(&format!("conversions/{made}")).replace("/test/", "/live/")] {
        assert_eq!(owner.get(&path).status, 404, "{path}");
    }
    let (other, link) = shop.world.owned_workspace("Other", "other@shop.test");
    let stranger = crate::testing::Visitor::new(&shop.world);
    assert_eq!(stranger.post(&link, "").status, 303);
    assert_eq!(stranger.get(&format!("/app/{other}/test/conversions/{made}")).status, 404);
    let scope =
        Scope { workspace_id: domain::ids::Id::parse(&shop.workspace).unwrap(), mode: domain::mode::Mode::Test };
    let all = story::of_conversion(&scope, &made).into_iter().chain(story::of_commission(&scope, "com_x"));
    for statement in all {
        let plan = shop.world.db.plan(statement.sql());
        assert!(!plan.contains("_by_workspace (workspace_id=? AND mode=?)"), "{}\n{plan}", statement.sql());
        for line in plan.lines().filter(|line| line.contains("SCAN")) {
            let small = ["json_each", "CONSTANT ROW", "SCAN e", "VIRTUAL TABLE", "SUBQUERY", "UNION", "(subquery"];
            assert!(small.iter().any(|word| line.contains(word)), "{}\n{plan}", statement.sql());
        }
    }
}

#[test]
fn what_belongs_to_one_conversion_is_listed_by_an_index_of_its_own() {
    use crate::store::page::Page;
    use crate::store::{commissions, conversions, events, fraud_alerts, refunds};
    let shop = Shop::new();
    let scope =
        Scope { workspace_id: domain::ids::Id::parse(&shop.workspace).unwrap(), mode: domain::mode::Mode::Test };
    let (one, page) = (Some("conv_x".to_owned()), Page { limit: 25, after: Some("x".to_owned()) });
    let transaction = conversions::AuditFilter { external_transaction_id: one.clone(), ..Default::default() };
    for (statement, index) in [
        (
            commissions::list(&scope, &commissions::Filter { conversion_id: one.clone(), ..Default::default() }, &page),
            "(conversion_id=?)",
        ),
        (
            refunds::list(&scope, &refunds::Filter { conversion_id: one.clone(), ..Default::default() }, &page),
            "(conversion_id=?",
        ),
        (
            fraud_alerts::list(
                &scope,
                &fraud_alerts::Filter { conversion_id: one.clone(), ..Default::default() },
                &page,
            ),
            "(conversion_id=?)",
        ),
        (
            conversions::audit(
                &scope,
                &conversions::AuditFilter { conversion_id: one.clone(), ..Default::default() },
                &page,
            ),
            "(conversion_id=?",
        ),
        (conversions::audit(&scope, &transaction, &page), "decisions_by_transaction"),
        (events::list(&scope, None, one.as_ref(), &page), "(subject=?)"),
    ] {
        let plan = shop.world.db.plan(statement.sql());
        assert!(plan.contains(index), "{}\n{plan}", statement.sql());
    }
}
