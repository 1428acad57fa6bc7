//! Everything that is held of one address as a partner, as JSON: what they see in the portal, and what they said.

use domain::time::Instant;
use serde_json::{Value as Json, json};

use super::payee;
use crate::app::App;
use crate::error::ApiError;
use crate::shapes;
use crate::store::conversions::{self, Conversion};
use crate::store::notices::{self, Notice};
use crate::store::page::Page;
use crate::store::payouts::{self, Payout};
use crate::store::portal::{self, Place};
use crate::store::questions::{self, Question};
use crate::store::{DbError, Row, Statement, commissions, links, partners};

/// Rows of one read.
const ROWS_PER_READ: i64 = 1_000;
/// Reads of one list: more than any partner has, so that one export cannot go on for ever.
const READS_PER_LIST_MAX: usize = 50;

/// All of it.
pub async fn everything(
    app: &App,
    email: &str,
    places: &[Place],
    origin: &str,
    now: Instant,
) -> Result<Json, ApiError> {
    let mut shown: Vec<Json> = Vec::new();
    let mut last = None;
    for place in places {
        if last.as_ref() != Some(&place.partner_id) {
            shown.push(partner(app, place).await?);
            last = Some(place.partner_id.clone());
        }
        if let Some(membership) = membership(app, place, origin).await?
            && let Some(memberships) = shown.last_mut().and_then(|one| one["memberships"].as_array_mut())
        {
            memberships.push(membership);
        }
    }
    Ok(json!({ "exported_at": now.to_string(), "email": email, "partners": shown }))
}

async fn partner(app: &App, place: &Place) -> Result<Json, ApiError> {
    let (scope, id) = (&place.scope, place.partner_id.as_str());
    let payee = payee::read(app, scope, id).await?.unwrap_or_default();
    let reader = app.db.rows(notices::reader(id)).await?;
    let reader = reader.first().map(notices::decode_reader).transpose()?;
    let told = all(app, |page| notices::list(scope, id, None, page), notices::decode, |one| one.id.clone()).await?;
    Ok(json!({
        "id": place.partner_id, "mode": scope.mode, "name": place.partner_name,
        "workspace": { "id": scope.workspace_id, "name": place.workspace_name },
        "payout": payee.way.map(|way| json!({ "method": way.method, "details": way.details })),
        "tax_id": payee.tax_id,
        "not_mailed": reader.map(|reader| reader.unmailed),
        "notices": told.iter().map(notice).collect::<Vec<_>>(),
        "memberships": [],
    }))
}

async fn membership(app: &App, place: &Place, origin: &str) -> Result<Option<Json>, ApiError> {
    let Some(membership) = &place.membership else { return Ok(None) };
    let scope = &place.scope;
    let id = membership.participant_id.to_string();
    let said = app.db.rows(partners::participant_by_id(scope, &id)).await?;
    let said = said.first().map(partners::decode_participant).transpose()?;
    let own_links =
        all(app, |page| links::list(scope, Some(&id), None, page), links::decode, |link| link.id.to_string()).await?;
    let codes = all(
        app,
        |page| links::list_promo_codes(scope, Some(&id), page),
        links::decode_promo_code,
        |code| code.id.to_string(),
    )
    .await?;
    let days = app.db.rows(portal::click_days(scope, &id)).await?;
    let days = days.iter().map(portal::decode_click_day).collect::<Result<Vec<_>, _>>()?;
    let days = days.iter().map(|day| {
        let date: String = day.day.to_string().chars().take(10).collect();
        json!({ "day": date, "clicks": day.humans, "not_counted": day.machines })
    });
    let filter = conversions::Filter { participant_id: Some(id.clone()), ..Default::default() };
    let sales = all(
        app,
        |page| conversions::list(scope, &filter, page),
        |row| conversions::decode(row).map(|(conversion, _)| conversion),
        |conversion| conversion.id.to_string(),
    )
    .await?;
    let filter = commissions::Filter { participant_id: Some(id.clone()), ..Default::default() };
    let earned =
        all(app, |page| commissions::list(scope, &filter, page), commissions::decode, |one| one.id.clone()).await?;
    let filter = payouts::Filter { participant_id: Some(id.clone()), ..Default::default() };
    let paid = all(app, |page| payouts::list(scope, &filter, page), payouts::decode, |one| one.id.to_string()).await?;
    let filter = questions::Filter { participant_id: Some(id.clone()), ..Default::default() };
    let asked =
        all(app, |page| questions::list(scope, &filter, page), questions::decode, |one| one.id.to_string()).await?;
    Ok(Some(json!({
        "participant_id": id, "status": membership.status.as_str(), "since": membership.created_at.to_string(),
        "program": { "id": membership.program_id, "name": membership.program_name },
        "application": said.and_then(|said| said.application),
        "links": own_links.iter().map(|link| shapes::link(link, scope.mode, origin)).collect::<Vec<_>>(),
        "promo_codes": codes.iter().map(|code| shapes::promo_code(code, scope.mode)).collect::<Vec<_>>(),
        "clicks": days.collect::<Vec<_>>(),
        "conversions": sales.iter().map(conversion).collect::<Vec<_>>(),
        "commissions": earned.iter().map(|one| shapes::commission(one, scope.mode)).collect::<Vec<_>>(),
        "payouts": paid.iter().map(|one: &Payout| shapes::payouts::payout(one, scope.mode)).collect::<Vec<_>>(),
        "questions": asked.iter().map(question).collect::<Vec<_>>(),
    })))
}

/// A whole list, page by page.
async fn all<T>(
    app: &App,
    list: impl Fn(&Page) -> Statement,
    decode: impl Fn(&Row) -> Result<T, DbError>,
    id: impl Fn(&T) -> String,
) -> Result<Vec<T>, ApiError> {
    let mut found: Vec<T> = Vec::new();
    for _ in 0..READS_PER_LIST_MAX {
        let page = Page { limit: ROWS_PER_READ - 1, after: found.last().map(&id) };
        let rows = app.db.rows(list(&page)).await?;
        for row in &rows {
            found.push(decode(row)?);
        }
        if i64::try_from(rows.len()).unwrap_or(0) < ROWS_PER_READ {
            break;
        }
    }
    Ok(found)
}

/// A sale as its partner sees it: nothing of who bought.
fn conversion(conversion: &Conversion) -> Json {
    json!({
        "id": conversion.id, "event_type": conversion.event_type, "status": conversion.status.as_str(),
        "amount_cents": conversion.amount_cents, "currency": conversion.currency,
        "refunded_cents": conversion.refunded_cents, "occurred_at": conversion.occurred_at.to_string(),
        "credited_by": conversion.method.map(|method| method.as_str()), "reason": conversion.reason.as_str(),
        "promo_code": conversion.attributed_promo_code, "created_at": conversion.created_at.to_string(),
    })
}

fn question(question: &Question) -> Json {
    json!({
        "id": question.id, "external_transaction_id": question.external_transaction_id,
        "happened_on": question.happened_on, "conversion_id": question.conversion_id, "text": question.text,
        "status": question.status.as_str(), "answer": question.answer,
        "answered_at": question.answered_at.map(|at| at.to_string()), "created_at": question.created_at.to_string(),
    })
}

fn notice(notice: &Notice) -> Json {
    json!({
        "id": notice.id, "kind": notice.kind.as_str(), "subject": notice.subject, "amount_cents": notice.amount_cents,
        "currency": notice.currency, "reason": notice.reason, "created_at": notice.created_at.to_string(),
    })
}
