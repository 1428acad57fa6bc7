//! Decide: one pass through the rules, over every sale of the family. Nothing is awaited and nothing written here.

use std::collections::HashMap;

use domain::attribution::{self, Inherited, Inputs, Refusal, Verdict};
use domain::ledger::{self, Due, EntryKind, Step};
use domain::reward;
use domain::sale::family::{self, Member, ReportedRefund};
use domain::sale::{self, Report, State};
use domain::time::Instant;

use super::Booking;
use super::load::{Directory, Loaded};
use crate::app::App;
use crate::store::commissions::Held;
use crate::store::conversions::Conversion as Row;

/// What is to be written.
pub enum Decided {
    /// A report of a sale that has its conversion.
    Duplicate {
        /// The first one's id.
        conversion_id: String,
    },
    /// A refund that was reported before.
    Repeated,
    /// A refund of more than what is left.
    OverTheRest {
        /// What is left, in the minor unit.
        rest_cents: i64,
    },
    /// A report that may not be recorded.
    Refused {
        /// Why.
        refusal: Refusal,
        /// What was looked at.
        inputs: Box<Inputs>,
        /// What would have come out.
        verdict: Box<Verdict>,
    },
    /// What the family has come to.
    Family(Box<Family>),
}

/// A family as decided.
pub struct Family {
    /// What was loaded.
    pub loaded: Loaded,
    /// Its sales.
    pub members: Vec<Member>,
    /// Those of them that are conversions, in the order in which they happened.
    pub conversions: Vec<Conversion>,
    /// When time alone can change something.
    pub due_at: Option<Instant>,
}

/// A conversion as decided.
pub struct Conversion {
    /// Its sale, among the members.
    pub member: usize,
    /// What the facts come to.
    pub state: sale::Conversion,
    /// The conversion as it stands, if it is not new.
    pub row: Option<Row>,
    /// Later conversions that turned out to be this one's sale, each with the steps that bring its commissions to nothing.
    pub merged: Vec<(Row, Vec<Step>)>,
    /// What was looked at.
    pub inputs: Inputs,
    /// What came out.
    pub verdict: Verdict,
    /// The verdict is the one in force, not a new one.
    pub verdict_stands: bool,
    /// What it should have earned.
    pub due: Option<Due>,
    /// From the commissions that stand to those that are due.
    pub steps: Vec<Step>,
}

/// Decides what the family has come to.
pub fn decide(app: &App, booking: &Booking, loaded: Loaded) -> Decided {
    let transaction = booking.report.as_ref().and_then(|report| report.external_transaction_id.as_deref());
    let members = family::members(&loaded.facts, booking.now);
    let reported = transaction.and_then(|id| members.iter().position(|member| member.keys.contains(id)));
    if let Some(member) = reported.and_then(|place| members.get(place))
        && let Some(first) = rows(&loaded, member).next()
    {
        let conversion_id = first.id.to_string();
        return Decided::Duplicate { conversion_id };
    }
    if let Some(refund) = &booking.refund {
        if loaded.repeated {
            return Decided::Repeated;
        }
        if let Some(rest_cents) = over_the_rest(&members, refund) {
            return Decided::OverTheRest { rest_cents };
        }
    }
    let mut conversions = Vec::new();
    let mut credits: HashMap<String, Inherited> = HashMap::new();
    for (place, state) in in_order(&members) {
        let Some(member) = members.get(place) else { continue };
        let subscription = state.stripe.subscription.clone();
        let inherited = subscription.as_ref().and_then(|id| credits.get(id)).cloned();
        let inputs = inputs(app, &loaded, member, &state, inherited);
        let row = rows(&loaded, member).next().cloned();
        let standing = row.as_ref().and_then(|row| loaded.decisions.get(row.decision_id.as_str()));
        let (inputs, verdict, verdict_stands) = match standing {
            Some((before, verdict)) => again(before, verdict, inputs),
            None => {
                let verdict = attribution::attribute(&inputs);
                (inputs, verdict, false)
            }
        };
        if reported == Some(place)
            && let Err(refusal) = attribution::admit(&of_report(app, &loaded, member, state.occurred_at))
        {
            return Decided::Refused { refusal, inputs: Box::new(inputs), verdict: Box::new(verdict) };
        }
        if let Some(subscription) = subscription
            && let Some(credit) = inheritance(&verdict, &loaded.directory)
        {
            credits.entry(subscription).or_insert(credit);
        }
        let due = due(&loaded, &state, &verdict);
        let steps =
            ledger::settle(due.as_ref(), &standings(&loaded, row.as_ref()), change(member, row.as_ref(), &state));
        let merged = rows(&loaded, member)
            .skip(1)
            .map(|later| (later.clone(), ledger::settle(None, &standings(&loaded, Some(later)), EntryKind::Merged)))
            .collect();
        conversions.push(Conversion { member: place, state, row, merged, inputs, verdict, verdict_stands, due, steps });
    }
    let due_at = members.iter().filter_map(|member| waits_until(&member.state)).min();
    Decided::Family(Box::new(Family { loaded, members, conversions, due_at }))
}

/// What was left before this refund, should the refund be more.
fn over_the_rest(members: &[Member], refund: &ReportedRefund) -> Option<i64> {
    let member = members.iter().find(|member| member.keys.contains(&refund.external_transaction_id))?;
    let State::Converted(state) = &member.state else { return None };
    let over = member.returned.refunded_cents > state.money.paid_cents;
    let before = member.returned.refunded_cents.saturating_sub(refund.amount_cents);
    over.then(|| state.money.paid_cents.saturating_sub(before).max(0))
}

fn waits_until(state: &State) -> Option<Instant> {
    match state {
        State::Waiting { until } => *until,
        State::Converted(_) => None,
    }
}

