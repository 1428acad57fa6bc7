//! What comes of a partner's links: promo codes, clicks by day, conversions.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::attribution::Method;
use domain::ids;

use super::{Asked, Entry, Frame, Pager, cut, enter, here, part_of};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::pages::text::{Moment, money};
use crate::store::conversions::{self, Conversion};
use crate::store::links::{self, PromoCode};
use crate::store::portal as table;

#[derive(Template)]
#[template(path = "partner/codes.html")]
struct Codes {
    frame: Frame,
    codes: Vec<(String, Moment)>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "partner/clicks.html")]
struct Clicks {
    frame: Frame,
    days: Vec<Day>,
    total: i64,
}

struct Day {
    day: String,
    humans: i64,
    machines: i64,
    /// Of the largest day's clicks, in hundredths.
    share: i64,
}

#[derive(Template)]
#[template(path = "partner/conversions.html")]
struct Conversions {
    frame: Frame,
    conversions: Vec<Sale>,
    pager: Pager,
}

struct Sale {
    id: String,
    at: Moment,
    event_type: String,
    amount: String,
    refunded: Option<String>,
    status: &'static str,
    by: &'static str,
    commission_id: Option<String>,
}

/// `GET /partner/codes`.
pub async fn codes(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let page = part_of::<ids::PromoCode>(request.uri())?;
    let mut codes: Vec<PromoCode> = Vec::new();
    if let Some(one) = portal.membership()? {
        let id = one.participant_id.to_string();
        for row in &app.db.rows(links::list_promo_codes(&portal.place()?.scope, Some(&id), &page)).await? {
            codes.push(links::decode_promo_code(row)?);
        }
    }
    let part = cut(codes, &page, portal.href("/codes")?, |code| code.id.as_str());
    super::show(&Codes {
        frame: portal.frame(request.uri(), "Promo codes", "/codes")?,
        codes: part.rows.into_iter().map(|code| (code.code, Moment::of(code.created_at))).collect(),
        pager: part.pager,
    })
}

/// `GET /partner/clicks`: by day, in UTC.
pub async fn clicks(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let mut days = Vec::new();
    if let Some(one) = portal.membership()? {
        let rows = app.db.rows(table::click_days(&portal.place()?.scope, one.participant_id.as_str())).await?;
        for row in &rows {
            let day = table::decode_click_day(row)?;
            days.push(Day {
                day: day.day.to_string().chars().take(10).collect(),
                humans: day.humans,
                machines: day.machines,
                share: 0,
            });
        }
    }
    let most = days.iter().map(|day| day.humans).max().unwrap_or(0).max(1);
    for day in &mut days {
        day.share = day.humans.saturating_mul(100) / most;
    }
    let total = days.iter().map(|day| day.humans).sum();
    super::show(&Clicks { frame: portal.frame(request.uri(), "Clicks", "/clicks")?, days, total })
}

/// `GET /partner/conversions`: those that are credited to them.
pub async fn conversions(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let page = part_of::<ids::Conversion>(request.uri())?;
    let mut found = Vec::new();
    if let Some(one) = portal.membership()? {
        let filter = conversions::Filter { participant_id: Some(one.participant_id.to_string()), ..Default::default() };
        for row in &app.db.rows(conversions::list(&portal.place()?.scope, &filter, &page)).await? {
            let (conversion, commission_id) = conversions::decode(row)?;
            found.push(sale(conversion, commission_id));
        }
    }
    let part = cut(found, &page, portal.href("/conversions")?, |sale| sale.id.as_str());
    super::show(&Conversions {
        frame: portal.frame(request.uri(), "Conversions", "/conversions")?,
        conversions: part.rows,
        pager: part.pager,
    })
}

fn sale(conversion: Conversion, commission_id: Option<String>) -> Sale {
    Sale {
        id: conversion.id.to_string(),
        at: Moment::of(conversion.occurred_at),
        amount: amount(&conversion),
        refunded: conversion
            .currency
            .filter(|_| conversion.refunded_cents > 0)
            .map(|currency| money(conversion.refunded_cents, currency)),
        status: conversion.status.as_str(),
        by: credited_by(conversion.method),
        event_type: conversion.event_type,
        commission_id,
    }
}

/// What was paid; a lead has no amount.
pub fn amount(conversion: &Conversion) -> String {
    match conversion.currency {
        Some(currency) => money(conversion.amount_cents, currency),
        None => "no amount".to_owned(),
    }
}

/// By what a conversion is somebody's, in their words.
pub fn credited_by(method: Option<Method>) -> &'static str {
    match method {
        Some(Method::Click) => "your link",
        Some(Method::PromoCode) => "your promo code",
        Some(Method::Customer) => "a customer whom you won before",
        Some(Method::Manual) => "the merchant, by hand",
        None => "nothing any more",
    }
}
