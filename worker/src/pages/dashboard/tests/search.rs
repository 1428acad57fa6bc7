//! The search: whatever a person has at hand.

use serde_json::json;

use super::Shop;
use crate::store::{Scope, search};
use crate::testing::{refund, session_completed};

fn found(page: &str) -> Vec<String> {
    let hits = page.split("class=\"plain hits\"").skip(1);
    hits.flat_map(|rest| rest.split("</ul>").next().unwrap().split("href=\"").skip(1))
        .map(|rest| rest.split('"').next().unwrap().rsplit("/test/").next().unwrap().to_owned())
        .collect()
}

#[test]
fn what_a_person_has_at_hand_leads_to_what_it_names() {
    let shop = Shop::new();
    let world = &shop.world;
    let click = world.click(&world.keys.pk_test, "anna");
    let sk = format!("Bearer {}", world.keys.sk_test);
    let body = json!({"click_id": click, "external_transaction_id": "order-1001", "event_type": "purchase", "amount_cents": 10_000,
        "currency": "EUR", "customer_external_id": "user-42"});
    let sent = |line: &str, request: &str, body| {
        world.pass_ms(1_000);
        let answer = world.send(line, &[("authorization", &sk), ("x-request-id", request)], body);
        assert!(answer.status.is_success() || answer.status == 422, "{line}: {}", answer.raw);
        answer
    };
    let conversion = sent("POST /api/v1/conversions", "sale-request", body).text("/id");
    let refused = json!({"external_transaction_id": "order-1002", "event_type": "purchase"});
    assert_eq!(sent("POST /api/v1/conversions", "refused-request", refused).status, 422);
    let back = json!({"external_refund_id": "back-1", "amount_cents": 100});
    let returned = sent(&format!("POST /api/v1/conversions/{conversion}/refunds"), "refund-request", back).text("/id");
    let commission = world.api("GET /api/v1/commissions", json!(null)).text("/data/0/id");
    sent(&format!("POST /api/v1/commissions/{commission}/reject"), "act-request", json!({"reason": "no"}));
    let code = json!({"participant_id": shop.program.participant_id, "code": "Summer20", "stripe_promotion_code_id": "promo_9"});
    let code = world.api("POST /api/v1/promo-codes", code).text("/id");
    let connection = world.stripe_connection(&world.keys.sk_test);
    for event in [
        session_completed("1", world.now().seconds(), json!({"customer": "cus_7"})),
        refund("1", "5", world.now().seconds(), 50, "succeeded"),
    ] {
        assert_eq!(world.stripe(&connection, &event).status, 200);
        world.deliver();
    }
    world.deliver();
    let first = |list: &str| world.api(&format!("GET /api/v1/{list}"), json!(null)).text("/data/0/id");
    let paid = first("conversions?source=stripe");
    let (event, told) = (first("stripe-events?type=checkout.session.completed"), first("events"));
    let (decision, customer) =
        (first("attribution-audit?external_transaction_id=order-1001"), first("customers?external_id=user-42"));
    let (stripes, link, partner) = (first("customers?stripe_customer_id=cus_7"), first("links"), first("partners"));
    let event_request = world.api(&format!("GET /api/v1/stripe-events/{event}"), json!(null)).text("/request_id");
    let stripes_refund = first("refunds");
    let owner = shop.owner();
    let conversions = format!("conversions/{conversion}");
    for (sought, expected) in [
        (conversion.as_str(), vec![conversions.clone()]),
        (&format!("  {conversion} "), vec![conversions.clone()]),
        (&commission, vec![format!("commissions/{commission}")]),
        (&shop.program.program_id, vec![format!("programs/{}", shop.program.program_id)]),
        (&shop.program.participant_id, vec![format!("participants/{}", shop.program.participant_id)]),
        (&decision, vec![conversions.clone()]),
        (&told, vec![format!("webhook-deliveries?event_id={told}")]),
        (&click, vec![format!("clicks/{click}")]),
        ("order-1001", vec![conversions.clone()]),
        ("order-1002", vec!["attribution-audit?external_transaction_id=order-1002".to_owned()]),
        ("user-42", vec![format!("customers/{customer}")]),
        ("cus_7", vec![format!("customers/{stripes}")]),
        ("cs_test_1", vec![format!("conversions/{paid}")]),
        ("pi_1", vec![format!("conversions/{paid}")]),
        ("re_5", vec![format!("refunds/{stripes_refund}")]),
        ("evt_session_1", vec![format!("stripe-events/{event}")]),
        ("promo_9", vec![format!("promo-codes/{code}")]),
        ("sale-request", vec![conversions.clone()]),
        ("refused-request", vec!["attribution-audit?external_transaction_id=order-1002".to_owned()]),
        ("refund-request", vec![format!("refunds/{returned}")]),
        ("act-request", vec![format!("commissions/{commission}")]),
        (&event_request, vec![format!("conversions/{paid}"), format!("stripe-events/{event}")]),
        ("sUMM", vec![format!("promo-codes/{code}")]),
        ("ANN", vec![format!("partners/{partner}")]),
        ("ann", vec![format!("links/{link}"), format!("partners/{partner}")]),
        ("anna@part", vec![format!("partners/{partner}")]),
        ("nothing", vec![]),
        ("%", vec![]),
        ("' OR 1=1 --", vec![]),
    ] {
        let query: String = url::form_urlencoded::byte_serialize(sought.as_bytes()).collect();
        world.round_trips();
        let page = owner.get(&shop.at(&format!("search?q={query}")));
        assert!(page.status == 200 && world.round_trips() == 2, "{sought}");
        assert_eq!(found(&page.raw), expected, "{sought}: {}", page.raw);
    }
    // Each of them leads to a page.
    for path in [conversions.clone(), format!("webhook-deliveries?event_id={told}"), format!("refunds/{returned}")] {
        assert_eq!(owner.get(&shop.at(&path)).status, 200, "{path}");
    }
    // The other mode's and another workspace's are not found.
    assert_eq!(
        found(&owner.get(&shop.at(&format!("search?q={conversion}")).replace("/test/", "/live/")).raw),
        Vec::<String>::new()
    );
    let (other, first_link) = world.owned_workspace("Other", "other@shop.test");
    let stranger = crate::testing::Visitor::new(world);
    assert_eq!(stranger.post(&first_link, "").status, 303);
    for sought in [conversion.as_str(), "order-1001", "sale-request", "anna", &click, "evt_session_1", &link] {
        let page = stranger.get(&format!("/app/{other}/test/search?q={sought}"));
        assert!(page.status == 200 && page.raw.contains("Nothing in test mode"), "{sought}: {}", page.raw);
    }
    let hostile = owner.get(&shop.at("search?q=%22%3E%3Cscript%3E"));
    assert!(
        hostile.status == 200 && !hostile.raw.contains("<script>") && hostile.raw.contains("&#60;script&#62;"),
        "{}",
        hostile.raw
    );
    assert_eq!(owner.get(&shop.at(&format!("search?q={}", "x".repeat(5_000)))).status, 200);
    assert_eq!(owner.get(&shop.at("search")).status, 200);
}

