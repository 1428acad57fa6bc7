//! Every form and every button, sent once as a browser sends it, and what the API then says.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::super::resources::every;
use super::Shop;
use crate::testing::{Answer, Visitor, refund, session_completed};

/// A session at the forms, which notes what it sent.
struct Desk<'a> {
    shop: &'a Shop,
    owner: Visitor<'a>,
    mode: &'static str,
    sent: BTreeSet<String>,
}

impl<'a> Desk<'a> {
    fn new(shop: &'a Shop) -> Self {
        Self { shop, owner: shop.owner(), mode: "test", sent: BTreeSet::new() }
    }

    fn at(&self, page: &str) -> String {
        format!("/app/{}/{}/{page}", self.shop.workspace, self.mode)
    }

    fn key(&self) -> &str {
        let keys = &self.shop.world.keys;
        if self.mode == "test" { &keys.sk_test } else { &keys.sk_live }
    }

    fn read(&self, path: &str) -> Json {
        let answer = self.shop.world.api_as(self.key(), &format!("GET /api/v1/{path}"), json!(null));
        assert_eq!(answer.status, 200, "{path}: {}", answer.raw);
        answer.body
    }

    /// Opens a form and sends it, with whatever a browser would send of the fields that are not named.
    #[track_caller]
    fn sends(&mut self, page: &str, what: &str, form: &str) -> Answer {
        self.shop.world.pass_ms(1_000);
        let opened = self.owner.get(&self.at(page));
        let mut body = form.to_owned();
        if opened.status == 200 {
            for (name, value) in filled(&opened.raw) {
                if !form.split('&').any(|pair| pair.starts_with(&format!("{name}="))) {
                    let pair = url::form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
                    body = format!("{body}&{pair}");
                }
            }
        }
        let answer = self.owner.post(&self.at(page), &body);
        assert!([200, 303].contains(&answer.status.as_u16()), "{page} {body}: {} {}", answer.status, answer.raw);
        self.sent.insert(what.to_owned());
        answer
    }

    /// The same, and on to where it leads; gives the id of what was made or changed there.
    #[track_caller]
    fn goes(&mut self, page: &str, what: &str, form: &str) -> String {
        let answer = self.sends(page, what, form);
        let to = answer.header("location").to_owned();
        let shown = self.owner.get(&to);
        assert_eq!(shown.status, 200, "{to}: {}", shown.raw);
        assert!(shown.raw.contains("class=\"notice\" role=\"status\""), "{to}: {}", shown.raw);
        to.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned()
    }
}

/// What a browser sends of the form of a page: what inputs and text areas hold, what is ticked, what is chosen.
pub(super) fn filled(page: &str) -> Vec<(String, String)> {
    let plain = |text: &str| {
        let quotes = text.replace("&#39;", "'").replace("&#34;", "\"");
        quotes.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
    };
    let attribute = |tag: &str, name: &str| {
        let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
        Some(plain(tag[start..].split('"').next()?))
    };
    let main = page.split("<form class=\"form\"").nth(1).unwrap_or("").split("</form>").next().unwrap_or("");
    let mut pairs = Vec::new();
    for tag in main.split("<input ").skip(1).map(|rest| format!(" {}", rest.split('>').next().unwrap())) {
        let Some(name) = attribute(&tag, "name") else { continue };
        let is_box = tag.contains(" type=\"checkbox\"");
        if !is_box || tag.contains(" checked") {
            pairs.push((name, attribute(&tag, "value").unwrap_or_default()));
        }
    }
    for select in main.split("<select ").skip(1).map(|rest| rest.split("</select>").next().unwrap()) {
        let name = attribute(&format!(" {select}"), "name").unwrap();
        let options: Vec<String> =
            select.split("<option").skip(1).map(|rest| rest.split('>').next().unwrap().to_owned()).collect();
        let chosen = options.iter().find(|option| option.contains(" selected")).or(options.first());
        pairs.extend(chosen.map(|option| (name, attribute(option, "value").unwrap_or_default())));
    }
    for area in main.split("<textarea ").skip(1).map(|rest| rest.split("</textarea>").next().unwrap()) {
        let (tag, held) = area.split_once('>').unwrap();
        // An end of line right after the tag is none of the text; each other one is sent as two characters.
        let held = plain(held.strip_prefix('\n').unwrap_or(held)).replace('\n', "\r\n");
        pairs.push((attribute(&format!(" {tag}"), "name").unwrap(), held));
    }
    pairs
}

