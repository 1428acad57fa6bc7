//! What changing each of the deployment's secrets does: with the old key behind the new one, and without it.

use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};

use crate::testing::{Answer, Does, OPERATOR_TOKEN, Program, SECRETS, Visitor, World, invoice_paid, session_completed};

const OWNER: &str = "owner@shop.test";
/// The new key before the old one, and the new one alone.
const CLICKS_ROTATED: [&[u8]; 3] = [&[9, 1], SECRETS[1], SECRETS[2]];
const CLICKS_DROPPED: [&[u8]; 3] = [&[9], SECRETS[1], SECRETS[2]];
const SEALED_ROTATED: [&[u8]; 3] = [SECRETS[0], &[9, 2], SECRETS[2]];
const SEALED_DROPPED: [&[u8]; 3] = [SECRETS[0], &[9], SECRETS[2]];
const HASHED_ROTATED: [&[u8]; 3] = [SECRETS[0], SECRETS[1], &[9, 3]];
const HASHED_DROPPED: [&[u8]; 3] = [SECRETS[0], SECRETS[1], &[9]];

fn world() -> (World, Program) {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "anna");
    (world, program)
}

fn sale(world: &World, transaction: &str, signal: Json) -> String {
    let mut body = json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 1_000, "currency": "EUR"});
    for (name, value) in signal.as_object().unwrap() {
        body[name] = value.clone();
    }
    let sold = world.api("POST /api/v1/conversions", body);
    if sold.status == 201 { sold.text("/attribution/reason") } else { sold.summary() }
}

fn replayed(world: &World) -> (Json, Json) {
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    let told = world.send("POST /operator/v1/replay", &[("authorization", &operator)], json!({}));
    assert_eq!(told.body["next_cursor"], json!(null), "{}", told.raw);
    assert_eq!(told.body["differences"], json!([]));
    (told.body["differences_total"].clone(), told.body["digest"].clone())
}

#[test]
fn a_click_under_an_older_click_secret_still_earns_until_that_is_dropped() {
    let (world, _) = world();
    let visit = |world: &World, token: Json| {
        world.send(
            "POST /v1/clicks",
            &[],
            json!({"merchant": world.keys.pk_test, "ref": "anna", "visitor_token": token}),
        )
    };
    let old = visit(&world, json!(null));
    // Its record is lost with a machine: the id alone has to do.
    world.lose_queue();
    let rotated = world.with_secrets(CLICKS_ROTATED);
    let again = visit(&rotated, old.body["visitor_token"].clone());
    assert_eq!((again.status.as_u16(), &again.body), (200, &old.body), "the visitor's token opens");
    assert_eq!(sale(&rotated, "t1", json!({"click_id": old.body["click_id"]})), "attributed_click");
    let new = visit(&rotated, json!(null));
    assert_eq!(sale(&rotated, "t2", json!({"click_id": new.body["click_id"]})), "attributed_click");
    // Whoever has not heard of the new key knows no click of it: so every isolate has both before the old one goes.
    assert_eq!(sale(&world, "t3", json!({"click_id": new.body["click_id"]})), "click_not_found");
    let dropped = world.with_secrets(CLICKS_DROPPED);
    assert_eq!(sale(&dropped, "t4", json!({"click_id": old.body["click_id"]})), "click_not_found");
    assert_eq!(sale(&dropped, "t5", json!({"click_id": new.body["click_id"]})), "attributed_click");
    assert_eq!(visit(&dropped, old.body["visitor_token"].clone()).status, 201, "a new click");
    assert_eq!(replayed(&rotated), replayed(&dropped));
    assert_eq!(replayed(&dropped).0, json!(0));
}

#[test]
fn a_subscription_goes_on_earning_when_the_click_secret_of_its_first_sale_is_dropped() {
    let shop = crate::testing::shop::shop();
    let s = shop.now_s();
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&invoice_paid("1", s, false, json!({})));
    let before = replayed(&shop.world);
    let dropped = shop.world.with_secrets(CLICKS_DROPPED);
    assert_eq!(replayed(&dropped), before);
    let details =
        json!({"type": "subscription_details", "subscription_details": {"subscription": "sub_1", "metadata": {}}});
    let renewal = json!({"billing_reason": "subscription_cycle", "parent": details, "customer": "cus_1"});
    let event = invoice_paid("9", s + 40 * 86_400, false, renewal);
    assert_eq!(dropped.stripe(&shop.connection, &event).status, 200);
    dropped.deliver();
    assert_eq!(dropped.db.count("SELECT count(*) FROM commissions"), 2);
    assert_eq!(replayed(&dropped).0, json!(0));
}

