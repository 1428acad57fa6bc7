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
    is_operator: bool,
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
    let is_operator = app.config.is_operator(&person.email);
    if person.memberships.is_empty() && !is_operator {
        return no_member(&person);
    }
    let is_partner = !person.partnerships(&app).await?.is_empty();
    private(StatusCode::OK, &Workspaces { person: &person, memberships: &person.memberships, is_partner, is_operator })
}

/// Whatever no route names: 404, and under `/app` and `/partner` a page; there also to sign in, and 403 for who is on the wrong
/// side.
pub async fn elsewhere(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let path = request.uri().path();
    let (is_merchants, is_partners) = (path.starts_with("/app/"), path.starts_with("/partner/"));
    if !is_merchants && !is_partners {
        return Err(ApiError::NotFound("path"));
    }
    let Some(person) = people::session(&app, &call, request.headers()).await? else {
        return sign_in::first(request.method(), request.uri());
    };
    if is_merchants && person.memberships.is_empty() {
        return no_member(&person);
    }
    if is_partners && person.partnerships(&app).await?.is_empty() {
        return no_partner(&person);
    }
    nothing_there(&person, if is_merchants { "/app" } else { "/partner" })
}

/// 403 for who is a member of no workspace.
pub fn no_member(person: &Person) -> Result<Response, ApiError> {
    let problem = Problem {
        title: "This is the merchants\u{2019} side",
        text: "You are signed in, but you are a member of no workspace. If you are a partner, your own pages are elsewhere.",
        instead: Some(("/partner", "To the partner portal")),
        signed_in: Some(&person.email),
    };
    private(StatusCode::FORBIDDEN, &problem)
}

/// 403 for a member of a workspace that the operator has suspended.
pub fn suspended(person: &Person) -> Result<Response, ApiError> {
    let problem = Problem {
        title: "This workspace is suspended",
        text: "Whoever runs this deployment has suspended it, and can say why. Nothing is deleted: sales that Stripe reports are still \
            taken down, and links lead where they led, but no click counts and no key works until it is resumed.",
        instead: Some(("/app", "To your workspaces")),
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
