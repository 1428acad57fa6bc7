//! The page of one commission: its entries, each with what caused it and in which payout it is, and what people did to it.

use askama::Template;
use axum::response::Response;
use domain::money::Currency;
use domain::time::Instant;

use super::cell::{Cell, Kind, cell};
use super::desk::Desk;
use super::frame::{Frame, Notice};
use super::list::{self, ActShown};
use super::names::Names;
use super::resource::column;
use super::resources;
use super::story::{acts, facts, line};
use crate::error::ApiError;
use crate::pages::text::{self, Moment};
use crate::shapes;
use crate::store::story::{self as table, Earned};

#[derive(Template)]
#[template(path = "dashboard/commission.html")]
struct Page {
    frame: Frame,
    id: String,
    list_href: String,
    facts: Vec<(&'static str, Cell)>,
    acts: Vec<ActShown>,
    entries: Vec<EntryShown>,
    sum: String,
    done: Vec<Done>,
    payouts: Vec<(String, String, String, String)>,
}

struct EntryShown {
    moment: Moment,
    what: &'static str,
    kind: String,
    cause: Cell,
    amount: String,
}

/// Something that somebody did.
struct Done {
    moment: Moment,
    title: &'static str,
    lines: Vec<(&'static str, Cell)>,
}

/// One commission.
pub async fn show(desk: Desk, id: &str, notice: Option<Notice>) -> Result<Response, ApiError> {
    let resource = resources::find("commissions")?;
    let results = desk.app.db.batch(table::of_commission(&desk.scope(), id)).await?;
    let earned = table::decode_earned(results)?.ok_or(ApiError::NotFound("commission"))?;
    let commission = &earned.commission;
    let shape = shapes::commission(commission, desk.mode);
    let names = Names::of(&desk, std::slice::from_ref(&shape)).await?;
    let currency = Currency::parse(&commission.currency)
        .map_err(|_| ApiError::Internal("commissions: currency is none of ISO 4217".to_owned()))?;
    let sum = text::money(commission.entries.iter().map(|entry| entry.amount_cents).sum(), currency);
    let columns = [
        column("Participant", "/participant_id", Kind::Participant),
        column("Program", "/program_id", Kind::Program),
        column("Conversion", "/conversion_id", Kind::Page("conversions")),
        column("State", "/state", Kind::State),
        column("Waits for review because of", "/review_reasons", Kind::Words),
        column("Disputed", "/disputed", Kind::Flag("disputed")),
        column("Held until", "/hold_until", Kind::Moment),
        column("Reward version", "/reward_version", Kind::Id),
        column("Made", "/created_at", Kind::Moment),
    ];
    let back = desk.href(&format!("{}/{}", resource.path, commission.id));
    let page = Page {
        frame: Frame::of(&desk, resource.nav, format!("Commission of {sum}")).with_notice(notice),
        id: commission.id.clone(),
        list_href: desk.href(resource.path),
        facts: columns
            .iter()
            .filter(|column| column.at != "/review_reasons" || !commission.needs_review.is_empty())
            .map(|column| (column.head, cell(&desk, &names, resource.path, &shape, column.at, column.kind)))
            .filter(|(_, cell)| !matches!(cell, Cell::Empty))
            .collect(),
        acts: list::acts(&desk, resource, &shape, &back),
        entries: entries(&earned, currency),
        sum,
        done: done(&desk, &earned)?,
        payouts: earned
            .settled
            .iter()
            .map(|settled| {
                let href = desk.href(&format!("payouts/{}", settled.payout_id));
                let amount = text::money(settled.amount_cents, currency);
                (href, settled.payout_id.clone(), settled.status.clone(), amount)
            })
            .collect(),
    };
    super::shown(&desk, &page)
}

fn entries(earned: &Earned, currency: Currency) -> Vec<EntryShown> {
    let shown = earned.commission.entries.iter().enumerate().map(|(place, entry)| EntryShown {
        moment: Moment::of(Instant::from_ms(entry.created_at)),
        what: line::entry_title(&entry.kind, place == 0),
        kind: entry.kind.clone(),
        cause: cause(earned, &entry.cause),
        amount: line::signed(entry.amount_cents, currency),
    });
    shown.collect()
}

/// What caused an entry: a fact, a person's act with its reason, or that time passed.
fn cause(earned: &Earned, cause: &str) -> Cell {
    let fact = earned.causes.iter().find(|fact| fact.id == cause);
    let act = earned.acts.iter().find(|act| act.id == cause);
    match (fact, act) {
        (Some(fact), _) => Cell::Text(facts::told(&fact.body, None).title.to_owned()),
        (None, Some(act)) => Cell::Text(match &act.reason {
            Some(reason) => format!("{}: {reason}", acts::title(&act.kind)),
            None => acts::title(&act.kind).to_owned(),
        }),
        (None, None) if cause == "time" => Cell::Text("Time passed".to_owned()),
        (None, None) if cause.starts_with("act_") => Cell::Text(acts::title("conversion.attribute").to_owned()),
        (None, None) => Cell::Id(cause.to_owned()),
    }
}

fn done(desk: &Desk, earned: &Earned) -> Result<Vec<Done>, ApiError> {
    let shown = earned.acts.iter().map(|act| {
        let (moment, title) = (Moment::of(act.created_at), acts::title(&act.kind));
        Ok(Done { moment, title, lines: acts::lines(desk, act)? })
    });
    shown.collect()
}