#[test]
fn what_an_older_encryption_secret_sealed_opens_and_is_sealed_anew_when_it_is_written() {
    let (world, _) = world();
    let connection = world.stripe_connection(&world.keys.sk_test);
    let hook = json!({"url": "https://hooks.shop.test/", "events": ["conversion.created"]});
    let endpoint = world.make(&world.keys.sk_test, "webhook-endpoints", hook);
    world.receivers.say("https://hooks.shop.test/", Does::Status(200));
    let event = |world: &World, name: &str| -> Answer {
        world.stripe(&connection, &session_completed(name, world.now().seconds(), json!({})))
    };
    let rotated = world.with_secrets(SEALED_ROTATED);
    assert_eq!(event(&rotated, "1").status, 200);
    rotated.deliver();
    rotated.run_lane(&endpoint).unwrap();
    let delivered = "SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'";
    assert_eq!(world.db.count(delivered), 1, "signed with the secret that was sealed before");
    // Without the old key nothing of before opens: an event is refused with 5xx, so that Stripe sends it again.
    let dropped = world.with_secrets(SEALED_DROPPED);
    assert_eq!(event(&dropped, "2").summary(), "500 INTERNAL_ERROR");
    // Written anew, it is sealed under the new key, which is then enough.
    let roll = format!("POST /api/v1/stripe-connections/{connection}/signing-secret");
    let rolled = rotated.api(&roll, json!({"signing_secret": "whsec_rolled_0123456789"}));
    assert!(rolled.status.is_success(), "{}", rolled.raw);
    world.pass_ms(MINUTE_MS);
    let body = session_completed("2", world.now().seconds(), json!({})).to_string();
    let signature = ::stripe::signature::sign("whsec_rolled_0123456789", world.now().seconds(), body.as_bytes());
    let headers = [("stripe-signature", signature.as_str()), ("content-type", "application/json")];
    let taken = dropped.send_bytes(&format!("POST /webhooks/stripe/{connection}"), &headers, body.into_bytes());
    assert_eq!(taken.status, 200, "{}", taken.raw);
    assert_eq!(replayed(&dropped).0, json!(0), "decisions need nothing that is sealed");
}

#[test]
fn who_signs_in_is_the_same_person_under_a_new_hash_secret_as_long_as_the_older_is_there() {
    let (world, _) = world();
    let (workspace, link) = world.owned_workspace("Shop", OWNER);
    let owner = Visitor::new(&world);
    owner.post(&link, "");
    let rotated = world.with_secrets(HASHED_ROTATED);
    let owner = Visitor::signed_in(&rotated, OWNER);
    assert_eq!(owner.get(&format!("/app/{workspace}/test")).status, 200);
    // Made a member again, they are the one who is there.
    let made = owner.api(&workspace, "POST /api/v1/members", json!({"email": OWNER, "role": "viewer"}));
    assert_eq!(made.status, 409, "{}", made.raw);
    let made = owner.api(&workspace, "POST /api/v1/members", json!({"email": "new@shop.test", "role": "owner"}));
    assert_eq!(made.status, 201, "{}", made.raw);
    assert_eq!(Visitor::signed_in(&rotated, "new@shop.test").get(&format!("/app/{workspace}/test")).status, 200);
    // Without the older key only who came after it is known: nobody has the others' addresses.
    let dropped = world.with_secrets(HASHED_DROPPED);
    assert_eq!(Visitor::new(&dropped).asks_for_link(OWNER), None);
    assert!(Visitor::new(&dropped).asks_for_link("new@shop.test").is_some());
}

#[test]
fn a_buyers_address_of_before_a_new_hash_secret_binds_nothing_any_more_and_a_customers_id_does() {
    let (world, _) = world();
    let click = world.click(&world.keys.pk_test, "anna");
    let first = json!({"click_id": click, "prospect_email": "buyer@mail.test", "customer_external_id": "c1"});
    assert_eq!(sale(&world, "t1", first), "attributed_click");
    let by_address = |world: &World, transaction: &str| {
        sale(world, transaction, json!({"promo_code": "NOBODYS", "prospect_email": "buyer@mail.test"}))
    };
    assert_eq!(by_address(&world, "t2"), "attributed_customer");
    let before = replayed(&world);
    let rotated = world.with_secrets(HASHED_ROTATED);
    // No address is kept, so that none can be hashed again.
    assert_eq!(replayed(&rotated), before);
    assert_eq!(by_address(&rotated, "t3"), "promo_code_not_found");
    assert_eq!(sale(&rotated, "t4", json!({"customer_external_id": "c1"})), "attributed_customer");
    // From a sale with both on, the address binds again.
    assert_eq!(
        sale(&rotated, "t5", json!({"customer_external_id": "c1", "prospect_email": "buyer@mail.test"})),
        "attributed_customer"
    );
    assert_eq!(by_address(&rotated, "t6"), "attributed_customer");
    assert_eq!(replayed(&rotated).0, json!(0));
}
