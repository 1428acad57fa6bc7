//! Where a signed-in person arrives: who they are, and where they belong. The dashboard and the portal grow from here.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;

use super::{Problem, private, sign_in};
use crate::app::App;
use crate::auth::people::{self, Person};
use crate::call::Call;
use crate::error::ApiError;
use crate::store::accounts::Membership;

#[derive(Template)]
#[template(path = "here/app.html")]
struct Workspaces<'a> {
    person: &'a Person,
    memberships: &'a [Membership],
    is_partner: bool,
}

/// `GET /app`.
pub async fn app(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let Some(person) = people::session(&app, &call, request.headers()).await? else {
        return sign_in::first(request.method(), request.uri());
    };
    if person.memberships.is_empty() {
        return no_member(&person);
    }
    let is_partner = !person.partnerships(&app).await?.is_empty();
    private(StatusCode::OK, &Workspaces { person: &person, memberships: &person.memberships, is_partner })
}

/// Whatever else is under `/app`: to sign in, 403 for who is no member, 404.
pub async fn app_elsewhere(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    match people::session(&app, &call, request.headers()).await? {
        None => sign_in::first(request.method(), request.uri()),
        Some(person) if person.memberships.is_empty() => no_member(&person),
        Some(person) => nothing_there(&person, "/app"),
    }
}

/// Whatever else is under `/partner`: to sign in, 403 for who is no partner, 404.
pub async fn partner_elsewhere(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    match people::session(&app, &call, request.headers()).await? {
        None => sign_in::first(request.method(), request.uri()),
        Some(person) if person.partnerships(&app).await?.is_empty() => no_partner(&person),
        Some(person) => nothing_there(&person, "/partner"),
    }
}

fn no_member(person: &Person) -> Result<Response, ApiError> {
    let problem = Problem {
        title: "This is the merchants\u{2019} side",
        text: "You are signed in, but you are a member of no workspace. If you are a partner, your own pages are elsewhere.",
        instead: Some(("/partner", "To the partner portal")),
        signed_in: Some(&person.email),
    };
    private(StatusCode::FORBIDDEN, &problem)
}

/// 403 for who is a partner nowhere.
pub fn no_partner(person: &Person) -> Result<Response, ApiError> {
    let problem = Problem {
        title: "No partner has this address",
        text: "You are signed in, but no program knows your address as a partner\u{2019}s. Ask whoever runs it which one they have.",
        instead: (!person.memberships.is_empty()).then_some(("/app", "To your workspaces")),
        signed_in: Some(&person.email),
    };
    private(StatusCode::FORBIDDEN, &problem)
}

/// 404, as a page.
pub fn nothing_there(person: &Person, home: &str) -> Result<Response, ApiError> {
    let problem = Problem {
        title: "There is no such page",
        text: "The address may be mistyped, or what it showed is gone.",
        instead: Some((home, "Back to the start")),
        signed_in: Some(&person.email),
    };
    private(StatusCode::NOT_FOUND, &problem)
}
