//! Conversions, and all that is told of them.

use domain::attribution::Reason;
use domain::fraud::Rule;
use domain::ids;
use domain::key::Need;
use domain::sale::listed::Kind;
use domain::sale::{ConversionStatus, Source};
use serde_json::json;

use crate::openapi::operation::{Caller, Content, Operation, operation};
use crate::openapi::schema::*;

pub fn all() -> Vec<Operation> {
    [clicks(), conversions(), tracked(), beside()].concat()
}

fn clicks() -> Vec<Operation> {
    vec![
        operation("GET /api/v1/clicks", "listClicks", "Clicks", "List clicks")
            .about("A page may hold fewer than `limit` clicks and still have a `next_cursor`.")
            .filter("link_id")
            .filter("participant_id")
            .query("human", boolean())
            .query("from", time())
            .query("to", time())
            .lists("Click"),
        operation("GET /api/v1/clicks/{id}", "getClick", "Clicks", "Read a click").at("id", click_id()).shows("Click"),
    ]
}

fn conversions() -> Vec<Operation> {
    let metadata = json!({ "type": "object", "maxProperties": 50, "additionalProperties": true,
        "description": "At most 16 KiB of JSON." });
    vec![
        operation("POST /api/v1/conversions", "reportConversion", "Conversions", "Report a conversion")
            .about(
                "Send `click_id`, `promo_code`, or the `customer_external_id` of a customer who is credited to a partner already. A \
                 conversion that credits nobody is recorded all the same, with its reason.",
            )
            .caller(Caller::Key(Need::Report))
            .query("explain", said(boolean(), "Adds the decision's inputs and steps to the answer."))
            .body([
                ("external_transaction_id", said(text(255), "Yours; unique per workspace and mode.")),
                ("event_type", said(text(100), "Such as `signup`, `purchase`, `upgrade`.")),
                ("amount_cents?", said(or(amount(), 0), "In the currency's minor unit.")),
                ("currency?", said(currency_sent(), "ISO 4217, in either case. Required when `amount_cents` is over 0.")),
                ("occurred_at?", said(time(), "At most 5 minutes ahead; by default now.")),
                ("click_id?", click_id()),
                ("promo_code?", said(text(100), "Wins over `click_id`.")),
                ("prospect_email?", said(text(254), "The buyer's address. Kept as keyed hashes only.")),
                ("customer_external_id?", said(text(255), "Your id of the customer.")),
                ("metadata?", metadata),
            ])
            .makes("Conversion")
            .refused(409),
        operation("GET /api/v1/conversions", "listConversions", "Conversions", "List conversions")
            .filter("participant_id")
            .filter("program_id")
            .query("status", words(ConversionStatus::WORDS))
            .query("source", words(Source::WORDS))
            .filter("external_transaction_id")
            .query("from", time())
            .query("to", time())
            .lists("Conversion"),
        operation("GET /api/v1/conversions/{id}", "getConversion", "Conversions", "Read a conversion")
            .of::<ids::Conversion>()
            .shows("Conversion"),
        operation(
            "POST /api/v1/conversions/{id}/attribute",
            "attributeConversion",
            "Conversions",
            "Credit a conversion by hand",
        )
        .about("Of a conversion that nobody is credited for. The reason becomes part of its history.")
        .of::<ids::Conversion>()
        .body([("participant_id", id::<ids::Participant>()), ("reason", text(500))])
        .shows("Conversion")
        .refused(409),
        operation("POST /api/v1/conversions/{id}/refunds", "reportRefund", "Refunds", "Report a refund")
            .about("Of a conversion that was reported over this API. A refund that was reported before answers 200 with the first.")
            .caller(Caller::KeyOrMember(Need::Report))
            .of::<ids::Conversion>()
            .body([
                ("external_refund_id", said(text(255), "Yours.")),
                ("amount_cents", said(integer(1, domain::money::AMOUNT_MAX), "At most what is left of the conversion.")),
            ])
            .answers(200, "It was recorded before.", Content::Json(named("ReportedRefund")))
            .makes("ReportedRefund")
            .refused(409),
    ]
}

