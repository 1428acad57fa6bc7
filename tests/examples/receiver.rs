//! The receiver of `www/docs/webhooks.md` in Rust; `tests/tests/receivers.rs` holds that it is the same, and runs it.
#![expect(clippy::disallowed_methods, reason = "a merchant's server has a clock")]

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

fn is_from_selgeo(key: &[u8], header: &str, body: &[u8]) -> Option<()> {
    let part = |name: &str| header.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let (t, v1) = (part("t")?, hex::decode(part("v1")?).ok()?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    if now.abs_diff(t.parse().ok()?) > 300 {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(t.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.verify_slice(&v1).ok()
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let secret = std::env::var("SELGEO_WEBHOOK_SECRET")?;
    let key = hex::decode(secret.trim_start_matches("whsec_"))?;
    let server = tiny_http::Server::http(format!("127.0.0.1:{}", std::env::var("PORT")?))?;
    for mut request in server.incoming_requests() {
        let mut body = Vec::new();
        std::io::Read::read_to_end(request.as_reader(), &mut body)?;
        let header = request.headers().iter().find(|header| header.field.equiv("X-Selgeo-Signature"));
        let header = header.map(|header| header.value.to_string()).unwrap_or_default();
        if is_from_selgeo(&key, &header, &body).is_none() {
            request.respond(tiny_http::Response::empty(400))?;
            continue;
        }
        request.respond(tiny_http::Response::empty(204))?;
        let event: serde_json::Value = serde_json::from_slice(&body)?;
        // Remember event["id"] in your database, and do nothing about one that you know.
        println!("{} {} {}", event["type"], event["subject"], event["sequence"]);
    }
    Ok(())
}
