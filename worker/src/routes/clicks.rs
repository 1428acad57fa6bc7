//! `POST /v1/clicks`: a visitor came by a partner's link. And the list of clicks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::agent::{self, Agent};
use domain::click_id::{Click, ClickId, LinkNumber};
use domain::time::{DAY_MS, Instant};
use domain::visitor;
use futures_util::future::join;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::{hosts, management};
use crate::app::App;
use crate::auth::{self, clicks};
use crate::call::{self, BODY_BYTES_MAX, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::jobs::Message;
use crate::known;
use crate::shapes;
use crate::store::clicks::{self as table, ClickRecord, Filter, Reach};
use crate::store::{Scope, to_json};

const REF_CHARS_MAX: usize = 255;
pub(super) const URL_CHARS_MAX: usize = 2_048;

/// The browser's preflight: any origin may register a click, without credentials.
pub async fn preflight() -> Response {
    preflight_for("content-type, authorization, x-request-id")
}

/// A preflight for a request of these headers.
pub(super) fn preflight_for(request_headers: &'static str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    allow_any_origin(headers);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(request_headers));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// Registers a click. Refusals in this order: 413, 415, malformed JSON 400, 401, 429, other 400, 404.
pub async fn register(State(app): State<Arc<App>>, Extension(call): Extension<Call>, request: Request) -> Response {
    let mut response = registered(&app, &call, request).await.into_response();
    allow_any_origin(response.headers_mut());
    response
}

pub(super) fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "retry-after, x-request-id, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset",
        ),
    );
}

async fn registered(app: &App, call: &Call, request: Request) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let accepted = call::has_media_type(&headers, &["application/json", "text/plain"]);
    let body = call::body(request, BODY_BYTES_MAX).await?;
    if !accepted {
        return Err(ApiError::UnsupportedMediaType("application/json or text/plain"));
    }
    let mut fields = Fields::parse(&body)?;
    let caller = match (fields.raw("merchant"), auth::bearer(&headers)) {
        (Some(Json::String(key)), _) => auth::public(app, call, key).await?,
        (None, Some(key)) => auth::public(app, call, key).await?,
        // Whoever sends a credential is judged by it, however wrong it is.
        (None, None) if !headers.contains_key(header::AUTHORIZATION) => {
            let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
            auth::origin(app, call, origin.and_then(hosts::host_of_origin).as_deref()).await?
        }
        _ => return Err(ApiError::InvalidApiKey("Send a public key (pk_…) as merchant.")),
    };
    let link_ref = fields.required_text("ref", REF_CHARS_MAX);
    let url = fields.text_or_nothing("url", URL_CHARS_MAX);
    let referrer = fields.text_or_nothing("referrer", URL_CHARS_MAX);
    // A token that is not ours is ignored, whatever it looks like.
    let token = fields.raw("visitor_token").and_then(Json::as_str).map(str::to_owned);
    let problems = fields.finish();

    let scope = caller.owner.scope.clone();
    // Out of a lease nobody is asked. Without one, the counter and, where it is not known, the link are asked at once.
    let (access, link) = match (clicks::admit_at_once(app, call, &caller), &problems) {
        (Some(access), Err(_)) => (access, Ok(None)),
        (None, Err(_)) => (clicks::admit(app, call, &caller).await, Ok(None)),
        (Some(Err(error)), Ok(())) => return Err(error),
        (Some(access), Ok(())) => (access, known::link(app, call.now, &scope, &link_ref).await),
        (None, Ok(())) => {
            let asked = clicks::admit(app, call, &caller);
            join(asked, known::link(app, call.now, &scope, &link_ref)).await
        }
    };
    let access = access?;
    problems?;
    let found = link?.ok_or(ApiError::ReferralNotFound)?;
    let number = if app.leases.holds(&caller, found.at) {
        call.leave(found.chore);
        found.what
    } else {
        match known::link_anew(app, call.now, &scope, &link_ref).await {
            Ok(anew) => anew.ok_or(ApiError::ReferralNotFound)?,
            // While the database cannot be asked, what is known has to do.
            Err(error) => {
                crate::log(&format!("{} known: {error}", call.request_id));
                found.what
            }
        }
    };
    let link = LinkNumber { database: scope.workspace_id.database(), number };
    if let Some((click_id, token)) = same_click(app, call, &scope, link, token.as_deref()) {
        return Ok(pair(StatusCode::OK, click_id, &token));
    }
    let visit = Visit { scope: &scope, link, url, referrer, headers: &headers, unmetered: access.unmetered };
    let (click_id, record) = click(app, call, visit)?;
    let secret = app.secrets.visitors.first().ok_or_else(|| ApiError::Internal("no click secret".to_owned()))?;
    let token = visitor::seal(secret, scope.workspace_id.as_str(), scope.mode, click_id);
    Ok(call::after(pair(StatusCode::CREATED, click_id, &token), [record]))
}