fn tracked() -> Vec<Operation> {
    let reports = |line, id, summary| {
        operation(line, id, "Traaaction's surface", summary)
            .about(
                "Any origin may call. With a secret key it counts at once; with what anybody can know (a public key, a workspace's id, a \
                 page on a registered host) it waits for a person, and nothing is told of a customer that was not sent.",
            )
            .caller(Caller::Tracker)
            .refused(401)
            .refused(422)
    };
    let metadata = json!({ "type": "object", "maxProperties": 50, "additionalProperties": true,
        "description": "At most 16 KiB of JSON." });
    vec![
        reports("POST /api/track/lead", "trackLead", "Report a lead")
            .body([
                ("eventName", text(100)),
                ("customerExternalId", text(255)),
                ("clickId?", text_or_empty(255)),
                ("customerEmail?", text_or_empty(254)),
                ("customerName?", text_or_empty(255)),
                ("metadata?", metadata),
                ("mode?", said(words(&["deferred"]), "Binds the customer; the lead is to come.")),
            ])
            .shows("TrackedLead"),
        reports("POST /api/track/conversion", "trackConversion", "Report a sale")
            .body([
                ("customerExternalId", text(255)),
                ("amount", said(amount(), "In the currency's minor unit.")),
                ("currency?", or(currency_sent(), "EUR")),
                ("eventName?", text_or_empty(100)),
                ("clickId?", text_or_empty(255)),
                (
                    "externalTransactionId?",
                    said(text_or_empty(255), "Without one, the same body within 10 minutes is the same sale."),
                ),
            ])
            .shows("TrackedSale"),
    ]
}

fn beside() -> Vec<Operation> {
    vec![
        operation("GET /api/v1/attribution-audit", "listDecisions", "Attribution", "List decisions")
            .about("Of every conversion, and of every report that was refused.")
            .filter("conversion_id")
            .filter("external_transaction_id")
            .filter("participant_id")
            .query("reason", words(Reason::WORDS))
            .query("from", time())
            .query("to", time())
            .lists("Decision"),
        operation(
            "GET /api/v1/attribution-audit/{conversion_id}",
            "getDecision",
            "Attribution",
            "Read a conversion's decision",
        )
        .about("The one in force, those before it, and what people did.")
        .at("conversion_id", id::<ids::Conversion>())
        .shows("DecisionWithHistory"),
        operation("GET /api/v1/refunds", "listRefunds", "Refunds", "List refunds and disputes")
            .filter("conversion_id")
            .query("matched", said(boolean(), "`false`: those whose sale nobody knows."))
            .query("kind", words(Kind::WORDS))
            .lists("Refund"),
        operation("GET /api/v1/refunds/{id}", "getRefund", "Refunds", "Read a refund or dispute")
            .at("id", json!({ "type": "string", "pattern": id_pattern("(rfd|fact)") }))
            .shows("Refund"),
        operation(
            "POST /api/v1/refunds/{id}/match",
            "matchRefund",
            "Refunds",
            "Say which conversion's money a refund took",
        )
        .about("Of one whose sale nobody knows.")
        .at("id", json!({ "type": "string", "pattern": id_pattern("(rfd|fact)") }))
        .body([("conversion_id", text(255)), ("reason", text(500))])
        .shows("Refund")
        .refused(409),
        operation("GET /api/v1/customers", "listCustomers", "Customers", "List customers")
            .filter("external_id")
            .filter("stripe_customer_id")
            .lists("Customer"),
        operation("GET /api/v1/customers/{id}", "getCustomer", "Customers", "Read a customer")
            .of::<ids::Customer>()
            .shows("Customer"),
        operation("GET /api/v1/fraud-alerts", "listFraudAlerts", "Fraud alerts", "List fraud alerts")
            .filter("conversion_id")
            .filter("participant_id")
            .query("rule", words(Rule::WORDS))
            .query("status", words(&["open", "dismissed"]))
            .lists("FraudAlert"),
        operation("GET /api/v1/fraud-alerts/{id}", "getFraudAlert", "Fraud alerts", "Read a fraud alert")
            .of::<ids::FraudAlert>()
            .shows("FraudAlert"),
        operation(
            "POST /api/v1/fraud-alerts/{id}/dismiss",
            "dismissFraudAlert",
            "Fraud alerts",
            "Dismiss a fraud alert",
        )
        .about("A person has looked, and it is nothing. A commission that it holds is approved at the commission.")
        .of::<ids::FraudAlert>()
        .body_or_nothing([("reason?", text(500))])
        .shows("FraudAlert")
        .refused(409),
    ]
}