#[test]
fn every_form_and_every_button_does_what_it_says() {
    let shop = Shop::new();
    let mut desk = Desk::new(&shop);
    set_up(&mut desk);
    people(&mut desk);
    connect(&mut desk);
    sales(&mut desk);
    pay(&mut desk);
    let mut all = BTreeSet::new();
    for resource in every() {
        all.extend(resource.create.map(|_| format!("{}/new", resource.path)));
        all.extend(resource.edit.map(|_| format!("{}/edit", resource.path)));
        all.extend(resource.acts.iter().map(|act| format!("{}/{}", resource.path, act.verb)));
    }
    let missing: Vec<&String> = all.difference(&desk.sent).filter(|what| !what.starts_with("review/")).collect();
    assert_eq!(missing, Vec::<&String>::new());

    let wiped = desk.owner.api(&shop.workspace, "POST /api/v1/workspace/wipe-test-data", json!({}));
    assert_eq!(wiped.status, 200, "{}", wiped.raw);
    let acts = |of: &str| shop.world.db.count(&format!("SELECT count(DISTINCT kind) FROM acts WHERE person_id {of}"));
    assert_eq!((acts("IS NULL"), acts("IS NOT NULL")), (0, 10), "each kind of act, and each by the owner");
}

#[test]
fn a_bonus_whose_form_is_sent_twice_is_added_once() {
    let shop = Shop::new();
    let owner = shop.owner();
    let commission = shop.sale("t1").text("/commission_id");
    let page = shop.at(&format!("commissions/{commission}/bonus"));
    let amount =
        || shop.world.api(&format!("GET /api/v1/commissions/{commission}"), json!(null)).body["amount_cents"].clone();
    let form = |page: &str| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(filled(page).into_iter().filter(|(name, _)| name == "act_id" || name == "back"));
        form.append_pair("amount_cents", "500").append_pair("reason", "a fine review").finish()
    };
    let first = form(&owner.get(&page).raw);
    let sent = [owner.post(&page, &first), owner.post(&page, &first)];
    assert_eq!(sent.each_ref().map(|answer| answer.status.as_u16()), [303, 303], "{}", sent[1].raw);
    assert_eq!(sent[0].header("location"), sent[1].header("location"));
    assert_eq!(amount(), json!(2_500));
    // What was refused and is sent again, mended, is the same act; a form that is opened anew is another.
    let refused = owner.post(&page, &form(&owner.get(&page).raw).replace("500", "many"));
    assert_eq!(refused.status, 400, "{}", refused.raw);
    for _ in 0..2 {
        assert_eq!(owner.post(&page, &form(&refused.raw)).status, 303);
    }
    assert_eq!(amount(), json!(3_000));
}

#[test]
fn a_file_of_very_many_payouts_has_each_once_and_its_columns_once() {
    let shop = Shop::new();
    let world = &shop.world;
    let program = world.program(&world.keys.sk_live, "lena");
    let click = world.click(&world.keys.pk_live, "lena");
    let body = json!({"click_id": click, "external_transaction_id": "l1", "event_type": "purchase", "amount_cents": 10_000,
        "currency": "EUR"});
    assert_eq!(world.api_as(&world.keys.sk_live, "POST /api/v1/conversions", body).status, 201);
    let drafted = world.api_as(&world.keys.sk_live, "POST /api/v1/payouts", json!({"program_id": program.program_id}));
    assert_eq!(drafted.status, 201, "{}", drafted.raw);
    let copies = |from: u32, to: u32| {
        let copied = world.db.execute(&format!(
            "WITH RECURSIVE n (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM n WHERE n < {to}) INSERT INTO payouts (id, workspace_id, \
             mode, participant_id, program_id, currency, amount_cents, status, created_at, entry_count, commission_ids) \
             SELECT printf('payout_%026d', n), workspace_id, mode, participant_id, program_id, currency, amount_cents, status, created_at, \
             entry_count, commission_ids FROM n, (SELECT * FROM payouts LIMIT 1)"
        ));
        assert_eq!(copied.unwrap(), (to - from + 1) as usize);
    };
    let owner = shop.owner();
    let file = || owner.get(&format!("/app/{}/live/payouts/csv?status=draft", shop.workspace));
    copies(1, 10_000);
    let whole = file();
    assert_eq!((whole.status.as_u16(), whole.raw.lines().count()), (200, 10_002));
    assert!(whole.headers.get("x-next-cursor").is_none() && whole.raw.ends_with("\r\n"));
    let ids: BTreeSet<&str> = whole.raw.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(ids.len(), 10_002, "each line is another's");
    copies(10_001, 50_000);
    let cut = file();
    assert_eq!(cut.raw.lines().count(), 50_002);
    assert!(cut.raw.ends_with("\"there are more payouts: narrow the list and export it in parts\"\r\n"));
}