/// The conversions among the members in the order in which they happened: a renewal inherits from what was before it.
fn in_order(members: &[Member]) -> Vec<(usize, sale::Conversion)> {
    let mut all: Vec<(usize, sale::Conversion)> = members
        .iter()
        .enumerate()
        .filter_map(|(place, member)| match &member.state {
            State::Converted(state) => Some((place, (**state).clone())),
            State::Waiting { .. } => None,
        })
        .collect();
    all.sort_by_key(|(place, state)| (state.occurred_at, *place));
    all
}

/// The stored conversions of one sale, the oldest first: the oldest stays, the others were merged into it.
fn rows<'a>(loaded: &'a Loaded, member: &'a Member) -> impl Iterator<Item = &'a Row> {
    loaded.conversions.iter().filter(|row| member.keys.contains(&row.anchor))
}

/// The commissions of a stored conversion.
pub fn held<'a>(loaded: &'a Loaded, row: &'a Row) -> impl Iterator<Item = &'a Held> {
    loaded.commissions.iter().filter(|held| held.conversion_id == row.id.as_str())
}

fn standings(loaded: &Loaded, row: Option<&Row>) -> Vec<ledger::Standing> {
    row.into_iter().flat_map(|row| held(loaded, row)).map(|held| held.standing.clone()).collect()
}

fn inputs(
    app: &App,
    loaded: &Loaded,
    member: &Member,
    state: &sale::Conversion,
    inherited: Option<Inherited>,
) -> Inputs {
    let directory = &loaded.directory;
    let report = report(loaded, member);
    let reported_code = report.and_then(|report| report.promo_code.as_deref()).map(|code| directory.code(code));
    let stripe_codes = state.hints.promotion_codes.iter().map(|id| directory.promotion_code(id));
    let reported_click = report.and_then(|report| report.click_id.as_deref()).map(|id| directory.click(app, id, None));
    let stripe_clicks =
        state.hints.clicks.iter().map(|mention| directory.click(app, &mention.click_id, Some(mention.source)));
    let mut inputs = Inputs {
        occurred_at: state.occurred_at,
        promo_codes: reported_code.into_iter().chain(stripe_codes).collect(),
        clicks: stripe_clicks.collect(),
        inherited,
        opted_out: state.hints.opted_out,
    };
    // A click that the merchant reported and that Stripe names too is one candidate.
    if let Some(reported) = reported_click {
        inputs.clicks.retain(|click| click.click_id != reported.click_id);
        inputs.clicks.insert(0, reported);
    }
    inputs
}

/// What a report itself names: it is not refused for what Stripe said, nor let in by it.
fn of_report(app: &App, loaded: &Loaded, member: &Member, occurred_at: Instant) -> Inputs {
    let report = report(loaded, member);
    let code = report.and_then(|report| report.promo_code.as_deref());
    let click = report.and_then(|report| report.click_id.as_deref());
    Inputs {
        occurred_at,
        promo_codes: code.map(|code| loaded.directory.code(code)).into_iter().collect(),
        clicks: click.map(|id| loaded.directory.click(app, id, None)).into_iter().collect(),
        inherited: None,
        opted_out: false,
    }
}

/// The report that speaks for a sale.
fn report<'a>(loaded: &'a Loaded, member: &Member) -> Option<&'a Report> {
    let of_member = |report: &&Report| member.keys.contains(&report.external_transaction_id);
    let rank = |report: &&Report| (report.occurred_at, report.external_transaction_id.clone());
    loaded.facts.reports.iter().filter(of_member).min_by_key(rank)
}

/// What a later fact makes of a decision: the same one, unless it names somebody new or moves the conversion in time.
fn again(before: &Inputs, verdict: &Verdict, inputs: Inputs) -> (Inputs, Verdict, bool) {
    let inputs = inputs.with_what_was_known(before);
    if inputs == *before {
        return (inputs, verdict.clone(), true);
    }
    let anew = attribution::attribute(&inputs);
    if anew == *verdict { (before.clone(), anew, true) } else { (inputs, anew, false) }
}

/// What the renewals of a subscription inherit of an attributed sale.
fn inheritance(verdict: &Verdict, directory: &Directory) -> Option<Inherited> {
    let credit = verdict.credit.as_ref()?;
    let standing = directory.participant(&credit.participant_id)?;
    Some(Inherited {
        method: credit.method,
        click_id: credit.click_id.clone(),
        promo_code: credit.promo_code.clone(),
        standing: standing.clone(),
    })
}

/// Why an amount that changes does.
fn change(member: &Member, row: Option<&Row>, state: &sale::Conversion) -> EntryKind {
    match row {
        _ if member.returned.lost => EntryKind::Disputed,
        Some(row) if row.refunded_cents != state.money.refunded_cents => EntryKind::Refunded,
        _ => EntryKind::Corrected,
    }
}

/// What the conversion should have earned.
fn due(loaded: &Loaded, state: &sale::Conversion, verdict: &Verdict) -> Option<Due> {
    let credit = verdict.credit.as_ref()?;
    let versions: Vec<_> =
        loaded.rewards.iter().filter(|version| version.program_id == credit.program_id).cloned().collect();
    let version =
        reward::choose(&versions, &credit.participant_id, state.occasion, &state.event_type, state.occurred_at)?;
    let earned = reward::earned(version.rate, version.basis, &state.money)?;
    Some(Due {
        participant_id: credit.participant_id.clone(),
        program_id: credit.program_id.clone(),
        reward_version: version.id.clone(),
        amount_cents: earned.amount_cents,
        currency: earned.currency,
        needs_review: earned.needs_review,
        hold_until: reward::hold_until(state.occurred_at, version.hold_days),
        auto_approve: version.auto_approve,
    })
}
