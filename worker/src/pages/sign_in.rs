//! Signing in by a link that comes by mail, and out again. The link opens a page whose button spends it, so that what looks
//! into mails before people do cannot.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::account::{self, ASKED_PER_ADDRESS_MAX, SENT_PER_EMAIL_MAX, SESSION_LIVES_MS, Token};
use domain::limit::Admission;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use super::{Problem, field, own_form, private, query, see};
use crate::app::App;
use crate::auth::{network, people};
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::limiter::Bucket;
use crate::mail::Waiting;
use crate::store::{Home, accounts, sessions};

#[derive(Template)]
#[template(path = "sign_in/ask.html")]
struct Ask<'a> {
    email: &'a str,
    next: Option<&'a str>,
    problem: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "sign_in/sent.html")]
struct Sent<'a> {
    email: &'a str,
    /// On a local server, where no mail leaves.
    has_mailbox: bool,
}

#[derive(Template)]
#[template(path = "sign_in/confirm.html")]
struct Confirm<'a> {
    token: &'a str,
    email: &'a str,
}

/// `GET /`: to where the signed-in person belongs, or to sign in.
pub async fn home(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    match people::session(&app, &call, &headers).await? {
        Some(person) if person.memberships.is_empty() && !app.config.is_operator(&person.email) => see("/partner"),
        Some(_) => see("/app"),
        None => see("/sign-in"),
    }
}

/// Where somebody who is not signed in is sent from a page, so that they come back to it.
pub fn first(method: &Method, uri: &Uri) -> Result<Response, ApiError> {
    let wanted = uri.path_and_query().map(|path| path.as_str()).and_then(account::own_path);
    match wanted {
        Some(path) if method.is_safe() => {
            let next: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
            see(&format!("/sign-in?next={next}"))
        }
        _ => see("/sign-in"),
    }
}

/// `GET /sign-in`: the form. Who is signed in already goes on.
pub async fn ask(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let next = query(&request, "next");
    let next = next.as_deref().and_then(account::own_path);
    if people::session(&app, &call, request.headers()).await?.is_some() {
        return see(next.unwrap_or("/"));
    }
    private(StatusCode::OK, &Ask { email: "", next, problem: None })
}

/// `POST /sign-in`: one answer for every address, and the same work for each: a mail that waits. Whether anybody has the
/// address is looked at when it is sent. Refusals in this order: 403, 413, 415, 429, and 422 with the form again.
pub async fn send(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let form = own_form(&call, &headers, request).await?;
    let address = network(&call.peer.address);
    let asked = take(&app, &call, &Bucket::SignInsFrom { address }, ASKED_PER_ADDRESS_MAX).await?;
    if !asked.admitted {
        return too_many(asked.reset_s);
    }
    let given = field(&form, "email").unwrap_or_default();
    let next = field(&form, "next");
    let next = next.as_deref().and_then(account::own_path);
    let email = people::normal(&given);
    let Some(kept) = people::address(&app, &email)? else {
        let problem = Some("Enter your e-mail address, such as ann@example.com.");
        let given: String = given.chars().take(254).collect();
        return private(StatusCode::UNPROCESSABLE_ENTITY, &Ask { email: &given, next, problem });
    };
    let mut answer = private(StatusCode::OK, &Sent { email: &email, has_mailbox: app.config.dev })?;
    // Of what is over this limit nothing is told: the first ones are on their way, or nobody has the address.
    let sent = take(&app, &call, &Bucket::SignInsTo { email_hash: kept.hash }, SENT_PER_EMAIL_MAX).await?;
    if sent.admitted {
        let next = next.map(str::to_owned);
        let waiting = Waiting::SignIn { email, origin: call.origin.clone(), next };
        let (statement, message) = waiting.post(&app, call.now)?;
        app.db.batch(vec![statement.at(Home::Directory)]).await?;
        answer = call::after(answer, [message]);
    }
    Ok(answer)
}

async fn take(app: &App, call: &Call, bucket: &Bucket, limit: u32) -> Result<Admission, ApiError> {
    // Not noted on the call: how much of a limit is left would tell how often others asked.
    app.limiter.take(bucket, limit, call.now).await.map_err(|why| ApiError::Unavailable(why.0))
}

fn too_many(retry_after_s: u32) -> Result<Response, ApiError> {
    let problem = Problem {
        title: "Too many tries",
        text: "Too many links were asked for from your network. Wait a minute and try again.",
        instead: Some(("/sign-in", "Try again")),
        signed_in: None,
    };
    let mut response = private(StatusCode::TOO_MANY_REQUESTS, &problem)?;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
    Ok(response)
}

/// `GET /sign-in/{token}`: the button. Spends nothing.
pub async fn confirm(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    let Some(token) = Token::parse(&token) else { return gone(&app, &call).await };
    let rows = app.db.rows(accounts::open_link(&token.digest(), call.now)).await?;
    let Some(row) = rows.first() else { return gone(&app, &call).await };
    let email = people::opened(&app, &accounts::decode_address(row)?)?;
    private(StatusCode::OK, &Confirm { token: token.as_str(), email: &email })
}

/// `POST /sign-in/{token}`: spends the link, once. A session that the browser had before ends.
pub async fn spend(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    own_form(&call, &headers, request).await?;
    let Some(token) = Token::parse(&token) else { return gone(&app, &call).await };
    match begin(&app, &call, &headers, &token).await? {
        Some(response) => Ok(response),
        None => gone(&app, &call).await,
    }
}

/// Spends a link on a session of its own, with the cookie that holds it; `None` when it cannot be spent.
pub async fn begin(app: &App, call: &Call, headers: &HeaderMap, link: &Token) -> Result<Option<Response>, ApiError> {
    let session = people::token(app);
    let expires_at = call.now.plus_ms(SESSION_LIVES_MS);
    let spend = accounts::spend_link(&link.digest(), &session.digest(), &app.fresh(call.now), expires_at, call.now);
    let told = app.db.batch(spend).await?.pop().unwrap_or_default();
    let Some(row) = told.first() else { return Ok(None) };
    if let Some(before) = people::cookie(call, headers) {
        app.db.batch(vec![sessions::end(&before.digest())]).await?;
    }
    let next = accounts::decode_next(row)?;
    let mut response = see(next.as_deref().and_then(account::own_path).unwrap_or("/"))?;
    response.headers_mut().insert(header::SET_COOKIE, people::set_cookie(call, Some(&session))?);
    Ok(Some(response))
}

/// One answer for links that expired, were used, or never were. Who guesses too often is told that instead.
async fn gone(app: &App, call: &Call) -> Result<Response, ApiError> {
    if !app.limiter.stranger(&call.peer.address).await {
        return too_many(60);
    }
    let problem = Problem {
        title: "This link does not work any more",
        text: "A link signs in once, and only for a short time. Ask for a new one.",
        instead: Some(("/sign-in", "Get a new link")),
        signed_in: None,
    };
    private(StatusCode::GONE, &problem)
}

/// `POST /sign-out`.
pub async fn end(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    own_form(&call, &headers, request).await?;
    if let Some(token) = people::cookie(&call, &headers) {
        app.db.batch(vec![sessions::end(&token.digest())]).await?;
    }
    let mut response = see("/sign-in")?;
    response.headers_mut().insert(header::SET_COOKIE, people::set_cookie(&call, None)?);
    Ok(response)
}

#[cfg(test)]
mod tests;