#[test]
fn a_form_for_one_of_very_many_programs_is_for_that_one() {
    let shop = Shop::new();
    let owner = shop.owner();
    for number in 0..100 {
        shop.world.pass_ms(1_000);
        shop.world.make(&shop.world.keys.sk_test, "programs", json!({"name": format!("Program {number}")}));
    }
    let first = &shop.program.program_id;
    for page in ["rewards/new", "invites/new", "participants/new", "payouts/new"] {
        let of = |query: &str| {
            let opened = owner.get(&shop.at(&format!("{page}{query}"))).raw;
            filled(&opened).into_iter().find(|(name, _)| name == "program_id").unwrap().1
        };
        assert_eq!(of(&format!("?program_id={first}")), *first, "{page}");
        assert_ne!(of(""), *first, "{page}: the newest is offered first");
    }
}

fn people(desk: &mut Desk<'_>) {
    let program = desk.shop.program.program_id.clone();
    let invite = format!("program_id={program}&email=new%40partner.test&name=New");
    let shown = desk.sends("invites/new", "invites/new", &invite);
    assert!(shown.raw.contains("/join/") && shown.raw.contains("invite="), "{}", shown.raw);
    let id = desk.read("invites")["data"][0]["id"].as_str().unwrap().to_owned();
    desk.goes(&format!("invites/{id}/delete"), "invites/delete", "");
    assert_eq!(desk.read(&format!("invites/{id}"))["status"], "revoked");

    let anna = Visitor::signed_in(&desk.shop.world, "anna@partner.test");
    assert_eq!(anna.post("/partner/questions", "reference=T1&day=2026-05-31&text=Why%3F").status, 303);
    let id = desk.read("questions")["data"][0]["id"].as_str().unwrap().to_owned();
    desk.goes(&format!("questions/{id}/answer"), "questions/answer", "text=It+was+another%E2%80%99s.");
    assert_eq!(desk.read(&format!("questions/{id}"))["answer"], "It was another\u{2019}s.");

    let gone = desk.goes("partners/new", "partners/new", "name=Gone&email=gone%40partner.test");
    desk.goes(&format!("partners/{gone}/erase"), "partners/erase", "");
    assert!(!desk.read(&format!("partners/{gone}"))["email"].as_str().unwrap_or_default().contains("gone@"));
}

