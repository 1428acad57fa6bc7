//! The time line of a conversion: what happened, one step after the other. A decision's words come from its verdict.

use std::collections::BTreeSet;

use domain::attribution::{Candidate, Inputs, Outcome, Sighting};
use domain::fraud::Rule;
use domain::money::Currency;
use domain::time::Instant;
use serde_json::json;

use super::super::cell::{Cell, Kind, cell, words_of};
use super::super::desk::Desk;
use super::super::names::Names;
use super::{acts, facts};
use crate::error::ApiError;
use crate::pages::text::{self, Moment};
use crate::shapes;
use crate::store::clicks::Click;
use crate::store::commissions::Commission;
use crate::store::conversions::Decision;
use crate::store::story::{Settled, Story, Told};

/// One step.
pub struct Step {
    /// When.
    pub moment: Moment,
    /// What kind it is, for its mark: `click`, `fact`, `decision`, `money`, `act`, `told`.
    pub kind: &'static str,
    /// In a few words.
    pub title: String,
    /// The amount that it is about.
    pub amount: Option<String>,
    /// A state: as the API calls it, and as people read it.
    pub badge: Option<(String, String)>,
    /// What else is known of it.
    pub lines: Vec<(&'static str, Cell)>,
    /// What a decision looked at, in its order.
    pub candidates: Vec<Tried>,
    /// Sentences.
    pub said: Vec<String>,
    /// Where it was told: the delivery's page, its state, that state in words, the endpoint's address.
    pub deliveries: Vec<(String, String, String, String)>,
    at: Instant,
    /// Of two at one moment, the cause stands before what followed.
    rank: u8,
}

/// A candidate of a decision.
pub struct Tried {
    /// `click`, as people read it.
    pub method: String,
    /// The click id or the code.
    pub value: String,
    /// `won`, `not_needed`, or why it lost.
    pub outcome: String,
    /// That, as people read it.
    pub outcome_words: String,
    /// What the verdict says of it.
    pub sentence: String,
    /// Whose it would have been.
    pub of: Cell,
}

impl Step {
    fn at(at: Instant, rank: u8, kind: &'static str, title: impl Into<String>) -> Self {
        Self {
            moment: Moment::of(at),
            kind,
            title: title.into(),
            amount: None,
            badge: None,
            lines: Vec::new(),
            candidates: Vec::new(),
            said: Vec::new(),
            deliveries: Vec::new(),
            at,
            rank,
        }
    }
}

/// Everything about a conversion, oldest first. `keys` are the ids of its sale.
pub fn steps(
    desk: &Desk,
    names: &Names,
    story: &Story,
    clicks: &[Click],
    keys: &BTreeSet<String>,
) -> Result<Vec<Step>, ApiError> {
    let mut steps: Vec<Step> = clicks.iter().map(|one| click(desk, names, one)).collect();
    let currency = story.conversion.currency;
    let own = story.facts.iter().filter(|fact| facts::belongs(&fact.body, keys));
    steps.extend(own.map(|fact| {
        let told = facts::told(&fact.body, currency);
        let mut step = Step::at(fact.said_at, 1, "fact", told.title);
        (step.amount, step.lines) = (told.amount, told.lines);
        if let Some(event) = &fact.stripe_event_id {
            step.lines.push(("Stripe event", link(desk, "stripe-events", event)));
        }
        // Stripe's times are Stripe's: what came late says when it came.
        if fact.recorded_at.since_ms(fact.said_at).abs() >= 1_000 {
            step.lines.push(("Came in", Cell::Moment(Moment::of(fact.recorded_at))));
        }
        if let Some(request) = fact.request_id.as_ref().filter(|_| fact.stripe_event_id.is_none()) {
            step.lines.push(("Request", Cell::Id(request.clone())));
        }
        step
    }));
    let current = story.conversion.decision_id.as_str();
    steps.extend(story.decisions.iter().map(|one| decision(desk, names, one, one.id.as_str() == current)));
    steps.extend(story.alerts.iter().map(|alert| {
        let mut step = Step::at(alert.created_at, 3, "alert", "A fraud rule found something");
        step.badge = Some((alert.status.clone(), words_of(&alert.status)));
        step.said.extend(Rule::parse(&alert.rule).map(|rule| format!("{}.", words_of(rule.explanation()))));
        step.lines.push(("Alert", link(desk, "fraud-alerts", &alert.id)));
        step.lines.push(("Of", participant(desk, names, &alert.participant_id)));
        step
    }));
    steps.extend(story.commissions.iter().flat_map(|one| entries(desk, names, story, one)));
    for act in &story.acts {
        let mut step = Step::at(act.created_at, 4, "act", acts::title(&act.kind));
        step.lines = acts::lines(desk, act)?;
        steps.push(step);
    }
    steps.extend(story.settled.iter().flat_map(|one| payouts(desk, one)));
    steps.extend(story.told.iter().map(|one| told(desk, one)));
    steps.sort_by_key(|step| (step.at, step.rank));
    Ok(steps)
}

fn link(desk: &Desk, page: &str, id: &str) -> Cell {
    let href = desk.href(&format!("{page}/{}", super::super::object::segment(id)));
    Cell::Link { href, text: id.to_owned(), sub: String::new(), is_id: true }
}

/// Who a participant is.
pub fn participant(desk: &Desk, names: &Names, id: &str) -> Cell {
    cell(desk, names, "", &json!({ "participant_id": id }), "/participant_id", Kind::Participant)
}

fn click(desk: &Desk, names: &Names, click: &Click) -> Step {
    let record = &click.record;
    let mut step = Step::at(record.clicked_at, 0, "click", "Somebody came by a link");
    step.lines.push(("Click", link(desk, "clicks", &record.click_id)));
    if let Some(of) = &click.participant_id {
        step.lines.push(("Link of", participant(desk, names, of)));
    }
    if let Some(id) = &click.link_id {
        step.lines.push(("Link", link(desk, "links", id)));
    }
    for (head, value) in [("Page", &record.url), ("From", &record.referrer), ("Country", &record.country)] {
        step.lines.extend(value.clone().map(|value| (head, Cell::Text(value))));
    }
    if !record.flags.is_empty() {
        step.lines.push(("Signs", Cell::Words(record.flags.iter().map(|flag| words_of(flag)).collect())));
    }
    step
}

/// The words are the verdict's: its steps, one for each candidate, then what was found remarkable, then what came out.
fn decision(desk: &Desk, names: &Names, decision: &Decision, is_current: bool) -> Step {
    let verdict = &decision.verdict;
    let title = match &verdict.credit {
        Some(credit) => {
            let name = names.participant(credit.participant_id.as_str());
            let name = name.map_or_else(|| credit.participant_id.to_string(), |name| name.partner.clone());
            format!("Decided: credited to {name}")
        }
        None => "Decided: credited to nobody".to_owned(),
    };
    let mut step = Step::at(decision.created_at, 2, "decision", title);
    let reason = verdict.reason.as_str();
    step.badge = Some((reason.to_owned(), words_of(reason)));
    if !is_current {
        step.said.push("A later decision took its place.".to_owned());
    }
    let explained = shapes::explanation(&decision.inputs, verdict);
    let mut sentences = explained["steps"].as_array().into_iter().flatten().filter_map(|step| step.as_str());
    let shown = explained["candidates"].as_array().into_iter().flatten();
    for (candidate, shown) in verdict.candidates.iter().zip(shown) {
        let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        let outcome = text("outcome");
        step.candidates.push(Tried {
            method: words_of(&text("method")),
            value: text("value"),
            outcome_words: match candidate.outcome {
                Outcome::Lost(_) => "lost".to_owned(),
                Outcome::Won | Outcome::NotNeeded => words_of(&outcome).to_lowercase(),
            },
            outcome,
            sentence: sentences.next().unwrap_or_default().to_owned(),
            of: whose(&decision.inputs, candidate).map_or(Cell::Empty, |id| participant(desk, names, &id)),
        });
    }
    step.said.extend(sentences.map(str::to_owned));
    step.lines.push(("Decision", Cell::Id(decision.id.to_string())));
    step.lines.push(("Rules\u{2019} version", Cell::Text(decision.rule_version.to_string())));
    step
}

/// Whose a candidate is, by what the decision saw.
fn whose(inputs: &Inputs, candidate: &Candidate) -> Option<String> {
    let value = &candidate.value;
    if candidate.inherited {
        return inputs.inherited.as_ref().map(|inherited| inherited.standing.participant_id.to_string());
    }
    let manual = inputs.manual.as_ref().filter(|manual| manual.act_id.as_str() == value);
    let codes = inputs.promo_codes.iter().filter(|promo| promo.code == *value).map(|promo| match &promo.sighting {
        Sighting::Here(standing) => Some(standing.participant_id.to_string()),
        _ => None,
    });
    let clicks = inputs.clicks.iter().filter(|click| click.click_id == *value).map(|click| match &click.sighting {
        Sighting::Here(seen) => Some(seen.standing.participant_id.to_string()),
        _ => None,
    });
    let customers = inputs.customers.iter().filter(|one| one.key == *value).map(|one| match &one.sighting {
        Sighting::Here(bound) => Some(bound.standing.participant_id.to_string()),
        _ => None,
    });
    manual
        .map(|manual| manual.participant_id.to_string())
        .or_else(|| codes.chain(clicks).chain(customers).flatten().next())
}

fn entries(desk: &Desk, names: &Names, story: &Story, commission: &Commission) -> Vec<Step> {
    let currency = Currency::parse(&commission.currency).ok();
    let entry = |(place, entry): (usize, &crate::store::commissions::Entry)| {
        let title = entry_title(&entry.kind, place == 0);
        let mut step = Step::at(Instant::from_ms(entry.created_at), 5, "money", title);
        step.amount = currency.map(|currency| signed(entry.amount_cents, currency));
        step.lines.push(("Commission", link(desk, "commissions", &commission.id)));
        step.lines.push(("Of", participant(desk, names, &commission.participant_id)));
        step.lines.push(("Because", because(story, &entry.cause)));
        step
    };
    commission.entries.iter().enumerate().map(entry).collect()
}

/// What an entry did to its commission.
pub fn entry_title(kind: &str, is_first: bool) -> &'static str {
    match kind {
        "earned" if is_first => "A commission was earned",
        "earned" => "The commission grew",
        "corrected" => "The sale\u{2019}s amount turned out to be another",
        "refunded" => "The commission follows what went back to the buyer",
        "disputed" => "The commission follows a dispute",
        "merged" => "The sale turned out to be another conversion\u{2019}s",
        "reattributed" => "The conversion was credited to somebody else",
        "ended" => "The subscription ended while the commission was pending",
        "bonus" => "A bonus was added",
        _ => "The commission changed",
    }
}

