//! What pages cost, and what a receiver of webhooks can put into one.

use serde_json::json;

use super::Shop;
use crate::testing::Does;

#[test]
fn no_page_needs_more_than_five_round_trips() {
    let shop = Shop::new();
    let world = &shop.world;
    let endpoint = json!({"url": "https://hooks.test/in", "events": ["*"]});
    let endpoint = world.api("POST /api/v1/webhook-endpoints", endpoint).text("/id");
    let conversion = shop.sale("t").text("/id");
    world.deliver();
    world.run_lanes();
    let first = |list: &str| world.api(&format!("GET /api/v1/{list}"), json!(null)).text("/data/0/id");
    let owner = shop.owner();
    let program = &shop.program;
    let delivery = first("webhook-deliveries");
    let commission = first("commissions");
    for path in [
        format!("conversions/{conversion}"),
        format!("conversions/{conversion}/attribute"),
        format!("commissions/{commission}"),
        format!("commissions/{commission}/reject"),
        format!("webhook-deliveries/{delivery}"),
        format!("webhook-endpoints/{endpoint}"),
        format!("programs/{}", program.program_id),
        format!("programs/{}/edit", program.program_id),
        format!("participants/{}", program.participant_id),
        format!("links/{}", program.link_id),
        format!("links/new?participant_id={}", program.participant_id),
        format!("partners/{}", first("partners")),
        format!("rewards/{}/change", first("rewards")),
        "rewards/new".to_owned(),
        "links/new".to_owned(),
        "promo-codes/new".to_owned(),
        "participants/new".to_owned(),
        "payouts/new".to_owned(),
        "payouts/balances".to_owned(),
        "partners?q=an".to_owned(),
        "search?q=anna".to_owned(),
        "commissions".to_owned(),
        "review".to_owned(),
    ] {
        world.round_trips();
        let page = owner.get(&shop.at(&path));
        let trips = world.round_trips();
        assert!(page.status == 200 && trips <= 5, "{path}: {} and {trips} round trips", page.status);
    }
}

#[test]
fn what_a_receiver_answers_is_text_in_the_page_of_its_delivery() {
    let shop = Shop::new();
    let world = &shop.world;
    let url = "https://hooks.test/in?<b>";
    let endpoint = world.api("POST /api/v1/webhook-endpoints", json!({"url": url, "events": ["*"]}));
    assert_eq!(endpoint.status, 201, "{}", endpoint.raw);
    let answer = format!("<script>alert(1)</script>\u{202e}{}", "x".repeat(9_000));
    world.receivers.say(&endpoint.text("/url"), Does::Tells(500, answer.into_bytes()));
    assert_eq!(
        world.api(&format!("POST /api/v1/webhook-endpoints/{}/ping", endpoint.text("/id")), json!(null)).status,
        202
    );
    world.run_lanes();
    world.receivers.say(&endpoint.text("/url"), Does::Fails("<i>broken</i>"));
    world.pass_ms(60_000);
    world.run_lanes();
    let delivery = world.api("GET /api/v1/webhook-deliveries", json!(null));
    let own = shop.at(&format!("webhook-deliveries/{}", delivery.text("/data/0/id")));
    let page = shop.owner().get(&own);
    assert_eq!(page.status, 200, "{}", page.raw);
    for shown in
        ["&#60;script&#62;alert(1)", "Attempt 1", "Attempt 2", ">500<", "&#60;i&#62;broken", "x-selgeo-signature"]
    {
        assert!(page.raw.contains(shown), "{shown}: {}", page.raw);
    }
    assert!(
        !page.raw.contains("<script>alert") && !page.raw.contains("<i>") && !page.raw.contains("<b>"),
        "{}",
        page.raw
    );
    assert!(!page.raw.contains(&"x".repeat(4_001)), "answers are shortened");
    let stranger = crate::testing::Visitor::signed_in(world, "anna@partner.test");
    assert_eq!(stranger.get(&own).status, 403);
    assert_eq!(shop.owner().get(&own.replace("/test/", "/live/")).status, 404);
}