fn set_up(desk: &mut Desk<'_>) {
    let id = desk.goes("programs/new", "programs/new", "name=Friends&slug=friends&attribution_window_days=60");
    let program = format!("programs/{id}");
    desk.goes(
        &format!("{program}/edit"),
        "programs/edit",
        "name=Good+friends&fraud.self_referral=block&minimum_payout_cents=100",
    );
    let read = desk.read(&program);
    assert_eq!((&read["name"], &read["fraud"]["self_referral"]), (&json!("Good friends"), &json!("block")));
    assert_eq!((&read["minimum_payout_cents"], &read["attribution_window_days"]), (&json!(100), &json!(60)));
    desk.goes(&format!("{program}/activate"), "programs/activate", "");
    desk.goes(&format!("{program}/pause"), "programs/pause", "");

    let form = format!("program_id={id}&trigger=sale&percent_bps=12%2C5&basis=net_of_tax&hold_days=14");
    let reward = format!("rewards/{}", desk.goes("rewards/new", "rewards/new", &form));
    let read = desk.read(&reward);
    assert_eq!((&read["percent_bps"], &read["basis"]), (&json!(1_250), &json!("net_of_tax")));
    assert_eq!((&read["hold_days"], &read["auto_approve"]), (&json!(14), &json!(true)));
    // What is not touched stays as it was; a fixed amount takes the place of a share.
    desk.goes(&format!("{reward}/change"), "rewards/change", "percent_bps=&flat.currency=JPY&flat.amount_cents=500");
    let read = desk.read(&reward);
    assert_eq!((&read["flat"], &read["version"]), (&json!({"amount_cents": 500, "currency": "JPY"}), &json!(2)));
    assert_eq!((&read["basis"], &read["hold_days"]), (&json!("net_of_tax"), &json!(14)));
    desk.goes(&format!("{reward}/change"), "rewards/change", "percent_bps=7&flat.currency=&flat.amount_cents=");
    assert_eq!(desk.read(&reward)["percent_bps"], 700);
    desk.goes(&format!("{reward}/retire"), "rewards/retire", "");

    let partner = desk.goes("partners/new", "partners/new", "name=Zoe&email=Zoe%40partner.test");
    desk.goes(&format!("partners/{partner}/edit"), "partners/edit", "name=Zo%C3%AB");
    assert_eq!(desk.read(&format!("partners/{partner}"))["email"], "zoe@partner.test");
    let form = format!("program_id={id}&status=pending");
    let own = desk.goes(
        &format!("participants/new?partner_id={partner}"),
        "participants/new",
        &format!("{form}&partner_id={partner}"),
    );
    let participant = format!("participants/{own}");
    desk.goes(&format!("{participant}/reject"), "participants/reject", "");
    desk.goes(&format!("{participant}/approve"), "participants/approve", "");
    desk.goes(&format!("{participant}/suspend"), "participants/suspend", "");
    desk.goes(&format!("{participant}/approve"), "participants/approve", "");

    desk.goes("hosts/new", "hosts/new", "host=zoe.test");
    let given = format!("links/new?participant_id={own}");
    let link = desk.goes(&given, "links/new", "landing_url=https%3A%2F%2Fzoe.test%2Fa&name=Newsletter&ref=zoe");
    let link = format!("links/{link}");
    assert_eq!(desk.read(&link)["participant_id"], json!(own));
    desk.goes(&format!("{link}/edit"), "links/edit", "name=Blog");
    assert_eq!(desk.read(&link)["landing_url"], "https://zoe.test/a");
    desk.goes(&format!("{link}/pause"), "links/pause", "");
    desk.goes(&format!("{link}/activate"), "links/activate", "");
    desk.goes(&format!("{link}/archive"), "links/archive", "");
    let form = format!("participant_id={own}&code=ZOE10");
    let code = desk.goes("promo-codes/new", "promo-codes/new", &form);
    desk.goes(&format!("promo-codes/{code}/edit"), "promo-codes/edit", "stripe_promotion_code_id=promo_1");
    assert_eq!(desk.read(&format!("promo-codes/{code}"))["stripe_promotion_code_id"], "promo_1");
    let host = desk.read("hosts")["data"][0]["id"].as_str().unwrap().to_owned();
    desk.goes(&format!("hosts/{host}/delete"), "hosts/delete", "");
    desk.goes(&format!("{program}/archive"), "programs/archive", "");
}

