//! The overview: what happened in some days, what waits for somebody, and what is newest. It reads daily totals and no rows, so that
//! it takes no longer in a large workspace.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Request;
use axum::response::Response;
use domain::money::Currency;

use super::chart::{Chart, Series};
use super::desk::Desk;
use super::frame::Frame;
use super::live::{self, Live};
use crate::error::ApiError;
use crate::pages::{query, text};
use crate::store::totals::{self, Earned, Span, WAITING_MAX, Waiting};
use crate::store::{DbError, Row};

/// How many days can be looked at, and how many are where the address does not say.
const SPANS_DAYS: [i64; 3] = [7, 30, 90];
const SPAN_DAYS_DEFAULT: i64 = 30;
/// Currencies that are drawn; of all of them there is a line in the table.
const CURRENCIES_DRAWN: usize = 4;

#[derive(Template)]
#[template(path = "dashboard/overview.html")]
struct Overview {
    frame: Frame,
    spans: Vec<(i64, String, bool)>,
    days: i64,
    figures: Vec<Figure>,
    money: Vec<MoneyRow>,
    waits: Vec<Wait>,
    charts: Vec<ChartShown>,
    live: String,
    is_new: bool,
}

/// A number and what it counts.
struct Figure {
    name: &'static str,
    value: i64,
    /// A line below it.
    sub: String,
    href: String,
}

/// What commissions in one currency come to.
struct MoneyRow {
    currency: Currency,
    earned: String,
    pending: String,
    approved: String,
    paid: String,
    rejected: String,
}

/// Something that waits for somebody.
struct Wait {
    count: String,
    what: &'static str,
    href: String,
}

struct ChartShown {
    chart: Chart,
    svg: String,
}

/// `GET /app/{workspace_id}/{mode}`, with `?days=7`, `30` or `90`.
pub async fn show(desk: Desk, request: Request) -> Result<Response, ApiError> {
    let asked = query(&request, "days").and_then(|days| days.parse().ok());
    let days = asked.filter(|days| SPANS_DAYS.contains(days)).unwrap_or(SPAN_DAYS_DEFAULT);
    let (scope, span) = (desk.scope(), Span::ending(desk.call.now.day(), days));
    let mut batch = vec![
        totals::clicks(&scope, span),
        totals::conversions(&scope, span),
        totals::commissions(&scope, span),
        totals::waiting(&scope),
    ];
    let own = batch.len();
    batch.extend(live::reads(&desk));
    let found = desk.app.db.batch(batch).await?;
    let (found, newest) = found.split_at_checked(own).unwrap_or_default();
    let [clicks, conversions, commissions, waiting] = found else {
        return Err(ApiError::Internal("a batch of seven gave another number of results".to_owned()));
    };
    let totals = Totals::read(span, clicks, conversions, commissions)?;
    let waiting = waiting.first().map(totals::decode_waiting).transpose()?.unwrap_or_default();
    let live = Live::of(&desk, newest).await?.render();
    let live = live.map_err(|error| ApiError::Internal(format!("a page could not be rendered: {error}")))?;
    let overview = Overview {
        frame: Frame::of(&desk, "", "Overview"),
        spans: SPANS_DAYS.map(|one| (one, format!("{}?days={one}", desk.href("")), one == days)).to_vec(),
        days,
        figures: totals.figures(&desk),
        money: totals.money(),
        waits: waits(&desk, &waiting),
        is_new: totals.are_nothing(),
        charts: totals.charts(),
        live,
    };
    super::shown(&desk, &overview)
}

/// What some days come to.
struct Totals {
    span: Span,
    people: Vec<i64>,
    machines: i64,
    credited: Vec<i64>,
    uncredited: Vec<i64>,
    /// Of each currency, the sum and each day's earnings.
    commissions: BTreeMap<Currency, (Earned, Vec<i64>)>,
}

impl Totals {
    fn read(span: Span, clicks: &[Row], conversions: &[Row], commissions: &[Row]) -> Result<Self, DbError> {
        let days = usize::try_from(span.last - span.first + 1).unwrap_or(0);
        let none = || vec![0; days];
        let mut totals = Self {
            span,
            people: none(),
            machines: 0,
            credited: none(),
            uncredited: none(),
            commissions: BTreeMap::new(),
        };
        for row in clicks {
            let (day, people, machines) = totals::decode_clicks(row)?;
            put(&mut totals.people, span, day, people);
            totals.machines += machines;
        }
        for row in conversions {
            let (day, credited, uncredited) = totals::decode_conversions(row)?;
            put(&mut totals.credited, span, day, credited);
            put(&mut totals.uncredited, span, day, uncredited);
        }
        for row in commissions {
            let (day, earned) = totals::decode_commissions(row)?;
            let (sum, daily) =
                totals.commissions.entry(earned.currency).or_insert((Earned::nothing(earned.currency), none()));
            *sum = sum.plus(&earned);
            put(daily, span, day, earned.earned_cents());
        }
        Ok(totals)
    }

