//! What only a local server has: the mailbox in which its mail ends, and signing in without it. A deployment has no such paths,
//! and a local server that is reached by another name than loopback's answers as if it had none.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use domain::account::{self, LINK_LIVES_MS};
use http::{StatusCode, Uri};

use super::text::Moment;
use super::{private, query, sign_in};
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::store::{accounts, mails};

/// Letters that the mailbox shows.
const LETTERS_MAX: i64 = 50;

#[derive(Template)]
#[template(path = "dev/mailbox.html")]
struct MailboxPage {
    letters: Vec<Shown>,
}

struct Shown {
    to: String,
    subject: String,
    at: Moment,
    lines: Vec<Line>,
}

/// A line of a letter; one that is an address of this server can be followed.
struct Line {
    text: String,
    is_link: bool,
}

/// The local server's table of routes.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/dev/mailbox", get(mailbox)).route("/dev/sign-in", get(sign_in_now))
}

/// `GET /dev/mailbox`: the newest mail first.
async fn mailbox(State(app): State<Arc<App>>, Extension(call): Extension<Call>) -> Result<Response, ApiError> {
    must_be_loopback(&call)?;
    let rows = app.db.rows(mails::local(LETTERS_MAX)).await?;
    let letters = rows.iter().map(|row| {
        let received = mails::decode_received(row)?;
        let own = format!("{}/", call.origin);
        let line = |text: &str| Line { text: text.to_owned(), is_link: text.starts_with(&own) };
        Ok(Shown {
            lines: received.letter.text.lines().map(line).collect(),
            to: received.letter.to,
            subject: received.letter.subject,
            at: Moment::of(received.created_at),
        })
    });
    let letters = letters.collect::<Result<_, ApiError>>()?;
    private(StatusCode::OK, &MailboxPage { letters })
}

/// `GET /dev/sign-in?email=…&next=…`: signs in anew each time, whoever has the address.
async fn sign_in_now(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    must_be_loopback(&call)?;
    let email = people::normal(&query(&request, "email").unwrap_or_default());
    let next = query(&request, "next");
    let next = next.as_deref().and_then(account::own_path);
    let Some(address) = people::kept_address(&app, &email).await? else { return Err(ApiError::NotFound("address")) };
    if !people::standing(&app, &address, &email, call.now).await?.known {
        return Err(ApiError::NotFound("member or partner with this address"));
    }
    let link = people::token(&app);
    let expires_at = call.now.plus_ms(LINK_LIVES_MS);
    app.db.batch(vec![accounts::insert_link(&link.digest(), &address, next, expires_at, call.now)]).await?;
    let begun = sign_in::begin(&app, &call, request.headers(), &link).await?;
    begun.ok_or_else(|| ApiError::Unavailable("a link was spent before it was given".to_owned()))
}

fn must_be_loopback(call: &Call) -> Result<(), ApiError> {
    let origin: Option<Uri> = call.origin.parse().ok();
    match origin.as_ref().and_then(Uri::host).is_some_and(call::is_loopback) {
        true => Ok(()),
        false => Err(ApiError::NotFound("path")),
    }
}
