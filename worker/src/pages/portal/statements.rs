//! Payouts with what they are made of, as pages and as CSV.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use domain::payout::PayoutStatus;

use super::commissions::entry_words;
use super::{Asked, At, Entry, Frame, Pager, cut, decoded, enter, find, here, missing, part_of};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::pages::text::{Moment, money};
use crate::routes::payouts::csv as file;
use crate::store::payouts::{self as table, Payout};
use crate::store::portal;

/// Entries that a page shows; the file holds all of them.
const LINES_SHOWN_MAX: usize = 100;

#[derive(Template)]
#[template(path = "partner/statements.html")]
struct Statements {
    frame: Frame,
    statements: Vec<Shown>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "partner/statement.html")]
struct Statement {
    frame: Frame,
    statement: Shown,
    lines: Vec<Line>,
    left_out: usize,
}

struct Shown {
    id: String,
    amount: String,
    state: &'static str,
    /// What the state means.
    words: &'static str,
    at: Moment,
    settled_at: Option<Moment>,
    entries: i64,
}

struct Line {
    at: Moment,
    commission_id: String,
    amount: String,
    why: &'static str,
}

/// `GET /partner/statements`.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let page = part_of::<ids::Payout>(request.uri())?;
    let place = portal.place()?;
    let mut found = Vec::new();
    if let Some(one) = &place.membership {
        let filter = table::Filter { participant_id: Some(one.participant_id.to_string()), status: None };
        found = decoded(Some(app.db.rows(table::list(&place.scope, &filter, &page)).await?), table::decode)?;
    }
    let part = cut(found, &page, portal.href("/statements")?, |payout| payout.id.as_str());
    super::show(&Statements {
        frame: portal.frame(request.uri(), "Statements", "/statements")?,
        statements: part.rows.iter().map(shown).collect(),
        pager: part.pager,
    })
}

fn shown(payout: &Payout) -> Shown {
    Shown {
        id: payout.id.to_string(),
        amount: money(payout.amount_cents, payout.currency),
        state: payout.status.as_str(),
        words: match payout.status {
            PayoutStatus::Draft => "being made",
            PayoutStatus::Paid => "paid",
            PayoutStatus::Canceled => "canceled",
        },
        at: Moment::of(payout.created_at),
        settled_at: payout.settled_at.map(Moment::of),
        entries: payout.entries,
    }
}

/// `GET /partner/statements/{id}`.
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let owner = portal::owner_of_payout(&id);
    let portal = enter!(find(&app, &call, &Asked::of(&request), At::OwnerOf(owner)).await?);
    let scope = &portal.place()?.scope;
    let lines_max = i64::try_from(LINES_SHOWN_MAX).unwrap_or(i64::MAX);
    let mut read =
        app.db.batch(vec![table::by_id(scope, &id), table::first_lines(scope, &id, lines_max)]).await?.into_iter();
    let Some(payout) = decoded(read.next(), table::decode)?.into_iter().next() else { return missing(&portal) };
    let lines = decoded(read.next(), table::decode_line)?;
    let left_out = usize::try_from(payout.entries).unwrap_or_default().saturating_sub(lines.len());
    let line = |line: table::Line| Line {
        at: Moment::of(line.created_at),
        amount: money(line.amount_cents, payout.currency),
        why: entry_words(&line.kind, line.amount_cents),
        commission_id: line.commission_id,
    };
    super::show(&Statement {
        frame: portal.frame(request.uri(), "Statement", "/statements")?,
        statement: shown(&payout),
        lines: lines.into_iter().take(LINES_SHOWN_MAX).map(line).collect(),
        left_out,
    })
}

/// `GET /partner/statements/{id}/csv`.
pub async fn csv(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let owner = portal::owner_of_payout(&id);
    let portal = enter!(find(&app, &call, &Asked::of(&request), At::OwnerOf(owner)).await?);
    match file::of_one(&app, &portal.place()?.scope, &id).await {
        Err(ApiError::NotFound(_)) => missing(&portal),
        answer => answer,
    }
}
