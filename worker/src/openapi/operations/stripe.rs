//! Stripe: its events, and how they come in.

use domain::ids;
use domain::status::{LookupState, StripeOutcome};
use serde_json::{Value as Json, json};

use crate::openapi::operation::{Caller, Content, Operation, operation};
use crate::openapi::schema::*;

pub fn all() -> Vec<Operation> {
    [ingress(), connections(), events()].concat()
}

fn ingress() -> Vec<Operation> {
    let receive = |line, id, summary| {
        let taken = operation(line, id, "Stripe", summary)
            .about("For Stripe. The signature holds for the raw bytes; a body is at most 1 MiB.")
            .caller(Caller::Stripe)
            .at("connection_id", id_of_connection())
            .body([])
            .answers(200, "Stored, or known already.", Content::Json(named("StripeEventReceived")));
        // Whatever media type it is sent as, it is read as what was signed.
        let refusals = taken.refusals.iter().copied().filter(|status| *status != 415).collect();
        Operation { refusals, body: Some(anything("An event, as Stripe sends it.")), ..taken }
    };
    vec![
        receive("POST /webhooks/stripe/{connection_id}", "receiveStripeEvent", "Take a Stripe event in"),
        receive(
            "POST /api/webhooks/{connection_id}",
            "receiveStripeEventAsTraaaction",
            "The same, under Traaaction's path",
        ),
    ]
}

fn id_of_connection() -> Json {
    id::<ids::Connection>()
}

fn signing_secret() -> Json {
    said(
        json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "whsec_" }),
        "`whsec_…`, as Stripe shows it. Never shown again.",
    )
}

fn restricted_key() -> Json {
    said(text(255), "A key to Stripe's API of the same mode, `rk_…` or `sk_…`. Never shown again.")
}

fn connections() -> Vec<Operation> {
    let one = |line, id, summary| operation(line, id, "Stripe", summary).of::<ids::Connection>();
    let named_with_lookups = || Content::Json(named("StripeConnectionWithLookups"));
    vec![
        operation("GET /api/v1/stripe-connections", "listStripeConnections", "Stripe", "List Stripe connections")
            .lists("StripeConnection"),
        operation("POST /api/v1/stripe-connections", "createStripeConnection", "Stripe", "Make a Stripe connection")
            .about("Stripe shows its signing secret to whoever has told it the connection's URL: it may be set afterwards.")
            .body([("signing_secret?", signing_secret()), ("restricted_key?", restricted_key())])
            .makes("StripeConnection"),
        one("GET /api/v1/stripe-connections/{id}", "getStripeConnection", "Read a Stripe connection")
            .shows("StripeConnectionWithLookups"),
        one("DELETE /api/v1/stripe-connections/{id}", "deleteStripeConnection", "Delete a Stripe connection")
            .about("One by which no event has come.")
            .removes()
            .refused(409),
        one(
            "POST /api/v1/stripe-connections/{id}/signing-secret",
            "setSigningSecret",
            "Set the signing secret, or roll it",
        )
        .about("The old one is accepted until the overlap ends.")
        .body([("signing_secret", signing_secret()), ("overlap_hours?", or(integer(0, 72), 24))])
        .shows("StripeConnectionWithLookups"),
        one(
            "POST /api/v1/stripe-connections/{id}/restricted-key",
            "setRestrictedKey",
            "Set the key to Stripe's API, or take it away",
        )
        .about("Without `restricted_key` it is taken away.")
        .body([("restricted_key?", restricted_key())])
        .shows("StripeConnectionWithLookups"),
        one(
            "POST /api/v1/stripe-connections/{id}/reconcile",
            "reconcileStripe",
            "List what Stripe could not deliver in 30 days, and take it in",
        )
        .about("Needs a restricted key. How far it has come, the connection shows.")
        .answers(202, "Begun, or going on already.", named_with_lookups())
        .refused(409),
        one(
            "GET /api/v1/stripe-connections/{id}/lookups",
            "listStripeLookups",
            "List what Stripe's API was asked by a connection",
        )
        .query("state", words(LookupState::WORDS))
        .lists("StripeLookup"),
    ]
}

fn events() -> Vec<Operation> {
    vec![
        operation("GET /api/v1/stripe-events", "listStripeEvents", "Stripe", "List Stripe events")
            .filter("type")
            .query("outcome", words(StripeOutcome::WORDS))
            .filter("reason")
            .query("from", time())
            .query("to", time())
            .lists("StripeEvent"),
        operation("GET /api/v1/stripe-events/{id}", "getStripeEvent", "Stripe", "Read a Stripe event")
            .of::<ids::StripeEvent>()
            .shows("StripeEvent"),
        operation(
            "POST /api/v1/stripe-events/{id}/replay",
            "replayStripeEvent",
            "Stripe",
            "Process a Stripe event again",
        )
        .about("Its facts are recorded once, however often it is processed.")
        .of::<ids::StripeEvent>()
        .shows("StripeEvent")
        .refused(409),
    ]
}
