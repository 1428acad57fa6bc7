//! Outgoing webhooks, and the events that they tell of.

use domain::ids;
use domain::status::DeliveryStatus;
use serde_json::{Value as Json, json};

use crate::openapi::operation::{Content, Operation, operation};
use crate::openapi::schema::*;
use crate::openapi::shapes::event_types;

pub fn all() -> Vec<Operation> {
    let one = |line, id, summary| operation(line, id, "Webhooks", summary).of::<ids::Endpoint>();
    let delivery = || Content::Json(named("WebhookDelivery"));
    vec![
        operation("GET /api/v1/webhook-endpoints", "listWebhookEndpoints", "Webhooks", "List webhook endpoints")
            .lists("WebhookEndpoint"),
        operation("POST /api/v1/webhook-endpoints", "createWebhookEndpoint", "Webhooks", "Add a webhook endpoint")
            .about("At most 10 in each mode.")
            .body([("url", target()), ("events", listed())])
            .makes("WebhookEndpoint")
            .refused(409),
        one("GET /api/v1/webhook-endpoints/{id}", "getWebhookEndpoint", "Read a webhook endpoint")
            .shows("WebhookEndpoint"),
        one("PATCH /api/v1/webhook-endpoints/{id}", "changeWebhookEndpoint", "Change a webhook endpoint")
            .body([("url?", target()), ("events?", listed())])
            .shows("WebhookEndpoint"),
        one("DELETE /api/v1/webhook-endpoints/{id}", "deleteWebhookEndpoint", "Remove a webhook endpoint")
            .about("What it is owed is given up.")
            .removes(),
        one("POST /api/v1/webhook-endpoints/{id}/ping", "pingWebhookEndpoint", "Send an endpoint a `webhook.test`")
            .answers(202, "Owed.", delivery())
            .refused(409),
        one("POST /api/v1/webhook-endpoints/{id}/resend", "resendSince", "Send again what failed since a moment")
            .body([("since", time())])
            .answers(202, "Owed again.", Content::Json(named("ResentDeliveries")))
            .refused(409),
        one("POST /api/v1/webhook-endpoints/{id}/rotate", "rotateSecret", "Make a new secret")
            .about("It is in this answer and in no other. The old one signs too until the overlap ends or is ended.")
            .body_or_nothing([("overlap_hours?", or(integer(0, 72), 24))])
            .shows("WebhookEndpoint")
            .refused(409),
        one("POST /api/v1/webhook-endpoints/{id}/switch", "switchSecret", "End the overlap of a rotation")
            .shows("WebhookEndpoint"),
        one("POST /api/v1/webhook-endpoints/{id}/enable", "enableWebhookEndpoint", "Enable a webhook endpoint")
            .shows("WebhookEndpoint"),
        one("POST /api/v1/webhook-endpoints/{id}/disable", "disableWebhookEndpoint", "Disable a webhook endpoint")
            .about("What it is owed is given up.")
            .shows("WebhookEndpoint"),
        operation("GET /api/v1/webhook-deliveries", "listWebhookDeliveries", "Webhooks", "List webhook deliveries")
            .about("Kept for 30 days.")
            .filter("endpoint_id")
            .filter("event_id")
            .query("status", words(DeliveryStatus::WORDS))
            .lists("WebhookDelivery"),
        operation("GET /api/v1/webhook-deliveries/{id}", "getWebhookDelivery", "Webhooks", "Read a webhook delivery")
            .of::<ids::Delivery>()
            .shows("WebhookDelivery"),
        operation(
            "POST /api/v1/webhook-deliveries/{id}/resend",
            "resendWebhookDelivery",
            "Webhooks",
            "Send a webhook delivery again",
        )
        .of::<ids::Delivery>()
        .answers(202, "Owed again, from the schedule's beginning.", delivery())
        .refused(409),
        operation("GET /api/v1/events", "listEvents", "Events", "List events")
            .filter("type")
            .filter("subject")
            .lists("Event"),
    ]
}

fn target() -> Json {
    said(url(2_048), "HTTPS; in test mode HTTP too. Nothing private, and no redirect is followed.")
}

fn listed() -> Json {
    let words: Vec<&str> = std::iter::once("*").chain(event_types()).collect();
    json!({ "type": "array", "items": { "type": "string", "enum": words }, "minItems": 1,
        "description": "What it is told of; `*` is everything." })
}