#[test]
fn every_look_up_goes_by_an_index() {
    let shop = Shop::new();
    let scope =
        Scope { workspace_id: domain::ids::Id::parse(&shop.workspace).unwrap(), mode: domain::mode::Mode::Test };
    let click = shop.world.click(&shop.world.keys.pk_test, "anna");
    let id = |kind: &str| format!("{kind}_01kdvdna00000g40r40m30e209");
    let mut sought: Vec<String> = [
        "conv", "com", "payout", "ppt", "part", "prog", "rew", "link", "promo", "cust", "rfd", "frd", "conn", "sev",
        "whe", "whd", "dec", "ent", "act", "evt", "fact",
    ]
    .iter()
    .map(|kind| id(kind))
    .collect();
    sought.push(click);
    for text in sought {
        for statement in search::all(&scope, &text, shop.world.app.secrets.clicked_at(&text)) {
            let plan = shop.world.db.plan(statement.sql());
            let narrow = |line: &str| {
                !line.contains("(workspace_id=? AND mode=?)")
                    || line.contains("stripe_connections")
                    || line.contains("click_packs_by_hour")
            };
            assert!(plan.lines().all(narrow), "{}\n{plan}", statement.sql());
            assert!(
                !plan.lines().any(|line| line.starts_with("SCAN")
                    && !line.contains("SCAN CONSTANT ROW")
                    && !line.contains("VIRTUAL TABLE")),
                "{}\n{plan}",
                statement.sql()
            );
        }
    }
}

#[test]
fn partners_are_listed_by_the_beginning_of_their_name_or_address() {
    let shop = Shop::new();
    for (name, email) in [
        ("Bert", "zz@partner.test"),
        ("BERTA", "yy@partner.test"),
        ("Carl", "bert2@partner.test"),
        ("b%", "b@partner.test"),
    ] {
        assert_eq!(shop.world.api("POST /api/v1/partners", json!({"name": name, "email": email})).status, 201);
        shop.world.pass_ms(1);
    }
    let names = |query: &str| -> Vec<String> {
        let listed = shop.world.api(&format!("GET /api/v1/partners?{query}"), json!(null));
        assert_eq!(listed.status, 200, "{}", listed.raw);
        listed.body["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("q=ber"), ["Carl", "BERTA", "Bert"]);
    assert_eq!(names("q=BERTA"), ["BERTA"]);
    assert_eq!(names("q=b%25"), ["b%"]);
    assert_eq!(names("q=ert"), Vec::<String>::new());
    let first = shop.world.api("GET /api/v1/partners?q=ber&limit=2", json!(null));
    assert_eq!(names(&format!("q=ber&cursor={}", first.text("/next_cursor"))), ["Bert"]);
    let owner = shop.owner();
    let page = owner.get(&shop.at("partners?q=bert"));
    assert!(page.status == 200 && page.raw.contains("BERTA") && !page.raw.contains(">Anna<"), "{}", page.raw);

    for number in 0..110 {
        let body = json!({"name": format!("Many {number}"), "email": format!("m{number}@partner.test")});
        assert_eq!(shop.world.api("POST /api/v1/partners", body).status, 201);
    }
    let is_cut =
        |query: &str| shop.world.api(&format!("GET /api/v1/partners?{query}"), json!(null)).body["is_cut"].clone();
    assert_eq!((is_cut("q=many"), is_cut("q=many+1"), is_cut("q=nobody")), (json!(true), json!(false), json!(false)));
    assert!(owner.get(&shop.at("partners?q=many")).raw.contains("Type more of it."));
    assert!(!owner.get(&shop.at("partners?q=bert")).raw.contains("Type more of it."));
    let file = owner.get(&shop.at("partners/csv?q=many"));
    assert!(file.status == 200 && file.raw.contains("more begin so"), "{}", file.raw);
}
