//! How closely the dashboard's and the portal's pages are set. A cookie of the browser that was asked for says so; here nothing is
//! kept of it.

use axum::response::Response;
use http::{HeaderMap, header};

use super::field;
use crate::auth::people;
use crate::call::Call;
use crate::error::ApiError;

/// A browser that is not used for so long forgets it: a year.
const LIVES_S: i64 = 365 * 24 * 60 * 60;
const COMPACT: &str = "compact";

/// As with the session's, the name that demands `Secure` is for where that can be.
fn cookie_name(call: &Call) -> &'static str {
    if people::is_secure(call) { "__Host-selgeo-density" } else { "selgeo_density" }
}

/// Whether this browser is shown more on a screen.
pub fn is_compact(call: &Call, headers: &HeaderMap) -> bool {
    people::cookie_values(headers, cookie_name(call)).any(|value| value == COMPACT)
}

/// Has the browser keep what a form chose.
pub fn keep(call: &Call, form: &[u8], response: &mut Response) -> Result<(), ApiError> {
    let cookie = match field(form, "density").as_deref() {
        Some(COMPACT) => people::cookie_line(call, cookie_name(call), COMPACT, LIVES_S)?,
        Some("comfortable") => people::cookie_line(call, cookie_name(call), "", 0)?,
        _ => return Err(ApiError::field("density", "must be comfortable or compact")),
    };
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(())
}