/// The click that the visitor's token seals, if it was on this link within half an hour.
fn same_click(
    app: &App,
    call: &Call,
    scope: &Scope,
    link: LinkNumber,
    token: Option<&str>,
) -> Option<(ClickId, String)> {
    let token = token?;
    let click_id = visitor::open(&app.secrets.visitors, scope.workspace_id.as_str(), scope.mode, token)?;
    let last = app.secrets.clicks.open(click_id)?;
    (last.link == link && visitor::is_same_click(last.at, call.now)).then(|| (click_id, token.to_owned()))
}

fn pair(status: StatusCode, click_id: ClickId, token: &str) -> Response {
    call::json(status, &json!({ "click_id": click_id.to_string(), "visitor_token": token }))
}

/// All that is known of a visitor's coming by a link.
pub(super) struct Visit<'a> {
    /// Whose link it is.
    pub(super) scope: &'a Scope,
    /// The link.
    pub(super) link: LinkNumber,
    /// The page that the visitor came to; its fragment is dropped.
    pub(super) url: Option<String>,
    /// The page that the visitor came from.
    pub(super) referrer: Option<String>,
    /// What the visitor's browser sent.
    pub(super) headers: &'a HeaderMap,
    /// The limiter could not answer.
    pub(super) unmetered: bool,
}

/// Makes a click: its id, which holds by itself at once, and the message that has its record written.
pub(super) fn click(app: &App, call: &Call, visit: Visit<'_>) -> Result<(ClickId, Message), ApiError> {
    let nonce = app.nonce.fetch_add(1, Ordering::Relaxed);
    let sealed = app.secrets.clicks.seal(Click { at: call.now, link: visit.link, nonce });
    let click_id = sealed.ok_or_else(|| ApiError::Internal("the click does not fit a click id".to_owned()))?;
    Ok((click_id, Message::Click(Box::new(record(app, call, click_id, visit)))))
}

/// What the browser's headers tell of who is asking.
pub(super) fn agent_of(headers: &HeaderMap) -> Agent {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    agent::classify(text("user-agent"), text("sec-purpose").or_else(|| text("purpose")))
}

fn record(app: &App, call: &Call, click_id: ClickId, visit: Visit<'_>) -> ClickRecord {
    let user_agent = visit.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let agent = agent_of(visit.headers);
    let mut flags: Vec<String> = agent.machine.iter().map(|flag| flag.as_str().to_owned()).collect();
    if visit.unmetered {
        flags.push("unmetered".to_owned());
    }
    let workspace = visit.scope.workspace_id.as_str();
    let visitor = app.secrets.visitor_hash(call.now.day(), workspace, &call.peer.address, user_agent.unwrap_or(""));
    ClickRecord {
        click_id: click_id.to_string(),
        workspace_id: workspace.to_owned(),
        mode: visit.scope.mode.to_string(),
        link_number: i64::from(visit.link.number),
        clicked_at: call.now,
        url: visit.url.map(|url| url.split('#').next().unwrap_or("").to_owned()),
        referrer: visit.referrer,
        human: agent.machine.is_none(),
        flags,
        address_hash: Some(visitor),
        device: Some(agent.device.as_str().to_owned()),
        browser: Some(agent.browser.as_str().to_owned()),
        country: call.peer.country.clone().filter(|country| country.len() == 2),
        request_id: Some(call.request_id.clone()),
    }
}

