//! Payouts: what is due in all programs, the page of one payout, and both as files.

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::response::Response;
use bytes::Bytes;
use domain::mode::Mode;
use domain::money::Currency;
use domain::payout::PayoutStatus;
use futures_util::{StreamExt, stream};
use http::Method;
use http::response::Parts;
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};

use super::cell::{Cell, Kind, cell, words_of};
use super::desk::Desk;
use super::frame::{Frame, Notice};
use super::list::{self, ActShown};
use super::names::Names;
use super::object::segment;
use super::resource::column;
use super::resources;
use super::story::{acts, line};
use crate::error::ApiError;
use crate::pages::text::{self, Moment};
use crate::shapes;
use crate::store::acts as acts_table;
use crate::store::payouts as table;

/// Entries that the page shows; its file has them all.
const LINES_MAX: i64 = 100;
/// Parts of the API's file that are put together: each is 5,000 payouts.
const CSV_PARTS_MAX: usize = 10;
/// Where the API says where the next part begins.
const NEXT_CURSOR: &str = "x-next-cursor";
/// Participants whose balances a page shows.
const BALANCES: usize = 25;

#[derive(Template)]
#[template(path = "dashboard/payout.html")]
struct One {
    frame: Frame,
    id: String,
    list_href: String,
    csv_href: String,
    facts: Vec<(&'static str, Cell)>,
    acts: Vec<ActShown>,
    lines: Vec<Line>,
    has_more: bool,
    sum: String,
    done: Vec<acts::Done>,
}

struct Line {
    moment: Moment,
    kind: String,
    commission: Cell,
    conversion: Cell,
    amount: String,
}

/// One payout: whom it goes to, and each entry that it settles.
pub async fn show(desk: Desk, id: &str, notice: Option<Notice>) -> Result<Response, ApiError> {
    let resource = resources::find("payouts")?;
    let scope = desk.scope();
    let reads = vec![
        table::by_id(&scope, id),
        table::first_lines(&scope, id, LINES_MAX + 1),
        acts_table::of_subject(&scope, id),
    ];
    let mut results = desk.app.db.batch(reads).await?.into_iter();
    let found = results.next().unwrap_or_default();
    let row = found.first().ok_or(ApiError::NotFound("payout"))?;
    let (payout, (name, email)) = (table::decode(row)?, table::decode_payee(row)?);
    let settled = results.next().unwrap_or_default();
    let settled = settled.iter().map(table::decode_line).collect::<Result<Vec<_>, _>>()?;
    let mut done = Vec::new();
    for row in &results.next().unwrap_or_default() {
        done.push(acts::done(&desk, &acts_table::decode(row)?)?);
    }
    let shape = shapes::payouts::payout(&payout, scope.mode);
    let names = Names::of(&desk, std::slice::from_ref(&shape)).await?;
    let sum = text::money(payout.amount_cents, payout.currency);
    let shown = usize::try_from(LINES_MAX).unwrap_or(usize::MAX);
    let own = desk.href(&format!("{}/{}", resource.path, payout.id));
    let page = One {
        frame: Frame::of(&desk, resource.nav, format!("Payout of {sum} to {name}")).with_notice(notice),
        id: payout.id.to_string(),
        list_href: desk.href(resource.path),
        csv_href: format!("{own}/csv"),
        facts: facts(&desk, &names, &shape, email),
        acts: list::acts(&desk, resource, &shape, &own),
        has_more: settled.len() > shown,
        lines: settled.into_iter().take(shown).map(|line| shown_line(&desk, line, payout.currency)).collect(),
        sum,
        done,
    };
    super::shown(&desk, &page)
}

fn facts(desk: &Desk, names: &Names, shape: &Json, email: String) -> Vec<(&'static str, Cell)> {
    let columns = [
        column("To", "/participant_id", Kind::Participant),
        column("Status", "/status", Kind::State),
        column("Amount", "/amount_cents", Kind::Money),
        column("Program", "/program_id", Kind::Program),
        column("Entries", "/entries", Kind::Text),
        column("Drafted", "/created_at", Kind::Moment),
        column("Paid", "/paid_at", Kind::Moment),
        column("Canceled", "/canceled_at", Kind::Moment),
    ];
    let mut facts: Vec<(&'static str, Cell)> = columns
        .iter()
        .map(|column| (column.head, cell(desk, names, "payouts", shape, column.at, column.kind)))
        .filter(|(_, cell)| !matches!(cell, Cell::Empty))
        .collect();
    facts.insert(1, ("E-mail", Cell::Text(email)));
    facts
}

fn shown_line(desk: &Desk, of: table::Line, currency: Currency) -> Line {
    let link = |page: &str, id: String| Cell::Link {
        href: desk.href(&format!("{page}/{id}")),
        text: id,
        sub: String::new(),
        is_id: true,
    };
    Line {
        moment: Moment::of(of.created_at),
        kind: words_of(&of.kind),
        commission: link("commissions", of.commission_id),
        conversion: link("conversions", of.conversion_id),
        amount: line::signed(of.amount_cents, currency),
    }
}

/// `GET …/payouts/{id}/csv`: a line for each entry, as the API writes it.
pub async fn csv_of_one(desk: Desk, Path((_, _, id)): Path<(String, String, String)>) -> Result<Response, ApiError> {
    desk.fetch(Method::GET, &format!("/payouts/{}/csv", segment(&id)), None).await
}

/// A line for each payout with whom it goes to, as the API writes it: for a bank, the drafts. The API's parts are sent one after
/// another, so that no more than one is held; what is over after the last one is said in the last line.
pub async fn csv_of_all(desk: Desk, query: String) -> Result<Response, ApiError> {
    // Read before the answer begins: a filter that is refused is a refusal and no broken file.
    let (mut head, first, next) = csv_part(&desk, &query, None).await?;
    head.headers.remove(NEXT_CURSOR);
    let rest = stream::try_unfold((desk, query, next, 1), |(desk, query, cursor, parts)| async move {
        let Some(cursor) = cursor else { return Ok(None) };
        if parts == CSV_PARTS_MAX {
            let cut = Bytes::from_static(b"\"there are more payouts: narrow the list and export it in parts\"\r\n");
            return Ok(Some((cut, (desk, query, None, parts))));
        }
        let part = csv_part(&desk, &query, Some(&cursor)).await;
        let (_, bytes, next) = part.map_err(|error| std::io::Error::other(error.message()))?;
        // Each part begins with the names of the columns.
        let names = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
        Ok(Some((bytes.slice(names..), (desk, query, next, parts + 1))))
    });
    let first = stream::once(std::future::ready(Ok::<Bytes, std::io::Error>(first)));
    Ok(Response::from_parts(head, Body::from_stream(first.chain(rest))))
}

/// A part of the API's file, and where the next one begins.
async fn csv_part(desk: &Desk, query: &str, cursor: Option<&str>) -> Result<(Parts, Bytes, Option<String>), ApiError> {
    let from = cursor.map(|cursor| format!("&cursor={}", segment(cursor))).unwrap_or_default();
    let response = desk.fetch(Method::GET, &format!("/payouts/csv?{query}{from}"), None).await?;
    let (head, body) = response.into_parts();
    let next = head.headers.get(NEXT_CURSOR).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body =
        body.collect().await.map_err(|error| ApiError::Internal(format!("a file could not be read: {error}")))?;
    Ok((head, body.to_bytes(), next))
}

#[derive(Template)]
#[template(path = "dashboard/balances.html")]
struct Balances {
    frame: Frame,
    is_live: bool,
    list_href: String,
    drafts_csv_href: String,
    totals: Vec<Total>,
    people: Vec<Balance>,
    next_href: Option<String>,
}

/// What is earned in a program, in one currency.
struct Total {
    program: Cell,
    pending: String,
    due: String,
    disputed: String,
    drafted: String,
    paid: String,
    draft_href: Option<String>,
}

/// What one participant has in one currency.
struct Balance {
    of: Cell,
    status: (String, String),
    unsettled: String,
    drafted: String,
    paid: String,
    minimum: String,
}

/// `GET …/payouts/balances`: what is earned in each program, and what is due and what is carried of each participant.
pub async fn balances(desk: Desk, request: Request) -> Result<Response, ApiError> {
    let resource = resources::find("payouts")?;
    let cursor = crate::pages::query(&request, "cursor");
    let rows = desk.app.db.rows(table::totals(&desk.scope())).await?;
    let totals = rows.iter().map(table::decode_total).collect::<Result<Vec<_>, _>>()?;
    let from = cursor.map(|cursor| format!("&cursor={}", segment(&cursor))).unwrap_or_default();
    let page = desk.get(&format!("/payouts/balances?limit={BALANCES}{from}")).await?;
    let people: Vec<Json> = page["data"].as_array().cloned().unwrap_or_default();
    let mut named = people.clone();
    named.extend(totals.iter().map(|total| json!({ "program_id": total.program_id })));
    let names = Names::of(&desk, &named).await?;
    let may_draft = desk.may_change() && desk.mode == Mode::Live;
    let shown = Balances {
        frame: Frame::of(&desk, "payouts/balances", "What is due"),
        is_live: desk.mode == Mode::Live,
        list_href: desk.href(resource.path),
        drafts_csv_href: desk.href(&format!("payouts/csv?status={}", PayoutStatus::Draft.as_str())),
        totals: totals
            .into_iter()
            .map(|total| Total {
                program: cell(&desk, &names, "", &json!({ "id": total.program_id }), "/id", Kind::Program),
                pending: text::money(total.pending_cents, total.currency),
                due: text::money(total.due_cents, total.currency),
                disputed: text::money(total.disputed_cents, total.currency),
                drafted: text::money(total.drafted_cents, total.currency),
                paid: text::money(total.paid_cents, total.currency),
                draft_href: (may_draft && total.due_cents > 0)
                    .then(|| desk.href(&format!("payouts/new?program_id={}", total.program_id))),
            })
            .collect(),
        people: people.iter().flat_map(|one| of_participant(&desk, &names, one)).collect(),
        next_href: page["next_cursor"]
            .as_str()
            .map(|cursor| desk.href(&format!("payouts/balances?cursor={}", segment(cursor)))),
    };
    super::shown(&desk, &shown)
}

fn of_participant(desk: &Desk, names: &Names, one: &Json) -> Vec<Balance> {
    let balances = one["balances"].as_array().into_iter().flatten();
    let shown = balances.map(|balance| {
        let money = |name: &str| super::cell::money(balance, &balance[name]).unwrap_or_default();
        let status = balance["status"].as_str().unwrap_or_default();
        Balance {
            of: cell(desk, names, "", one, "/participant_id", Kind::Participant),
            status: (status.to_owned(), words_of(status)),
            unsettled: money("unsettled_cents"),
            drafted: money("drafted_cents"),
            paid: money("paid_cents"),
            minimum: money("minimum_payout_cents"),
        }
    });
    shown.collect()
}
