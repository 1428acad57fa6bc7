//! What can be refused, as the document tells it: the codes with their statuses, and the answer that holds one.

use serde_json::{Value as Json, json};

use super::schema::*;

/// Every code, its status, and when it is answered (contract, section 4). `error.rs` is read by a test and held against this.
pub const CODES: [(&str, u16, &str); 18] = [
    ("VALIDATION_ERROR", 400, "Malformed JSON; a field or parameter that is missing, mistyped or too long"),
    ("INVALID_SIGNATURE", 400, "Stripe's signature does not hold"),
    ("INVALID_API_KEY", 401, "The key is missing, malformed, unknown, revoked or of the wrong kind"),
    ("FORBIDDEN", 403, "The key lacks the scope, or the session the role"),
    ("HTTPS_REQUIRED", 403, "Plain HTTP, which is answered on loopback only"),
    ("NOT_FOUND", 404, "There is no such object in this workspace and mode"),
    ("REFERRAL_NOT_FOUND", 404, "No active link has this ref"),
    ("METHOD_NOT_ALLOWED", 405, "The path does not take the method; see `Allow`"),
    ("CONFLICT", 409, "The object does not stand as the change needs it, or something is taken"),
    ("CONVERSION_DUPLICATE", 409, "The transaction is recorded already; `conversion_id` is the first one's"),
    ("PAYLOAD_TOO_LARGE", 413, "The body is over 64 KiB; of Stripe, over 1 MiB"),
    ("UNSUPPORTED_MEDIA_TYPE", 415, "The body is not sent as JSON"),
    ("NO_ATTRIBUTION_SIGNAL", 422, "Nothing in the report says who is to be credited"),
    ("MODE_MISMATCH", 422, "The click or promo code exists in the other mode only"),
    ("IDEMPOTENCY_KEY_REUSED", 422, "The same `Idempotency-Key` came with another body before"),
    ("RATE_LIMIT_EXCEEDED", 429, "Too many requests in this minute; see `Retry-After`"),
    ("INTERNAL_ERROR", 500, "Something failed on our side"),
    ("UNAVAILABLE", 503, "Not available right now; see `Retry-After`"),
];

/// The codes of a status.
pub fn codes_of(status: u16) -> impl Iterator<Item = (&'static str, &'static str)> {
    CODES.into_iter().filter(move |(_, of, _)| *of == status).map(|(code, _, when)| (code, when))
}

/// The answer of every refusal.
pub fn schema() -> Json {
    let codes: Vec<&str> = CODES.iter().map(|(code, ..)| *code).collect();
    let detail = object([("field", any_text()), ("message", any_text())]);
    let error = object([
        ("code", words(&codes)),
        ("message", said(any_text(), "For people; not to be read by programs.")),
        ("request_id", said(any_text(), "Finds the request in our log and in the dashboard.")),
        ("details?", said(list(detail), "With `VALIDATION_ERROR`: what is wrong with which field.")),
        ("conversion_id?", said(any_text(), "With `CONVERSION_DUPLICATE`: the first one's.")),
    ]);
    object([("error", error)])
}

/// The same on Traaaction's surface.
pub fn tracked_schema() -> Json {
    let told = schema();
    let of = |name: &str| told["properties"]["error"]["properties"][name].clone();
    object([
        ("success", json!({ "const": false })),
        ("error", of("message")),
        ("code", of("code")),
        ("request_id", of("request_id")),
        ("details?", of("details")),
        ("conversion_id?", of("conversion_id")),
    ])
}

/// The statuses of refusals, each with its answer, as components.
pub fn responses() -> Vec<(String, Json)> {
    let mut statuses: Vec<u16> = CODES.iter().map(|(_, status, _)| *status).collect();
    statuses.dedup();
    let both = statuses.into_iter().flat_map(|status| [(status, "Error"), (status, "TrackError")]);
    both.map(|(status, shape)| (format!("{shape}{status}"), response(status, shape))).collect()
}

fn response(status: u16, shape: &str) -> Json {
    let told: Vec<String> = codes_of(status).map(|(code, when)| format!("`{code}`: {when}.")).collect();
    let code = codes_of(status).next().map_or("", |(code, _)| code);
    let mut headers = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } });
    if matches!(status, 429 | 503) {
        headers["Retry-After"] = json!({ "$ref": "#/components/headers/Retry-After" });
    }
    let request_id = "req_0123456789abcdef0123456789abcdef";
    let example = match shape {
        "Error" => json!({ "error": { "code": code, "message": "…", "request_id": request_id } }),
        _ => json!({ "success": false, "error": "…", "code": code, "request_id": request_id }),
    };
    json!({
        "description": told.join(" "),
        "headers": headers,
        "content": { "application/json": { "schema": named(shape), "example": example } },
    })
}
