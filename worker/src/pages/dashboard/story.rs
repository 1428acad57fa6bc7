//! The page of one conversion: its story as a time line, from the click to the payout, and what can be done about it. Five round
//! trips at most: the session, the story, names, clicks.

use std::collections::BTreeSet;

use askama::Template;
use axum::response::Response;
use domain::sale::ConversionStatus;
use serde_json::{Value as Json, json};

use self::line::Step;
use super::cell::{Cell, Kind, cell, words_of};
use super::desk::Desk;
use super::frame::{Frame, Notice};
use super::list::{self, ActShown};
use super::names::Names;
use super::resource::column;
use super::resources;
use crate::booking;
use crate::error::ApiError;
use crate::pages::text;
use crate::shapes;
use crate::store::clicks;
use crate::store::story::{self as table, Story};

pub mod acts;
pub mod facts;
pub mod line;

/// A line of metadata is shown up to here.
const METADATA_CHARS_MAX: usize = 300;

/// The cells of a commission's row, and what can be done to it.
type CommissionShown = (Vec<(&'static str, Cell)>, Vec<ActShown>);

#[derive(Template)]
#[template(path = "dashboard/story.html")]
struct Page {
    frame: Frame,
    id: String,
    list_href: String,
    status: (String, String),
    facts: Vec<(&'static str, Cell)>,
    metadata: Vec<(String, String)>,
    acts: Vec<ActShown>,
    commissions: Vec<CommissionShown>,
    /// The conversion that this one was merged into.
    merged_into: Option<(String, String)>,
    /// Conversions that were merged into this one.
    merged_here: Vec<(String, String)>,
    steps: Vec<Step>,
}

/// One conversion's story.
pub async fn show(desk: Desk, id: &str, notice: Option<Notice>) -> Result<Response, ApiError> {
    let scope = desk.scope();
    let results = desk.app.db.batch(table::of_conversion(&scope, id)).await?;
    let story = table::decode(results)?.ok_or(ApiError::NotFound("conversion"))?;
    let keys = own_keys(&desk, &story);
    let clicks = clicks_of(&desk, &story).await?;
    let mut named = named(&story);
    named.extend(clicks.iter().map(|click| json!({ "participant_id": click.participant_id })));
    let names = Names::of(&desk, &named).await?;
    let resource = resources::find("conversions")?;
    let shape = shapes::conversion(&story.conversion, scope.mode, story.commission_id.as_deref());
    let back = desk.href(&format!("conversions/{}", story.conversion.id));
    let title = match story.conversion.currency {
        Some(currency) => {
            format!("{}, {}", story.conversion.event_type, text::money(story.conversion.amount_cents, currency))
        }
        None => story.conversion.event_type.clone(),
    };
    let of = |kin: &table::Kin| (desk.href(&format!("conversions/{}", kin.id)), kin.id.clone());
    let is_merged = story.conversion.status == ConversionStatus::Merged;
    let mut same = story.kin.iter().filter(|kin| keys.contains(&kin.anchor));
    let page = Page {
        frame: Frame::of(&desk, resource.nav, title).with_notice(notice),
        id: story.conversion.id.to_string(),
        list_href: desk.href(resource.path),
        status: (story.conversion.status.as_str().to_owned(), words_of(story.conversion.status.as_str())),
        facts: header(&desk, &names, &story, &shape),
        metadata: metadata(&shape["metadata"]),
        acts: list::acts(&desk, resource, &shape, &back),
        commissions: commissions(&desk, &names, &story, &back)?,
        merged_into: same.clone().find(|kin| is_merged && !kin.is_merged).map(of),
        merged_here: same.by_ref().filter(|kin| !is_merged && kin.is_merged).map(of).collect(),
        steps: line::steps(&desk, &names, &story, &clicks, &keys)?,
    };
    super::shown(&desk, &page)
}

/// Every id under which the conversion's sale is known.
fn own_keys(desk: &Desk, story: &Story) -> BTreeSet<String> {
    let facts = story.facts.iter().map(|fact| (fact.said_at, fact.body.clone()));
    booking::sale_keys(facts, &story.conversion.anchor, desk.call.now)
}

/// The clicks that its decisions looked at, where their records are there.
async fn clicks_of(desk: &Desk, story: &Story) -> Result<Vec<clicks::Click>, ApiError> {
    let seen = story.decisions.iter().flat_map(|decision| &decision.inputs.clicks);
    let ids: BTreeSet<&str> = seen.map(|click| click.click_id.as_str()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sought: Vec<_> = ids.into_iter().map(|id| (id, desk.app.secrets.clicked_at(id))).collect();
    let rows = desk.app.db.rows(clicks::by_ids(&desk.scope(), &sought)?).await?;
    Ok(rows.iter().map(clicks::decode).collect::<Result<_, _>>()?)
}

/// Whoever is named anywhere in the story.
fn named(story: &Story) -> Vec<Json> {
    let mut all =
        vec![json!({ "participant_id": story.conversion.participant_id, "program_id": story.conversion.program_id })];
    let mut add = |id: &str| all.push(json!({ "participant_id": id }));
    for commission in &story.commissions {
        add(&commission.participant_id);
    }
    for alert in &story.alerts {
        add(&alert.participant_id);
    }
    for decision in &story.decisions {
        for id in decision.inputs.participants() {
            add(id.as_str());
        }
        if let Some(credit) = &decision.verdict.credit {
            add(credit.participant_id.as_str());
        }
    }
    all
}

fn header(desk: &Desk, names: &Names, story: &Story, shape: &Json) -> Vec<(&'static str, Cell)> {
    let columns = [
        column("Credited to", "/attribution/participant_id", Kind::Participant),
        column("Why", "/attribution/reason", Kind::State),
        column("Amount", "/amount_cents", Kind::Money),
        column("Given back", "/refunded_cents", Kind::Money),
        column("Event", "/event_type", Kind::Text),
        column("Happened", "/occurred_at", Kind::Moment),
        column("Recorded", "/created_at", Kind::Moment),
        column("Source", "/source", Kind::State),
        column("Transaction", "/external_transaction_id", Kind::Id),
        column("Promo code named", "/promo_code", Kind::Id),
        column("Customer", "/customer_id", Kind::Page("customers")),
        column("Your customer", "/customer_external_id", Kind::Id),
        column("Checkout session", "/stripe/session", Kind::Id),
        column("Payment intent", "/stripe/payment_intent", Kind::Id),
        column("Invoice", "/stripe/invoice", Kind::Id),
        column("Subscription", "/stripe/subscription", Kind::Id),
        column("Stripe customer", "/stripe/customer", Kind::Id),
    ];
    let mut facts: Vec<(&'static str, Cell)> = columns
        .iter()
        .filter(|column| column.at != "/refunded_cents" || story.conversion.refunded_cents > 0)
        .map(|column| (column.head, cell(desk, names, "conversions", shape, column.at, column.kind)))
        .filter(|(_, cell)| !matches!(cell, Cell::Empty))
        .collect();
    if story.conversion.participant_id.is_none() {
        facts.insert(0, ("Credited to", Cell::Text("nobody".to_owned())));
    }
    facts.extend(story.request_id.clone().map(|request| ("Request", Cell::Id(request))));
    facts
}

/// What the merchant added: names and values, as text.
fn metadata(metadata: &Json) -> Vec<(String, String)> {
    let value = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let short = |text: String| match text.chars().count() > METADATA_CHARS_MAX {
        true => text.chars().take(METADATA_CHARS_MAX).chain(['…']).collect(),
        false => text,
    };
    let pairs = metadata.as_object().into_iter().flatten();
    pairs.map(|(name, of)| (short(name.clone()), short(value(of)))).collect()
}

fn commissions(desk: &Desk, names: &Names, story: &Story, back: &str) -> Result<Vec<CommissionShown>, ApiError> {
    let resource = resources::find("commissions")?;
    let shown = story.commissions.iter().map(|commission| {
        let shape = shapes::commission(commission, desk.mode);
        let cells = resource
            .columns
            .iter()
            .map(|column| (column.head, cell(desk, names, resource.path, &shape, column.at, column.kind)))
            .collect();
        (cells, list::acts(desk, resource, &shape, back))
    });
    Ok(shown.collect())
}
