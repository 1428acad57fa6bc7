//! A tour of all operations through the real handlers: what is sent and what is answered on it are the description's examples.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::{MINUTE_MS, SECOND_MS};
use serde_json::{Value as Json, json};

use super::held;
use super::operation::{Caller, Content, Example, Operation};
use crate::testing::{OPERATOR_TOKEN, ORIGIN, Visitor, World, charge, invoice_paid, refund, session_completed};

const OWNER: &str = "olga@shop.example";

/// What was seen on the way.
pub struct Seen {
    pub examples: BTreeMap<&'static str, Example>,
    /// By operation, what its handler asked for.
    pub asked: BTreeMap<&'static str, BTreeSet<String>>,
}

struct Tour {
    world: World,
    workspace: String,
    cookie: String,
    /// The secret key that is sent.
    key: String,
    seen: Seen,
}

/// Goes everywhere.
pub fn tour() -> Seen {
    let mut tour = Tour::new();
    tour.scripts();
    tour.workspace();
    let program = tour.programs();
    let participant = tour.people(&program);
    let link = tour.links(&participant);
    tour.rewards(&program, &participant);
    tour.webhooks_begin();
    tour.clicks(&link);
    tour.sales(&participant);
    tour.stripe();
    tour.questions(&participant);
    tour.commissions();
    tour.webhooks();
    tour.payouts();
    tour.members();
    tour.ends();
    tour.seen
}

impl Tour {
    fn new() -> Self {
        let world = World::new();
        let workspace = world.api("GET /api/v1/workspace", Json::Null).text("/id");
        let operator = format!("Bearer {OPERATOR_TOKEN}");
        let line = format!("POST /operator/v1/workspaces/{workspace}/owners");
        assert_eq!(world.send(&line, &[("authorization", &operator)], json!({"owner_email": OWNER})).status, 201);
        let cookie = Visitor::signed_in(&world, OWNER).cookie.borrow().clone();
        let key = world.keys.sk_test.clone();
        let seen = Seen { examples: BTreeMap::new(), asked: BTreeMap::new() };
        Self { world, workspace, cookie, key, seen }
    }

    /// Asks for one operation as whoever may, and gives the answer's body.
    #[track_caller]
    fn run(&mut self, id: &str, places: &[&str], query: &str, body: Json) -> Json {
        let operation = held::operation_named(id);
        let key = format!("Bearer {}", self.key);
        let headers = match operation.caller {
            Caller::Key(_) | Caller::KeyOrMember(_) | Caller::Tracker => vec![("authorization", key)],
            Caller::Member => vec![
                ("cookie", self.cookie.clone()),
                ("origin", ORIGIN.to_owned()),
                ("x-selgeo-workspace", self.workspace.clone()),
                ("x-selgeo-mode", "test".to_owned()),
            ],
            Caller::Anybody | Caller::Page | Caller::Stripe => Vec::new(),
        };
        self.send(operation, places, query, body, &headers)
    }

