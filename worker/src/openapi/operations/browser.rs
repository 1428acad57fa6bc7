//! What browsers ask for.

use serde_json::json;

use crate::openapi::operation::{Caller, Content, Operation, operation};
use crate::openapi::schema::*;

pub fn all() -> Vec<Operation> {
    let script = |line, id, summary| {
        operation(line, id, "Service", summary)
            .answers(200, "The script.", Content::Media("text/javascript"))
            .answers(304, "The caller holds it already (`If-None-Match`).", Content::Nothing)
            .refused(404)
    };
    let clicked = || Content::Json(named("RegisteredClick"));
    let click = operation("POST /v1/clicks", "registerClick", "Clicks", "Register a click")
        .about(
            "For browsers: any origin may call, without credentials. The same visitor on the same link within 30 minutes is the \
             same click, if the visitor token of the answer before is sent. The public key may be sent as `merchant` or as Bearer; \
             a page on a host that one workspace alone registered in live mode needs none.",
        )
        .caller(Caller::Page)
        .body([
            ("merchant?", said(any_text(), "The public key, `pk_…`.")),
            ("ref", said(text(255), "The link's ref.")),
            ("url?", said(text_or_empty(2_048), "The page. Its fragment is dropped.")),
            ("referrer?", said(text_or_empty(2_048), "The page before.")),
            ("visitor_token?", json!({ "description": "Of the answer before. One that is not ours is ignored." })),
        ])
        .answers(200, "The same click as before.", clicked())
        .answers(201, "Registered.", clicked())
        .refused(401)
        .refused(404);
    vec![
        Operation { media: &["application/json", "text/plain"], ..click },
        operation("GET /r/{slug}", "followShortLink", "Clicks", "Follow a short link")
            .about("Registers the click and redirects to the link's landing page with `ref` and `trac_click_id` in its query.")
            .at("slug", json!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" }))
            .answers(302, "To the landing page.", Content::Nothing),
        script("GET /v1/selgeo.js", "getSnippet", "The snippet"),
        script("GET /v1/selgeo-fallback.js", "getSnippetFallback", "The snippet, for pages that refuse WebAssembly"),
        script("GET /v1/selgeo.{hash}.js", "getHashedSnippet", "The snippet under a name that never changes")
            .at("hash", json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })),
        script("GET /trac.js", "getTracScript", "The snippet as Traaaction's pages ask for it"),
        script("GET /trac-fallback.js", "getTracScriptFallback", "The same, for pages that refuse WebAssembly"),
        operation("GET /healthz", "checkHealth", "Service", "Whether the database answers and is migrated")
            .shows("Health"),
        operation("GET /openapi.json", "getDescription", "Service", "This description")
            .answers(200, "OpenAPI 3.1.", Content::Json(anything("An OpenAPI document.")))
            .answers(304, "The caller holds it already (`If-None-Match`).", Content::Nothing)
            .refused(404),
    ]
}
