//! `GET /r/{slug}`: a visitor follows a short link. The click is registered here, and its id handed to the landing page.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::agent::MachineFlag;
use domain::click_id::{ClickId, LinkNumber};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use url::form_urlencoded;

use super::clicks::{self, URL_CHARS_MAX, Visit};
use super::programs::is_slug;
use crate::app::App;
use crate::auth::{self, Access, clicks::Caller};
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::jobs::Message;
use crate::known;
use crate::store::links::ShortLink;

/// The names of what is added to the landing page's query.
const REF: &str = "ref";
const CLICK_ID: &str = "trac_click_id";

/// Redirects to the link's landing page, as it is stored and nowhere else. Whoever does not follow the link, comes over the limit, or
/// by a link of a suspended workspace, is redirected uncounted: nothing is stored then, and no click id given.
pub async fn follow(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(slug): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    // What can be no slug is neither looked for nor remembered.
    if !is_slug(&slug) {
        return Err(ApiError::NotFound("link"));
    }
    let found = known::short_link(&app, call.now, &slug).await?.ok_or(ApiError::NotFound("link"))?;
    let (mut link, mut at) = (found.what, found.at);
    // Nothing is lent for a suspended one that would tell of its being resumed.
    if link.is_suspended
        && call.now.since_ms(at) >= known::FRESH_MS
        && let Ok(anew) = known::short_link_anew(&app, call.now, &slug).await
    {
        (link, at) = (anew.ok_or(ApiError::NotFound("link"))?, call.now);
    }
    let follows = request.method() != Method::HEAD && !only_looks(request.headers());
    let access = if follows && !link.is_suspended { admit(&app, &call, &link).await? } else { None };
    if app.leases.holds(&Caller::without_key(link.owner.clone()), at) {
        call.leave(found.chore);
    } else {
        match known::short_link_anew(&app, call.now, &slug).await {
            Ok(anew) => link = anew.ok_or(ApiError::NotFound("link"))?,
            // While the database cannot be asked, what is known has to do.
            Err(error) => crate::log(&format!("{} known: {error}", call.request_id)),
        }
    }
    let counted = access.filter(|_| !link.is_suspended);
    let counted = counted.map(|access| click(&app, &call, &link, access.unmetered, request.headers())).transpose()?;
    let click_id = counted.as_ref().map(|(click_id, _)| *click_id);
    let to = landing(&link, click_id)
        .ok_or_else(|| ApiError::Internal("links.landing_url is no http or https URL".to_owned()))?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(header::LOCATION, to);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(call::after(response, counted.map(|(_, record)| record)))
}

/// Whether somebody fetches ahead of the visitor, or a preview of what was posted.
fn only_looks(headers: &HeaderMap) -> bool {
    matches!(clicks::agent_of(headers).machine, Some(MachineFlag::Prefetch | MachineFlag::Preview))
}

/// Whether there is room for one more click. No key was sent: it counts under the key that the merchant's pages carry.
async fn admit(app: &App, call: &Call, link: &ShortLink) -> Result<Option<Access>, ApiError> {
    let caller = Caller::without_key(link.owner.clone());
    let access = match auth::clicks::admit_at_once(app, call, &caller) {
        Some(access) => access,
        None => auth::clicks::admit(app, call, &caller).await,
    };
    match access {
        Ok(access) => Ok(Some(access)),
        Err(ApiError::RateLimitExceeded { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn click(
    app: &App,
    call: &Call,
    link: &ShortLink,
    unmetered: bool,
    headers: &HeaderMap,
) -> Result<(ClickId, Message), ApiError> {
    let referrer = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let visit = Visit {
        scope: &link.owner.scope,
        link: LinkNumber { database: link.owner.scope.workspace_id.database(), number: link.number },
        url: Some(link.landing_url.clone()),
        referrer: referrer.filter(|text| (1..=URL_CHARS_MAX).contains(&text.len())).map(str::to_owned),
        headers,
        unmetered,
    };
    clicks::click(app, call, visit)
}

/// The landing page's URL. What its own query says stays as it is escaped, but for the two names that are ours.
fn landing(link: &ShortLink, click_id: Option<ClickId>) -> Option<HeaderValue> {
    let mut url = url::Url::parse(&link.landing_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let own = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !is_ours(pair));
    let mut pairs: Vec<String> = own.map(str::to_owned).collect();
    pairs.push(format!("{REF}={}", form_urlencoded::byte_serialize(link.link_ref.as_bytes()).collect::<String>()));
    pairs.extend(click_id.map(|click_id| format!("{CLICK_ID}={click_id}")));
    url.set_query(Some(&pairs.join("&")));
    HeaderValue::from_str(url.as_str()).ok()
}

fn is_ours(pair: &str) -> bool {
    form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name == REF || name == CLICK_ID)
}

#[cfg(test)]
mod tests;
