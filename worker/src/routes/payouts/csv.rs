//! Payouts as CSV (RFC 4180, UTF-8). Text that a person wrote goes through [`csv_cell`], so that no spreadsheet takes it for a
//! formula; amounts are written as numbers, in the major unit with the currency's decimals and beside it as the integer.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use domain::money::Currency;
use domain::payout::csv_cell;
use http::{HeaderValue, StatusCode, header};

use super::filter;
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::routes::listing::{self, Query};
use crate::routes::management;
use crate::store::Scope;
use crate::store::page::Page;
use crate::store::payouts as table;

/// Payouts in one file. What is over goes on at `?cursor=`, with the value of the header `X-Next-Cursor`.
const ROWS_MAX: i64 = 5_000;

const LIST_HEAD: &str = "payout_id,participant_id,program_id,partner_name,partner_email,status,currency,amount,amount_cents,entries,created_at,settled_at";
const ONE_HEAD: &str =
    "payout_id,participant_id,entry_id,commission_id,conversion_id,kind,currency,amount,amount_cents,created_at";

/// `GET …/csv`: a line for each payout, with whom it goes to; narrowed as the list is (`?status=draft`).
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = filter(&mut query);
    let page = Page { limit: ROWS_MAX, ..query.page::<ids::Payout>() };
    query.finish()?;
    let rows = app.db.rows(table::list(&scope, &filter, &page)).await?;
    let shown = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
    let (mut lines, mut last) = (vec![LIST_HEAD.to_owned()], None);
    for row in rows.iter().take(shown) {
        let payout = table::decode(row)?;
        let (name, email) = table::decode_payee(row)?;
        lines.push(line(&[
            payout.id.to_string(),
            payout.participant_id.to_string(),
            payout.program_id.to_string(),
            csv_cell(&name),
            csv_cell(&email),
            payout.status.as_str().to_owned(),
            amounts(payout.currency, payout.amount_cents),
            payout.entries.to_string(),
            payout.created_at.to_string(),
            payout.settled_at.map(|at| at.to_string()).unwrap_or_default(),
        ]));
        last = Some(payout.id.to_string());
    }
    let next = last.filter(|_| rows.len() > shown).map(|id| listing::cursor(&id));
    Ok(file("payouts.csv", &lines, next))
}

/// `GET …/{id}/csv`: a line for each entry that the payout settles.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    of_one(&app, &scope, &id).await
}

/// The file of one payout, for whoever may read it.
pub async fn of_one(app: &App, scope: &Scope, id: &str) -> Result<Response, ApiError> {
    let found = app.db.batch(vec![table::by_id(scope, id), table::lines(scope, id)]).await?;
    let row = found.first().and_then(|rows| rows.first()).ok_or(ApiError::NotFound("payout"))?;
    let payout = table::decode(row)?;
    let mut lines = vec![ONE_HEAD.to_owned()];
    for row in found.get(1).into_iter().flatten() {
        let entry = table::decode_line(row)?;
        lines.push(line(&[
            payout.id.to_string(),
            payout.participant_id.to_string(),
            entry.entry_id,
            entry.commission_id,
            entry.conversion_id,
            entry.kind,
            amounts(payout.currency, entry.amount_cents),
            entry.created_at.to_string(),
        ]));
    }
    Ok(file(&format!("{}.csv", payout.id), &lines, None))
}

/// The cells of currency, amount and integer.
fn amounts(currency: Currency, amount_cents: i64) -> String {
    format!("{currency},{},{amount_cents}", currency.decimal(amount_cents))
}

fn line(cells: &[String]) -> String {
    cells.join(",")
}

fn file(name: &str, lines: &[String], next_cursor: Option<String>) -> Response {
    let mut response = Response::new(axum::body::Body::from(lines.join("\r\n") + "\r\n"));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    if let Some(Ok(value)) = next_cursor.map(|cursor| HeaderValue::from_str(&cursor)) {
        headers.insert("x-next-cursor", value);
    }
    response
}