/// An amount with its sign, which an entry always has.
pub fn signed(amount_cents: i64, currency: Currency) -> String {
    let plus = if amount_cents > 0 { "+" } else { "" };
    format!("{plus}{}", text::money(amount_cents, currency))
}

fn because(story: &Story, cause: &str) -> Cell {
    let fact = story.facts.iter().find(|fact| fact.id == cause);
    let act = story.acts.iter().find(|act| act.id == cause);
    let words = fact
        .map(|fact| facts::told(&fact.body, None).title.to_owned())
        .or_else(|| act.map(|act| acts::title(&act.kind).to_owned()));
    words.map_or_else(|| Cell::Id(cause.to_owned()), Cell::Text)
}

fn payouts(desk: &Desk, settled: &Settled) -> Vec<Step> {
    let currency = Currency::parse(&settled.currency).ok();
    let step = |at, title: &str| {
        let mut step = Step::at(at, 6, "money", title);
        step.amount = currency.map(|currency| text::money(settled.amount_cents, currency));
        step.lines.push(("Payout", link(desk, "payouts", &settled.payout_id)));
        step
    };
    let paid = settled.settled_at.filter(|_| settled.status == "paid");
    std::iter::once(step(settled.created_at, "Put into a payout")).chain(paid.map(|at| step(at, "Paid out"))).collect()
}

fn told(desk: &Desk, told: &Told) -> Step {
    let mut step = Step::at(told.created_at, 7, "told", format!("Event {}", told.kind));
    let shown = told.deliveries.iter().map(|delivery| {
        let href = desk.href(&format!("webhook-deliveries/{}", delivery.id));
        (href, delivery.status.clone(), words_of(&delivery.status), delivery.url.clone())
    });
    step.deliveries = shown.collect();
    if step.deliveries.is_empty() {
        step.said.push("No endpoint wanted it.".to_owned());
    }
    step.lines.push(("Event", Cell::Id(told.id.clone())));
    step
}
