//! The document: OpenAPI 3.1, put together from the table of operations, the shapes, and what a tour of them showed.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::operation::{Example, shown};
use super::schema::*;
use super::{errors, operations, shapes};

const ABOUT: &str = "\
Partner programs: clicks, conversions, attribution, commissions, payouts and webhooks.

**Keys.** `pk_test_…` and `pk_live_…` are public: they register clicks. `sk_test_…` and `sk_live_…` are secret and sent as \
`Authorization: Bearer`. The infix alone decides the mode, and the modes never see each other's data. A secret key has scopes: \
`conversions` reports conversions and refunds, `read` reads, `manage` does everything that a key may do. A signed-in member may ask \
the same with their session's cookie and the headers `X-Selgeo-Workspace` and `X-Selgeo-Mode`; what a session changes must come from \
the service's own origin.

**Requests.** A body is JSON of at most 64 KiB. Fields that are not known are ignored; `null` equals absent. Money is an integer in \
the currency's minor unit. Times are ISO 8601.

**Lists.** `limit` (1 to 100, by default 50) and `cursor`; the newest first, stable while rows are added. `next_cursor` is null on the \
last page.

**Repeating.** Every management `POST` takes an `Idempotency-Key`: for 24 hours, the same key and body have the same answer, and another \
body under it is refused with 422 `IDEMPOTENCY_KEY_REUSED`. It holds per workspace, mode and path. While the first request is being \
answered, the second is refused with 409. Refusals before which nothing was done (400, 401, 403, 413, 415, 429) leave the key free.

**Limits.** Per minute: 1,000 clicks for each public key, 120 conversions for each secret key, and 300 of all else for each address, \
unless the workspace has others. `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` are on every answer that was \
counted; 429 says in `Retry-After` when to try again.

**Refusals** hold a `code` for programs, a `message` for people and the `request_id`, which every answer has as `X-Request-Id` too.";

/// The document, with these examples by operation.
pub fn document(examples: &BTreeMap<&'static str, Example>) -> Json {
    let mut paths: Map<String, Json> = Map::new();
    for operation in operations::all() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_lowercase()] = shown(&operation, examples.get(operation.id));
    }
    let tags: Vec<Json> =
        operations::TAGS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Selgeo",
            "version": "1",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Where this description was read." }],
        "tags": tags,
        "paths": paths,
        "components": components(),
    })
}

/// What operations refer to.
pub fn components() -> Json {
    let named = |all: Vec<(String, Json)>| all.into_iter().collect::<Map<_, _>>();
    let shapes = shapes::all().into_iter().map(|(name, schema)| (name.to_owned(), schema));
    json!({
        "schemas": named(shapes.collect()),
        "responses": named(errors::responses()),
        "parameters": parameters(),
        "headers": headers(),
        "securitySchemes": {
            "secretKey": { "type": "http", "scheme": "bearer", "bearerFormat": "sk_…",
                "description": "A secret key. Beside an operation stands the scope that the key needs." },
            "publicKey": { "type": "http", "scheme": "bearer", "bearerFormat": "pk_…",
                "description": "A public key; it may stand in the body as `merchant` instead." },
            "publishableKey": { "type": "apiKey", "in": "header", "name": "x-publishable-key",
                "description": "A public key, as Traaaction's clients send it." },
            "workspaceId": { "type": "apiKey", "in": "header", "name": "x-workspace-id",
                "description": "The workspace's id, where the workspace lets that suffice." },
            "session": { "type": "apiKey", "in": "cookie", "name": "__Host-selgeo",
                "description": "The session of a member who is signed in; on plain loopback the cookie is `selgeo_session`." },
            "workspace": { "type": "apiKey", "in": "header", "name": "X-Selgeo-Workspace",
                "description": "The workspace that a session means." },
            "mode": { "type": "apiKey", "in": "header", "name": "X-Selgeo-Mode",
                "description": "`test` or `live`, beside a session." },
        },
    })
}

fn parameters() -> Json {
    json!({
        "limit": { "name": "limit", "in": "query", "required": false, "allowEmptyValue": true, "schema": parameter("limit"),
            "description": "Rows in a page." },
        "cursor": { "name": "cursor", "in": "query", "required": false, "allowEmptyValue": true, "schema": parameter("cursor"),
            "description": "The `next_cursor` of the page before." },
        "X-Request-Id": { "name": "X-Request-Id", "in": "header", "required": false, "schema": any_text(),
            "description": "Echoed where it is 1 to 128 visible ASCII characters, else replaced. Kept with what the request stores." },
        "Idempotency-Key": { "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" },
            "description": "Yours, for this one change: sent again with the same body within 24 hours, it has the same answer." },
        "Stripe-Signature": { "name": "Stripe-Signature", "in": "header", "required": false, "schema": any_text(),
            "description": "As Stripe signs." },
    })
}

/// The schema of a parameter that is referred to.
pub fn parameter(name: &str) -> Json {
    match name {
        "limit" => or(integer(1, 100), 50),
        _ => text_or_empty(255),
    }
}

fn headers() -> Json {
    let header = |schema: Json, about: &str| json!({ "schema": schema, "description": about });
    json!({
        "X-Request-Id": header(text(128), "Finds the request in our log and in the dashboard."),
        "X-RateLimit-Limit": header(count(), "Requests in a minute."),
        "X-RateLimit-Remaining": header(count(), "Those that are left of them; may read 5 % low."),
        "X-RateLimit-Reset": header(count(), "Seconds until the minute ends."),
        "Retry-After": header(count(), "Seconds."),
        "Idempotent-Replayed": header(words(&["true"]), "The answer was given before, to the same `Idempotency-Key` and body."),
        "Location": header(any_text(), "Where to go."),
    })
}