    fn are_nothing(&self) -> bool {
        let all = [&self.people, &self.credited, &self.uncredited];
        self.commissions.is_empty() && all.into_iter().flatten().all(|value| *value == 0)
    }

    fn figures(&self, desk: &Desk) -> Vec<Figure> {
        let (people, credited, uncredited) = (sum(&self.people), sum(&self.credited), sum(&self.uncredited));
        let figure = |name, value, sub: String, page: &str| Figure { name, value, sub, href: desk.href(page) };
        vec![
            figure("Clicks", people, format!("and {} of robots", self.machines), "clicks?human=true"),
            figure("Conversions", credited + uncredited, "of all kinds".to_owned(), "conversions"),
            figure("Credited", credited, share(credited, people), "conversions"),
            figure("Not credited", uncredited, "each has its reason".to_owned(), "attribution-audit"),
        ]
    }

    fn money(&self) -> Vec<MoneyRow> {
        let row = |(currency, (sum, _)): (&Currency, &(Earned, Vec<i64>))| {
            let shown = |cents| text::money(cents, *currency);
            MoneyRow {
                currency: *currency,
                earned: shown(sum.earned_cents()),
                pending: shown(sum.pending_cents),
                approved: shown(sum.approved_cents),
                paid: shown(sum.paid_cents),
                rejected: shown(sum.rejected_cents),
            }
        };
        self.commissions.iter().map(row).collect()
    }

    fn charts(self) -> Vec<ChartShown> {
        let first_day = self.span.first;
        let counted = |title: &str, series| Chart {
            title: title.to_owned(),
            first_day,
            series,
            written: Box::new(|value| value.to_string()),
        };
        let mut charts = vec![
            counted("Clicks", vec![Series { name: "by people", values: self.people }]),
            counted(
                "Conversions",
                vec![
                    Series { name: "credited", values: self.credited },
                    Series { name: "not credited", values: self.uncredited },
                ],
            ),
        ];
        let mut currencies: Vec<_> = self.commissions.into_iter().collect();
        // Amounts of two currencies say nothing of each other: those with most days come first.
        currencies.sort_by_key(|(_, (_, daily))| daily.iter().filter(|value| **value == 0).count());
        charts.extend(currencies.into_iter().take(CURRENCIES_DRAWN).map(|(currency, (_, daily))| Chart {
            title: format!("Commissions in {currency}"),
            first_day,
            series: vec![Series { name: "earned", values: daily }],
            written: Box::new(move |value| text::money(value, currency)),
        }));
        charts.into_iter().map(|chart| ChartShown { svg: chart.svg(), chart }).collect()
    }
}

fn put(days: &mut [i64], span: Span, day: i64, value: i64) {
    let place = usize::try_from(day - span.first).ok();
    if let Some(slot) = place.and_then(|place| days.get_mut(place)) {
        *slot = slot.saturating_add(value);
    }
}

fn sum(days: &[i64]) -> i64 {
    days.iter().fold(0, |sum, day| sum.saturating_add(*day))
}

/// How many there are for each click, to a tenth of a percent.
fn share(credited: i64, clicks: i64) -> String {
    if clicks <= 0 || credited < 0 || credited > clicks {
        return "to a partner".to_owned();
    }
    format!("{} of the clicks", text::percent(credited.saturating_mul(1_000) / clicks * 10))
}

fn waits(desk: &Desk, waiting: &Waiting) -> Vec<Wait> {
    let all = [
        (waiting.reviews, ["commission to review", "commissions to review"], "review"),
        (waiting.applications, ["partner applied", "partners applied"], "participants?status=pending"),
        (waiting.questions, ["question of a partner", "questions of partners"], "questions?status=open"),
        (waiting.alerts, ["open fraud alert", "open fraud alerts"], "fraud-alerts?status=open"),
        (waiting.unmatched_refunds, ["refund of no known sale", "refunds of no known sale"], "refunds?matched=false"),
        (waiting.failed_events, ["Stripe event failed", "Stripe events failed"], "stripe-events?outcome=failed"),
        (
            waiting.parked_events,
            ["Stripe event waits for its sale", "Stripe events wait for their sale"],
            "stripe-events?outcome=parked",
        ),
        (waiting.dead_letters, ["webhook given up", "webhooks given up"], "webhook-deliveries?status=dead_letter"),
        (waiting.disabled_endpoints, ["webhook endpoint disabled", "webhook endpoints disabled"], "webhook-endpoints"),
    ];
    all.into_iter()
        .filter(|(count, _, _)| *count > 0)
        .map(|(count, [one, several], page)| Wait {
            what: if count == 1 { one } else { several },
            count: if count >= WAITING_MAX { format!("{WAITING_MAX} or more") } else { count.to_string() },
            href: desk.href(page),
        })
        .collect()
}