fn connect(desk: &mut Desk<'_>) {
    let made = desk.sends("api-keys/new", "api-keys/new", "kind=public");
    assert!(made.raw.contains("pk_test_"), "{}", made.raw);
    let key = desk.read("api-keys")["data"][0]["id"].as_str().unwrap().to_owned();
    desk.goes(&format!("api-keys/{key}/delete"), "api-keys/delete", "");
    let made = desk.sends("api-keys/new", "api-keys/new", "kind=secret&scopes=read&scopes=conversions");
    assert!(made.raw.contains("sk_test_"), "{}", made.raw);
    assert_eq!(desk.read("api-keys")["data"][0]["scopes"], json!(["conversions", "read"]));

    let id = desk.goes("stripe-connections/new", "stripe-connections/new", "signing_secret=");
    let connection = format!("stripe-connections/{id}");
    desk.goes(
        &format!("{connection}/signing-secret"),
        "stripe-connections/signing-secret",
        "signing_secret=whsec_0123456789abcdef&overlap_hours=0",
    );
    desk.goes(
        &format!("{connection}/restricted-key"),
        "stripe-connections/restricted-key",
        "restricted_key=rk_test_51Abc123",
    );
    assert_eq!(desk.read(&connection)["has_restricted_key"], true);
    desk.goes(&format!("{connection}/reconcile"), "stripe-connections/reconcile", "");
    desk.goes("stripe-connections/new", "stripe-connections/new", "signing_secret=whsec_0123456789abcdef");
    desk.goes(&format!("{connection}/delete"), "stripe-connections/delete", "");

    let made = desk.sends(
        "webhook-endpoints/new",
        "webhook-endpoints/new",
        "url=https%3A%2F%2Fhooks.test%2Fin&events=conversion.created&events=payout.paid",
    );
    assert!(made.raw.contains("whsec_"), "{}", made.raw);
    let read = desk.read("webhook-endpoints");
    assert_eq!(read["data"][0]["events"], json!(["conversion.created", "payout.paid"]));
    let endpoint = format!("webhook-endpoints/{}", read["data"][0]["id"].as_str().unwrap());
    desk.goes(&format!("{endpoint}/edit"), "webhook-endpoints/edit", "url=https%3A%2F%2Fhooks.test%2Fnew&events=*");
    assert_eq!(desk.read(&endpoint)["events"], json!(["*"]));
    desk.goes(&format!("{endpoint}/ping"), "webhook-endpoints/ping", "");
    desk.shop.world.run_lanes();
    let delivery = desk.read("webhook-deliveries")["data"][0]["id"].as_str().unwrap().to_owned();
    let page = desk.owner.get(&desk.at(&format!("webhook-deliveries/{delivery}")));
    for shown in ["Attempt 1", "https://hooks.test/new", "x-selgeo-signature", "&#34;type&#34;: &#34;webhook.test&#34;"]
    {
        assert!(page.raw.to_lowercase().contains(&shown.to_lowercase()), "{shown}: {}", page.raw);
    }
    desk.goes(&format!("webhook-deliveries/{delivery}/resend"), "webhook-deliveries/resend", "");
    let rotated = desk.sends(&format!("{endpoint}/rotate"), "webhook-endpoints/rotate", "overlap_hours=");
    assert!(rotated.raw.contains("whsec_"), "{}", rotated.raw);
    desk.goes(&format!("{endpoint}/switch"), "webhook-endpoints/switch", "");
    desk.goes(&format!("{endpoint}/resend"), "webhook-endpoints/resend", "since=2026-01-01T00%3A00");
    desk.goes(&format!("{endpoint}/disable"), "webhook-endpoints/disable", "");
    desk.goes(&format!("{endpoint}/enable"), "webhook-endpoints/enable", "");
    desk.goes(&format!("{endpoint}/delete"), "webhook-endpoints/delete", "");

    desk.goes("members/new", "members/new", "email=v%40shop.test&role=viewer");
    let member = desk.read("members")["data"][0].clone();
    assert_eq!(member["role"], "viewer");
    let list = desk.owner.get(&desk.at("members")).raw;
    let edit = format!("members/{}/edit", member["id"].as_str().unwrap());
    assert!(list.contains(&format!("{}\">Change", desk.at(&edit))), "{list}");
    desk.goes(&edit, "members/edit", "role=admin");
    assert_eq!(desk.read("members")["data"][0]["role"], "admin");
    desk.goes(&edit.replace("/edit", "/delete"), "members/delete", "");
}

fn sales(desk: &mut Desk<'_>) {
    let world = &desk.shop.world;
    // Bought within a second of the click: an alert. By nobody: to be credited by hand.
    let conversion = desk.shop.sale("t1").text("/id");
    let body = json!({"click_id": "0190f3c1-5e5a-4c3e-9b1a-0123456789ab", "external_transaction_id": "t2", "event_type": "purchase",
        "amount_cents": 100, "currency": "EUR"});
    let nobodys = world.api("POST /api/v1/conversions", body).text("/id");
    let form = desk.owner.get(&desk.at(&format!("conversions/{nobodys}/attribute"))).raw;
    assert!(form.contains("<select id=\"field-participant_id\"") && form.contains(">Anna, "), "{form}");
    let form = format!("participant_id={}&reason=by+phone", desk.shop.program.participant_id);
    desk.goes(&format!("conversions/{nobodys}/attribute"), "conversions/attribute", &form);
    let alert = desk.read("fraud-alerts")["data"][0]["id"].as_str().unwrap().to_owned();
    desk.goes(&format!("fraud-alerts/{alert}/dismiss"), "fraud-alerts/dismiss", "reason=a+colleague");
    let acts = desk.read(&format!("attribution-audit/{conversion}"))["acts"].clone();
    assert_eq!((&acts[0]["kind"], &acts[0]["reason"]), (&json!("fraud_alert.dismiss"), &json!("a colleague")));

    let commission = format!(
        "commissions/{}",
        desk.read(&format!("commissions?conversion_id={conversion}"))["data"][0]["id"].as_str().unwrap()
    );
    desk.goes(&format!("{commission}/bonus"), "commissions/bonus", "amount_cents=500&reason=a+fine+review");
    desk.goes(&format!("{commission}/reject"), "commissions/reject", "reason=returned");
    desk.goes(&format!("{commission}/approve"), "commissions/approve", "");
    let page = desk.owner.get(&desk.at(&commission)).raw;
    for shown in [
        "+20.00 EUR",
        "+5.00 EUR",
        "<strong>25.00 EUR</strong>",
        "Somebody gave a bonus: a fine review",
        super::OWNER,
        "returned",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }

    let connection = world.stripe_connection(&world.keys.sk_test);
    let at = || world.now().seconds();
    let take = |event: &Json| {
        assert_eq!(world.stripe(&connection, event).status, 200);
        world.deliver();
    };
    take(&session_completed(
        "9",
        at(),
        json!({"invoice": "in_9", "payment_intent": null, "mode": "subscription", "subscription": "sub_9"}),
    ));
    take(&refund("8", "8", at(), 2_500, "succeeded"));
    let parked = desk.read("stripe-events?outcome=parked")["data"][0]["id"].as_str().unwrap().to_owned();
    desk.goes(&format!("stripe-events/{parked}/replay"), "stripe-events/replay", "");
    world.deliver();
    let unmatched = desk.read("refunds?matched=false")["data"][0]["id"].as_str().unwrap().to_owned();
    let sale = desk.read("conversions?source=stripe")["data"][0]["id"].as_str().unwrap().to_owned();
    desk.goes(
        &format!("refunds/{unmatched}/match"),
        "refunds/match",
        &format!("conversion_id={sale}&reason=the+only+one"),
    );
    assert_eq!(desk.read(&format!("refunds/{unmatched}"))["conversion_id"], json!(sale));
}