/// `GET /api/v1/clicks`.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = Filter {
        link_id: query.text("link_id"),
        participant_id: query.text("participant_id"),
        human: query.boolean("human"),
        from: query.instant("from"),
        to: query.instant("to"),
    };
    let limit = query.limit();
    let after = query.cursor(|place| {
        let (at, click_id) = place.split_once(' ')?;
        let is_whole = click_id.is_empty() || ClickId::parse(click_id).is_some();
        is_whole.then_some((Instant::from_ms(at.parse().ok()?), click_id.to_lowercase()))
    });
    query.finish()?;
    let found = find(&app, &scope, filter, after.as_ref(), limit).await?;
    let shown =
        found.clicks.iter().map(|click| (place(click.record.clicked_at, &click.record.click_id), shapes::click(click)));
    Ok(listing::answer_until(shown.collect(), limit, found.complete_from.map(|at| place(at, ""))))
}

/// Where a page ends: below this moment, and in it below this id.
fn place(at: Instant, click_id: &str) -> String {
    format!("{} {click_id}", at.ms())
}

/// Clicks of a page.
struct Found {
    /// One more than asked for, if there are.
    clicks: Vec<table::Click>,
    /// Not looked further back than here, where there may be more.
    complete_from: Option<Instant>,
}

/// Looks through a bounded number of packs: of a link or a participant only through those of days on which they had clicks. It
/// looks further than a page's bound only where it would not have moved on.
async fn find(
    app: &App,
    scope: &Scope,
    mut filter: Filter,
    after: Option<&(Instant, String)>,
    limit: i64,
) -> Result<Found, ApiError> {
    let (mut hours, mut complete_from) = (None, None);
    if let Some(statement) = table::days(scope, &filter, after) {
        let days = app.db.rows(statement).await?;
        let days = days.iter().map(|row| row.integer("day")).collect::<Result<Vec<_>, _>>()?;
        let (looked_at, further) = days.split_at(days.len().min(table::DAYS_MAX));
        if let (Some(oldest), false) = (looked_at.last(), further.is_empty()) {
            let from = Instant::from_ms(oldest * DAY_MS);
            complete_from = Some(from);
            filter.from = filter.from.max(Some(from));
        }
        let of_days = looked_at.iter().flat_map(|day| day * 24..(day + 1) * 24);
        hours = Some(to_json(&of_days.collect::<Vec<i64>>())?);
    }
    let mut reach = Reach::FIRST;
    loop {
        let batch = vec![
            table::list(scope, &filter, after, hours.as_deref(), reach, limit),
            table::floor(scope, &filter, after, hours.as_deref(), reach),
        ];
        let results = app.db.batch(batch).await?;
        let [rows, floor] = results.as_slice() else {
            return Err(ApiError::Internal("a batch of two gave another number of results".to_owned()));
        };
        let floor = floor.first().map(|row| row.instant_opt("floor")).transpose()?.flatten();
        let beyond = floor.map(|floor| floor.plus_ms(1));
        let to = filter.to.map(|to| (to, ""));
        let upper = after.map(|(at, click_id)| (*at, click_id.as_str())).into_iter().chain(to).min();
        let is_stuck = beyond.zip(upper).is_some_and(|(beyond, upper)| (beyond, "") >= upper);
        let is_full = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit || beyond.is_none();
        if is_stuck || (!is_full && reach.packs < Reach::PAGE.packs) {
            reach = reach.further();
            continue;
        }
        let clicks = rows.iter().map(table::decode).collect::<Result<_, _>>()?;
        return Ok(Found { clicks, complete_from: beyond.or(complete_from) });
    }
}

/// `GET /api/v1/clicks/{id}`.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let id = id.to_lowercase();
    match app.db.rows(table::by_ids(&scope, &[(&id, app.secrets.clicked_at(&id))])?).await?.first() {
        Some(row) => Ok(call::json(StatusCode::OK, &shapes::click(&table::decode(row)?))),
        None => Err(ApiError::NotFound("click")),
    }
}

#[cfg(test)]
mod keyless;
#[cfg(test)]
mod packs;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod warm;