    #[track_caller]
    fn send(
        &mut self,
        operation: &'static Operation,
        places: &[&str],
        query: &str,
        body: Json,
        headers: &[(&str, String)],
    ) -> Json {
        self.world.pass_ms(SECOND_MS);
        let mut path = operation.path.to_owned();
        assert_eq!(operation.places.len(), places.len(), "{}", operation.id);
        for ((name, _), value) in operation.places.iter().zip(places) {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        let question = if query.is_empty() { "" } else { "?" };
        let line = format!("{} {path}{question}{query}", operation.method);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = self.world.send(&line, &headers, body.clone());
        let status = answer.status.as_u16();
        let said = operation.answers.iter().find(|said| said.status == status);
        assert!(said.is_some(), "{} {path}: {} {}", operation.method, answer.status, answer.raw);
        if let (Some(schema), false) = (&operation.body, body.is_null()) {
            let wrong = held::complaints(&format!("{} body", operation.id), schema, &body);
            assert_eq!(wrong, Vec::<String>::new(), "{}: {body}", operation.id);
        }
        self.note(operation, places, query, &body, &answer);
        answer.body
    }

    fn note(
        &mut self,
        operation: &Operation,
        places: &[&str],
        query: &str,
        body: &Json,
        answer: &crate::testing::Answer,
    ) {
        let asked = self.seen.asked.entry(operation.id).or_default();
        asked.extend(answer.asked.body.keys().cloned());
        asked.extend(answer.asked.query.keys().map(|name| format!("?{name}")));
        let example = self.seen.examples.entry(operation.id).or_default();
        let status = answer.status.as_u16();
        if example.answers.is_empty() {
            let names = operation.places.iter().map(|(name, _)| (*name).to_owned());
            example.places = names.zip(places.iter().map(|value| (*value).to_owned())).collect();
            example.query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            example.body = (!body.is_null()).then(|| harmless(body.clone()));
        }
        let is_json =
            operation.answers.iter().any(|said| said.status == status && matches!(said.content, Content::Json(_)));
        if !example.answers.iter().any(|(known, _)| *known == status) {
            example.answers.push((status, if is_json { harmless(answer.body.clone()) } else { Json::Null }));
        }
    }

    /// Reads a list, and of it the first one.
    fn look(&mut self, list: &str, one: &str, query: &str) -> String {
        let query = if query.is_empty() { "limit=2".to_owned() } else { format!("limit=2&{query}") };
        let listed = self.run(list, &[], &query, Json::Null);
        let id = listed["data"][0]["id"].as_str().unwrap_or_else(|| panic!("{list} is empty: {listed}")).to_owned();
        if !one.is_empty() {
            self.run(one, &[&id], "", Json::Null);
        }
        id
    }

    fn scripts(&mut self) {
        for id in ["getSnippet", "getTracScript", "getTracScriptFallback", "checkHealth", "getDescription"] {
            self.run(id, &[], "", Json::Null);
        }
        self.run("getSnippetFallback", &[], "", Json::Null);
        self.run("getHashedSnippet", &["0123456789abcdef"], "", Json::Null);
    }

    fn workspace(&mut self) {
        self.run("getWorkspace", &[], "", Json::Null);
        self.run("changeWorkspace", &[], "", json!({"name": "Mug shop", "clicks_kept_days": 400}));
        self.run("createHost", &[], "", json!({"host": "shop.example"}));
        let other = self.run("createHost", &[], "", json!({"host": "old.shop.example"}));
        self.look("listHosts", "getHost", "");
        self.run("deleteHost", &[text(&other, "/id")], "", Json::Null);
    }

    fn programs(&mut self) -> String {
        let rewards = json!([
            {"trigger": "sale", "percent_bps": 2_000, "hold_days": 14},
            {"trigger": "recurring", "flat": {"amount_cents": 500, "currency": "EUR"}, "payments_max": 12},
        ]);
        let made = self.run(
            "createProgram",
            &[],
            "",
            json!({"name": "Friends of the mug", "slug": "friends", "status": "active", "attribution_window_days": 30,
                "fraud": {"self_referral": "block"}, "rewards": rewards}),
        );
        let program = text(&made, "/id").to_owned();
        self.look("listPrograms", "getProgram", "status=active");
        let settings = json!({"minimum_payout_cents": 1_000, "terms": "Be kind.", "attribution_model": "first_click"});
        self.run("changeProgram", &[&program], "", settings);
        self.run("pauseProgram", &[&program], "", Json::Null);
        self.run("activateProgram", &[&program], "", Json::Null);
        let other = self.run("createProgram", &[], "", json!({"name": "Last year's"}));
        self.run("archiveProgram", &[text(&other, "/id")], "", Json::Null);
        program
    }

    fn people(&mut self, program: &str) -> String {
        let mut participants = Vec::new();
        for (name, email) in
            [("Anna", "anna@partner.example"), ("Ben", "ben@partner.example"), ("Cleo", "cleo@partner.example")]
        {
            let partner = self.run("createPartner", &[], "", json!({"name": name, "email": email}));
            let joins = json!({"program_id": program, "partner_id": partner["id"]});
            let participant = self.run("createParticipant", &[], "", joins);
            participants.push((text(&partner, "/id").to_owned(), text(&participant, "/id").to_owned()));
        }
        let [(anna, earns), (_, turned_down), (cleo, stopped)] = <[_; 3]>::try_from(participants).unwrap();
        self.run("approveParticipant", &[&earns], "", Json::Null);
        self.run("rejectParticipant", &[&turned_down], "", Json::Null);
        self.run("suspendParticipant", &[&stopped], "", Json::Null);
        self.look("listParticipants", "getParticipant", "status=approved");
        self.run("listPartners", &[], "q=anna", Json::Null);
        self.run("getPartner", &[&anna], "", Json::Null);
        self.run("changePartner", &[&anna], "", json!({"name": "Anna Partner"}));
        self.run("getPayoutDetails", &[&anna], "", Json::Null);
        self.run("erasePartner", &[&cleo], "", Json::Null);
        let invite = json!({"program_id": program, "email": "dora@partner.example", "name": "Dora"});
        let invite = self.run("createInvite", &[], "", invite);
        self.look("listInvites", "getInvite", "status=pending");
        self.run("revokeInvite", &[text(&invite, "/id")], "", Json::Null);
        earns
    }

    fn links(&mut self, participant: &str) -> (String, String) {
        let link = json!({"participant_id": participant, "ref": "anna", "slug": "anna", "landing_url": "https://shop.example/mugs",
            "name": "Newsletter"});
        let link = self.run("createLink", &[], "", link);
        let id = text(&link, "/id").to_owned();
        self.look("listLinks", "getLink", "status=active");
        self.run("changeLink", &[&id], "", json!({"name": "Newsletter, June"}));
        self.run("pauseLink", &[&id], "", Json::Null);
        self.run("activateLink", &[&id], "", Json::Null);
        let other = json!({"participant_id": participant, "landing_url": "https://shop.example/"});
        let other = self.run("createLink", &[], "", other);
        self.run("archiveLink", &[text(&other, "/id")], "", Json::Null);
        let code = json!({"participant_id": participant, "code": "ANNA20"});
        let code = self.run("createPromoCode", &[], "", code);
        self.look("listPromoCodes", "getPromoCode", "");
        let mapped = json!({"stripe_promotion_code_id": "promo_1QyAnna20"});
        self.run("changePromoCode", &[text(&code, "/id")], "", mapped);
        ("anna".to_owned(), "anna".to_owned())
    }

    fn rewards(&mut self, program: &str, participant: &str) {
        let own = json!({"program_id": program, "participant_id": participant, "trigger": "lead",
            "flat": {"amount_cents": 250, "currency": "EUR"}, "event_type": "signup"});
        let own = self.run("createReward", &[], "", own);
        let own = text(&own, "/id").to_owned();
        self.look("listRewards", "getReward", "trigger=lead");
        let change = json!({"flat": {"amount_cents": 300, "currency": "EUR"}, "clear": ["event_type"]});
        self.run("changeReward", &[&own], "", change);
        self.run("retireReward", &[&own], "", Json::Null);
    }

    fn webhooks_begin(&mut self) {
        let endpoint = json!({"url": "https://hooks.shop.example/selgeo", "events": ["*"]});
        self.run("createWebhookEndpoint", &[], "", endpoint);
        self.look("listWebhookEndpoints", "getWebhookEndpoint", "");
    }

    fn clicks(&mut self, (link_ref, slug): &(String, String)) {
        let click = json!({"merchant": self.world.keys.pk_test, "ref": link_ref, "url": "https://shop.example/mugs?ref=anna",
            "referrer": "https://blog.example/"});
        let first = self.run("registerClick", &[], "", click.clone());
        let mut again = click;
        again["visitor_token"] = first["visitor_token"].clone();
        self.run("registerClick", &[], "", again);
        self.run("followShortLink", &[slug], "", Json::Null);
        self.world.deliver();
        self.look("listClicks", "getClick", "human=false");
    }

    fn sales(&mut self, participant: &str) {
        let click = self.world.click(&self.world.keys.pk_test, "anna");
        let sale = |transaction: &str, click: &str| {
            json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 4_900, "currency": "EUR",
                "click_id": click, "customer_external_id": "customer-17", "prospect_email": "bo@throwaway.test",
                "metadata": {"plan": "pro"}})
        };
        let made = self.run("reportConversion", &[], "explain=true", sale("order-1001", &click));
        let conversion = text(&made, "/id").to_owned();
        let refund = json!({"external_refund_id": "refund-7", "amount_cents": 900});
        self.run("reportRefund", &[&conversion], "", refund.clone());
        self.run("reportRefund", &[&conversion], "", refund);
        let mut nobodys = sale("order-1002", "0190f3c1-5e5a-4c3e-9b1a-0123456789ab");
        nobodys["customer_external_id"] = json!("customer-18");
        nobodys["prospect_email"] = json!("eve@buyer.example");
        let nobodys = self.run("reportConversion", &[], "", nobodys);
        let by_hand = json!({"participant_id": participant, "reason": "She told us by phone."});
        self.run("attributeConversion", &[text(&nobodys, "/id")], "", by_hand);
        let click = self.world.click(&self.world.keys.pk_test, "anna");
        let lead = json!({"eventName": "signup", "customerExternalId": "customer-19", "clickId": click,
            "customerEmail": "mia@buyer.example", "customerName": "Mia"});
        self.run("trackLead", &[], "", lead);
        let sale = json!({"customerExternalId": "customer-19", "amount": 2_900, "currency": "EUR",
            "externalTransactionId": "order-1003"});
        self.run("trackConversion", &[], "", sale);
        self.look("listConversions", "getConversion", "source=api");
        self.run("listDecisions", &[], "limit=2&reason=attributed_click", Json::Null);
        self.run("getDecision", &[&conversion], "", Json::Null);
        self.look("listCustomers", "getCustomer", "external_id=customer-17");
        self.look("listRefunds", "getRefund", "kind=refund");
        let alert = self.look("listFraudAlerts", "getFraudAlert", "status=open");
        self.run("dismissFraudAlert", &[&alert], "", json!({"reason": "A colleague, who was quick."}));
    }

    fn stripe(&mut self) {
        let secret = json!({"signing_secret": "whsec_test_0123456789"});
        let connection = self.run("createStripeConnection", &[], "", secret.clone());
        let connection = text(&connection, "/id").to_owned();
        let other = self.run("createStripeConnection", &[], "", json!({}));
        self.run("deleteStripeConnection", &[text(&other, "/id")], "", Json::Null);
        let s = self.world.now().seconds();
        let click = self.world.click(&self.world.keys.pk_test, "anna");
        let subscription = json!({"mode": "subscription", "payment_intent": null, "subscription": "sub_1", "invoice": "in_1",
            "customer": "cus_1", "client_reference_id": click});
        self.deliver_stripe("receiveStripeEvent", &connection, &session_completed("1", s, subscription));
        self.deliver_stripe("receiveStripeEventAsTraaaction", &connection, &invoice_paid("1", s, false, json!({})));
        self.deliver_stripe("receiveStripeEvent", &connection, &charge("1", s + 1, 0));
        self.deliver_stripe("receiveStripeEvent", &connection, &refund("1", "1", s + 2, 2_500, "succeeded"));
        let event = self.look("listStripeEvents", "getStripeEvent", "outcome=processed");
        self.run("replayStripeEvent", &[&event], "", Json::Null);
        self.world.deliver();
        let unmatched = self.run("listRefunds", &[], "matched=false", Json::Null);
        let conversion = self.run("listConversions", &[], "source=stripe", Json::Null);
        let word = json!({"conversion_id": conversion["data"][0]["id"], "reason": "The only sale of that amount."});
        self.run("matchRefund", &[text(&unmatched, "/data/0/id")], "", word);
        let rolled = json!({"signing_secret": "whsec_test_9876543210", "overlap_hours": 24});
        self.run("setSigningSecret", &[&connection], "", rolled);
        let key = json!({"restricted_key": "rk_test_0123456789"});
        self.run("setRestrictedKey", &[&connection], "", key);
        self.run("reconcileStripe", &[&connection], "", Json::Null);
        self.world.deliver();
        self.run("listStripeLookups", &[&connection], "limit=2", Json::Null);
        self.look("listStripeConnections", "getStripeConnection", "");
    }

    /// Sends what Stripe sends; its body is Stripe's to describe.
    fn deliver_stripe(&mut self, id: &str, connection: &str, event: &Json) {
        let now_s = self.world.now().seconds() + 1;
        let signed = stripe::signature::sign("whsec_test_0123456789", now_s, event.to_string().as_bytes());
        let headers = [("stripe-signature", signed)];
        self.send(held::operation_named(id), &[connection], "", event.clone(), &headers);
        self.world.deliver();
    }

    /// A question as the portal writes it.
    fn questions(&mut self, participant: &str) {
        let sql = format!(
            "INSERT INTO questions (id, workspace_id, mode, program_id, participant_id, external_transaction_id, text, status, \
             created_at) SELECT 'qst_01kt1w2c000000000000000000', workspace_id, mode, program_id, id, 'order-1001', \
             'I sent this customer. Was it credited to me?', 'open', created_at FROM participants WHERE id = '{participant}'"
        );
        assert_eq!(self.world.db.execute(&sql).unwrap(), 1);
        let question = self.look("listQuestions", "getQuestion", "status=open");
        self.run("answerQuestion", &[&question], "", json!({"text": "It was, by your link."}));
    }

    fn commissions(&mut self) {
        let commission = self.look("listCommissions", "getCommission", "state=pending");
        let bonus = json!({"amount_cents": 500, "reason": "For the fine review."});
        self.run("addBonus", &[&commission], "", bonus);
        self.run("rejectCommission", &[&commission], "", json!({"reason": "The order was a test."}));
        self.run("approveCommission", &[&commission], "", json!({"reason": "It was not."}));
        self.look("listEvents", "getEvent", "type=commission.approved");
    }

    fn webhooks(&mut self) {
        let endpoint = self.look("listWebhookEndpoints", "", "");
        let change = json!({"events": ["conversion.created", "commission.approved", "webhook.test"]});
        self.run("changeWebhookEndpoint", &[&endpoint], "", change);
        self.run("pingWebhookEndpoint", &[&endpoint], "", Json::Null);
        self.world.run_lanes();
        let delivery = self.look("listWebhookDeliveries", "getWebhookDelivery", "status=delivered");
        self.run("resendWebhookDelivery", &[&delivery], "", Json::Null);
        self.run("resendSince", &[&endpoint], "", json!({"since": "2026-06-01T00:00:00Z"}));
        self.run("rotateSecret", &[&endpoint], "", json!({"overlap_hours": 48}));
        self.run("switchSecret", &[&endpoint], "", Json::Null);
        self.run("disableWebhookEndpoint", &[&endpoint], "", Json::Null);
        self.run("enableWebhookEndpoint", &[&endpoint], "", Json::Null);
        let other = json!({"url": "https://old.shop.example/", "events": ["payout.paid"]});
        let other = self.run("createWebhookEndpoint", &[], "", other);
        self.run("deleteWebhookEndpoint", &[text(&other, "/id")], "", Json::Null);
    }

    /// Money is paid in live mode only.
    fn payouts(&mut self) {
        let test = std::mem::replace(&mut self.key, self.world.keys.sk_live.clone());
        let program = self.world.program(&self.key, "live");
        for transaction in ["order-2001", "order-2002"] {
            self.world.pass_ms(MINUTE_MS);
            let click = self.world.click(&self.world.keys.pk_live, "live");
            self.world.pass_ms(MINUTE_MS);
            let sale = json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 9_900,
                "currency": "EUR", "click_id": click});
            self.run("reportConversion", &[], "", sale);
        }
        self.run("listBalances", &[], "limit=2", Json::Null);
        let one = json!({"participant_id": program.participant_id, "currency": "EUR"});
        let drafted = self.run("createPayouts", &[], "", one);
        self.run("cancelPayout", &[text(&drafted, "/id")], "", json!({"reason": "Drafted too early."}));
        let drafted = self.run("createPayouts", &[], "", json!({}));
        let payout = text(&drafted, "/data/0/id").to_owned();
        self.look("listPayouts", "getPayout", "status=draft");
        self.run("payPayout", &[&payout], "", json!({"reason": "Sent by the bank on 1 June."}));
        self.run("getPayoutsFile", &[], "status=paid", Json::Null);
        self.run("getPayoutFile", &[&payout], "", Json::Null);
        self.run("noteRewardsReviewed", &[], "", Json::Null);
        self.key = test;
    }

    fn members(&mut self) {
        let member = json!({"email": "vera@shop.example", "role": "viewer", "name": "Vera"});
        let member = self.run("createMember", &[], "", member);
        let member = text(&member, "/id").to_owned();
        self.look("listMembers", "getMember", "");
        self.run("changeMember", &[&member], "", json!({"role": "admin"}));
        self.run("deleteMember", &[&member], "", Json::Null);
        let key = json!({"kind": "secret", "scopes": ["conversions"]});
        let key = self.run("createApiKey", &[], "", key);
        self.look("listApiKeys", "getApiKey", "");
        self.run("revokeApiKey", &[text(&key, "/id")], "", Json::Null);
    }

    fn ends(&mut self) {
        self.run("getTotals", &[], "days=7", Json::Null);
        self.run("getChecklist", &[], "", Json::Null);
        self.run("search", &[], "q=anna", Json::Null);
        let rows = "name,email\nAnna,anna.import@partner.example\nNobody,no address\n";
        self.run(
            "importRows",
            &[],
            "",
            json!({"kind": "partners", "csv": rows, "dry_run": true, "source": "traaaction"}),
        );
        // The file as it is, and what is said of it in the query.
        let (operation, query) = (held::operation_named("importRows"), "kind=partners&dry_run=true&source=traaaction");
        let bearer = format!("Bearer {}", self.key);
        let headers = [("authorization", bearer.as_str()), ("content-type", "text/csv")];
        let answer = self.world.send_bytes(&format!("POST /api/v1/imports?{query}"), &headers, rows.into());
        assert_eq!(answer.status, 200, "{}", answer.raw);
        self.note(operation, &[], query, &Json::Null, &answer);
        let export = self.run("createExport", &[], "", Json::Null);
        self.look("listExports", "getExport", "");
        let export = text(&export, "/id").to_owned();
        self.run("getExportPage", &[&export, "first"], "", Json::Null);
        let signed = "digest=00&pages=1&rows=2&signature=00";
        self.run("verifyExport", &[&export], signed, Json::Null);
        self.run("wipeTestData", &[], "", json!({}));
    }
}

#[track_caller]
fn text<'a>(of: &'a Json, pointer: &str) -> &'a str {
    of.pointer(pointer).and_then(Json::as_str).unwrap_or_else(|| panic!("no text at {pointer} of {of}"))
}

/// Without what looks like a secret, so that nobody takes an example for one.
fn harmless(mut example: Json) -> Json {
    match &mut example {
        Json::String(text) => {
            for (prefix, chars) in
                [("pk_test_", 40), ("pk_live_", 40), ("sk_test_", 40), ("sk_live_", 40), ("whsec_", 70)]
            {
                if text.starts_with(prefix) && text.chars().count() == chars {
                    *text = format!("{prefix}{}", "0".repeat(chars - prefix.len()));
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| *item = harmless(item.take())),
        Json::Object(members) => members.values_mut().for_each(|member| *member = harmless(member.take())),
        _ => {}
    }
    example
}