fn pay(desk: &mut Desk<'_>) {
    let world = &desk.shop.world;
    desk.mode = "live";
    let program = world.program(&world.keys.sk_live, "lena");
    let sell = |transaction: &str| {
        let click = world.click(&world.keys.pk_live, "lena");
        let body = json!({"click_id": click, "external_transaction_id": transaction, "event_type": "purchase",
            "amount_cents": 10_000, "currency": "EUR"});
        let made = world.api_as(&world.keys.sk_live, "POST /api/v1/conversions", body);
        assert_eq!(made.status, 201, "{}", made.raw);
    };
    sell("l1");
    let due = desk.owner.get(&desk.at("payouts/balances")).raw;
    let draft = desk.at(&format!("payouts/new?program_id={}", program.program_id));
    assert!(due.contains("20.00 EUR") && due.contains(&draft), "{due}");
    let drafted = desk.sends(&format!("payouts/new?program_id={}", program.program_id), "payouts/new", "");
    let list = desk.owner.get(drafted.header("location"));
    assert!(list.status == 200 && list.raw.contains("One was drafted."), "{}", list.raw);
    let first = desk.read("payouts")["data"][0]["id"].as_str().unwrap().to_owned();
    desk.goes(&format!("payouts/{first}/cancel"), "payouts/cancel", "reason=");
    let again = desk.sends("payouts/new", "payouts/new", "");
    assert_eq!(again.status, 303);
    let payout = desk.read("payouts?status=draft")["data"][0]["id"].as_str().unwrap().to_owned();
    let file = desk.owner.get(&desk.at("payouts/csv?status=draft"));
    assert!(
        file.status == 200 && file.raw.contains("lena@partner.test") && file.raw.lines().count() == 2,
        "{}",
        file.raw
    );
    let one = desk.owner.get(&desk.at(&format!("payouts/{payout}/csv")));
    assert!(one.status == 200 && one.raw.starts_with("payout_id,") && one.raw.lines().count() == 2, "{}", one.raw);
    desk.goes(&format!("payouts/{payout}/pay"), "payouts/pay", "reason=SEPA+1");
    world.round_trips();
    let page = desk.owner.get(&desk.at(&format!("payouts/{payout}"))).raw;
    assert!(world.round_trips() <= 5);
    for shown in ["Payout of 20.00 EUR to Anna", "lena@partner.test", "+20.00 EUR", "SEPA 1", super::OWNER] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let nothing = desk.sends("payouts/new", "payouts/new", "");
    assert!(
        desk.owner.get(nothing.header("location")).raw.contains("Nothing is due"),
        "{}",
        nothing.header("location")
    );
    let story = desk.read("conversions")["data"][0]["id"].as_str().unwrap().to_owned();
    let story = desk.owner.get(&desk.at(&format!("conversions/{story}"))).raw;
    assert!(story.contains("Put into a payout") && story.contains("Paid out"), "{story}");
}
