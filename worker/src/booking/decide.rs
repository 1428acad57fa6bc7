//! Decide: one pass through the rules, over every sale of the family. Nothing is awaited and nothing written here.

use std::collections::HashMap;

use domain::attribution::{self, Buyer, Inherited, Inputs, Refusal, Surroundings, Verdict};
use domain::fraud::{self, Response};
use domain::ledger::{self, Due, EntryKind, Step, Terms};
use domain::reward::{self, ReviewReason};
use domain::sale::family::{self, Member, ReportedRefund};
use domain::sale::{self, ConversionStatus, Occasion, Report, State, tracked};
use domain::status::CommissionState;
use domain::time::Instant;

use super::Booking;
use super::directory::Directory;
use super::load::Loaded;
use crate::app::App;
use crate::store::commissions::Held;
use crate::store::conversions::Conversion as Row;
use crate::store::families::{NewFact, StoredFact};

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
    /// A person's word on a conversion that is credited already, or merged, or not there.
    NotByHand,
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
    /// It is a purchase of its customer. Where anybody could have said so it is none.
    pub is_purchase: bool,
    /// It is one since this booking, and is to be counted.
    pub is_new_purchase: bool,
    /// Anybody could have said what it, or its credit, rests on.
    pub unauthenticated: bool,
    /// From the commissions that stand to those that are due.
    pub steps: Vec<Step>,
}

/// Decides what the family has come to.
pub fn decide(app: &App, booking: &Booking, loaded: Loaded) -> Decided {
    let transaction = booking.report.as_ref().and_then(|report| report.external_transaction_id.as_deref());
    let members = family::members(&loaded.facts, booking.now);
    let reported = transaction.and_then(|id| members.iter().position(|member| member.keys.contains(id)));
    if let Some(first) = transaction.and_then(|id| told_before(booking, &loaded, &members, id)) {
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
    if let Some(by_hand) = &booking.by_hand {
        let row = loaded.conversions.iter().find(|row| row.id.as_str() == by_hand.conversion_id);
        let open = row.is_some_and(|row| row.status != ConversionStatus::Merged && row.participant_id.is_none());
        if !open {
            return Decided::NotByHand;
        }
    }
    let mut conversions = Vec::new();
    let mut credits: HashMap<String, Inherited> = HashMap::new();
    for (place, state) in in_order(&members) {
        let Some(member) = members.get(place) else { continue };
        let subscription = state.stripe.subscription.clone();
        let inherited = subscription.as_ref().and_then(|id| credits.get(id)).cloned();
        let row = rows(&loaded, member).next().cloned();
        let report = report(&loaded, member);
        let is_purchase = counts_as_purchase(&state) && !report.is_some_and(Report::is_public);
        let is_new_purchase = is_purchase && (row.is_none() || takes_a_public_place(booking, &loaded, member));
        let inputs = inputs(app, &loaded, member, &state, inherited, is_purchase && !is_new_purchase);
        let standing = row.as_ref().and_then(|row| loaded.decisions.get(row.decision_id.as_str()));
        let (inputs, verdict, verdict_stands) = match standing {
            Some((before, verdict)) => again(before, verdict, inputs),
            None => {
                let verdict = attribution::attribute(&inputs);
                (inputs, verdict, false)
            }
        };
        if reported == Some(place) {
            // What is kept is what was judged, so that it can be judged again.
            let inputs = of_report(app, &loaded, member, state.occurred_at);
            if let Err(refusal) = attribution::admit(&inputs) {
                let verdict = attribution::attribute(&inputs);
                return Decided::Refused { refusal, inputs: Box::new(inputs), verdict: Box::new(verdict) };
            }
        }
        let unauthenticated =
            report.is_some_and(Report::is_public) || attribution::is_unauthenticated(&inputs, &verdict);
        if let Some(subscription) = subscription
            && let Some(credit) =
                inheritance(&verdict, unauthenticated, &loaded.directory, &standings(&loaded, row.as_ref()))
        {
            credits.entry(subscription).or_insert(credit);
        }
        let mut due = due(&loaded, &state, &verdict);
        if let Some(due) = due.as_mut().filter(|_| unauthenticated) {
            due.terms.needs_review.push(ReviewReason::Unauthenticated);
        }
        if let Some(due) = &mut due {
            due.takes_over = taken_over(&loaded, member, due);
            // Where a person has rejected what turned out to be this sale, it is not approved without one.
            due.terms.auto_approve &= due.takes_over != Some(CommissionState::Rejected);
        }
        let ended_at = state.stripe.subscription.as_deref().and_then(|id| family::ended_at(&loaded.facts, id));
        let taken_back = ended_at.is_some_and(|ended_at| end(&loaded, row.as_ref(), &state, ended_at, due.as_mut()));
        let kind = if taken_back { EntryKind::Ended } else { change(member, row.as_ref(), &state) };
        let steps = ledger::settle(due.as_ref(), &standings(&loaded, row.as_ref()), kind);
        let merged = rows(&loaded, member)
            .skip(1)
            .map(|later| (later.clone(), ledger::settle(None, &standings(&loaded, Some(later)), EntryKind::Merged)))
            .collect();
        conversions.push(Conversion {
            member: place,
            state,
            row,
            merged,
            inputs,
            verdict,
            verdict_stands,
            is_purchase,
            is_new_purchase,
            unauthenticated,
            steps,
        });
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
    is_counted: bool,
) -> Inputs {
    let directory = &loaded.directory;
    let report = report(loaded, member);
    let reported_code = report.and_then(|report| report.promo_code.as_deref()).map(|code| directory.code(code));
    let stripe_codes = state.hints.promotion_codes.iter().map(|id| directory.promotion_code(id));
    let discounts = state.hints.discounts.iter().map(|id| directory.discount(id));
    let reported_click = report.and_then(|report| report.click_id.as_deref()).map(|id| directory.click(app, id, None));
    let stripe_clicks =
        state.hints.clicks.iter().map(|mention| directory.click(app, &mention.click_id, Some(mention.source)));
    let ids: Vec<&str> = rows(loaded, member).map(|row| row.id.as_str()).collect();
    let by_hand = loaded.by_hand.iter().rev().find(|(conversion, _)| ids.contains(&conversion.as_str()));
    let own: Vec<&str> = loaded.conversions.iter().map(|row| row.id.as_str()).collect();
    let mut inputs = Inputs {
        occurred_at: state.occurred_at,
        promo_codes: Vec::new(),
        clicks: stripe_clicks.collect(),
        inherited,
        customers: state.customer.keys().into_iter().map(|key| directory.customer(key, &own)).collect(),
        opted_out: state.hints.opted_out,
        manual: by_hand.map(|(_, manual)| manual.clone()),
        surroundings: Surroundings::default(),
    };
    for promo in reported_code.into_iter().chain(stripe_codes).chain(discounts) {
        if !inputs.promo_codes.iter().any(|held| held.code == promo.code) {
            inputs.promo_codes.push(promo);
        }
    }
    // A click that the merchant reported and that Stripe names too is one candidate. What anybody could have said comes last.
    match reported_click {
        Some(click) if report.is_some_and(Report::is_public) => {
            let is_named = inputs.clicks.iter().any(|held| held.click_id == click.click_id);
            inputs.clicks.extend((!is_named).then_some(click));
        }
        Some(reported) => {
            inputs.clicks.retain(|click| click.click_id != reported.click_id);
            inputs.clicks.insert(0, reported);
        }
        None => {}
    }
    inputs.surroundings = surroundings(loaded, state, &inputs, is_counted);
    inputs
}

/// What the fraud rules look at; nothing where there is nobody to be credited, or where it was looked at when the subscription
/// began.
fn surroundings(loaded: &Loaded, state: &sale::Conversion, inputs: &Inputs, is_counted: bool) -> Surroundings {
    let emails = state.customer.addresses();
    let candidates = inputs.participants();
    let people: Vec<_> = candidates
        .into_iter()
        .filter_map(|id| loaded.directory.people.get(id))
        .map(|known| known.person(&emails))
        .collect();
    if people.is_empty() {
        return Surroundings::default();
    }
    let keys = state.customer.keys();
    let (known, _) = loaded.directory.customers(&keys);
    let purchases: i64 = known.iter().map(|known| known.purchases).max().unwrap_or(0);
    // The conversion itself is not a purchase before it.
    let before = purchases - i64::from(is_counted);
    Surroundings {
        buyer: (!emails.is_empty()).then(|| Buyer { disposable: emails.iter().any(|email| email.disposable) }),
        purchases_before: u32::try_from(before).unwrap_or(0),
        people,
        bursts: loaded
            .bursts
            .iter()
            .filter(|burst| inputs.clicks.iter().any(|click| click.click_id == burst.click_id))
            .cloned()
            .collect(),
    }
}

/// Whether a conversion is somebody's purchase: money, and no renewal.
fn counts_as_purchase(state: &sale::Conversion) -> bool {
    matches!(state.occasion, Occasion::Payment | Occasion::SubscriptionPayment(1)) && state.money.paid_cents > 0
}

/// What a report itself names: it is not refused for what Stripe said, nor let in by it.
fn of_report(app: &App, loaded: &Loaded, member: &Member, occurred_at: Instant) -> Inputs {
    let directory = &loaded.directory;
    let report = report(loaded, member);
    let code = report.and_then(|report| report.promo_code.as_deref());
    let click = report.and_then(|report| report.click_id.as_deref());
    let customer = report.and_then(|report| report.customer_external_id.as_deref());
    Inputs {
        occurred_at,
        promo_codes: code.map(|code| directory.code(code)).into_iter().collect(),
        clicks: click.map(|id| directory.click(app, id, None)).into_iter().collect(),
        inherited: None,
        customers: customer.map(|id| directory.customer(sale::customer::external_key(id), &[])).into_iter().collect(),
        opted_out: false,
        manual: None,
        surroundings: Surroundings::default(),
    }
}

/// The report that speaks for a sale.
fn report<'a>(loaded: &'a Loaded, member: &Member) -> Option<&'a Report> {
    reports(loaded, member).min_by_key(|report| report.rank())
}

fn reports<'a>(loaded: &'a Loaded, member: &Member) -> impl Iterator<Item = &'a Report> {
    loaded.facts.reports.iter().filter(|report| member.keys.contains(&report.external_transaction_id))
}

/// The conversion of the sale that a transaction id names, if it was told before: under any of its ids, or under none within ten
/// minutes. What only came with no secret is no reason to refuse whoever has one: its report takes that one's place.
fn told_before<'a>(booking: &Booking, loaded: &'a Loaded, members: &'a [Member], transaction: &str) -> Option<&'a Row> {
    let is_same = |key: &String| key != transaction && tracked::is_same_sale(key, transaction);
    let of_same = members.iter().filter(|member| member.keys.iter().any(is_same));
    if let Some(first) = of_same.flat_map(|member| rows(loaded, member)).next() {
        return Some(first);
    }
    let member = members.iter().find(|member| member.keys.contains(transaction))?;
    let first = rows(loaded, member).next()?;
    (!takes_a_public_place(booking, loaded, member)).then_some(first)
}

/// Whether the booking brings the first report with a secret of a sale that was reported without one.
fn takes_a_public_place(booking: &Booking, loaded: &Loaded, member: &Member) -> bool {
    let is_behind_a_secret = |fact: &NewFact| match &fact.body {
        StoredFact::Report(report) => !report.is_public() && member.keys.contains(&report.external_transaction_id),
        _ => false,
    };
    let (public, others): (Vec<_>, Vec<_>) = reports(loaded, member).partition(|report| report.is_public());
    let is_the_only = !public.is_empty() && others.len() == 1;
    !loaded.repeated && is_the_only && booking.facts.iter().any(is_behind_a_secret)
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
fn inheritance(
    verdict: &Verdict,
    unauthenticated: bool,
    directory: &Directory,
    held: &[ledger::Standing],
) -> Option<Inherited> {
    let credit = verdict.credit.as_ref()?;
    let standing = directory.people.standing(&credit.participant_id)?;
    // What holds a commission and yet does not hold this one any more, a person has looked at.
    let is_cleared = held.iter().any(|held| {
        held.participant_id == credit.participant_id
            && matches!(held.state, CommissionState::Approved | CommissionState::Paid)
    });
    let holds = |found: &&fraud::Found| {
        !is_cleared && found.participant_id == credit.participant_id && fraud::at_least(found.response, Response::Hold)
    };
    Some(Inherited {
        method: credit.method,
        click_id: credit.click_id.clone(),
        promo_code: credit.promo_code.clone(),
        standing: standing.clone(),
        findings: verdict.findings.iter().filter(holds).cloned().collect(),
        unauthenticated: unauthenticated && !is_cleared,
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
    let mut needs_review = earned.needs_review;
    let of_credited = verdict.findings.iter().filter(|found| found.participant_id == credit.participant_id);
    if of_credited.map(|found| found.response).any(|response| fraud::at_least(response, Response::Hold)) {
        needs_review.push(ReviewReason::Fraud);
    }
    Some(Due {
        participant_id: credit.participant_id.clone(),
        program_id: credit.program_id.clone(),
        amount_cents: earned.amount_cents,
        currency: earned.currency,
        terms: Terms {
            reward_version: version.id.clone(),
            needs_review,
            hold_until: reward::hold_until(state.occurred_at, version.hold_days),
            auto_approve: version.auto_approve,
        },
        takes_over: None,
    })
}

/// How the commission stands that this one takes the place of: of a conversion that turned out to be the same sale.
fn taken_over(loaded: &Loaded, member: &Member, due: &Due) -> Option<CommissionState> {
    let later = rows(loaded, member).skip(1).flat_map(|row| held(loaded, row));
    let mut same = later
        .map(|held| &held.standing)
        .filter(|standing| standing.participant_id == due.participant_id && standing.currency == due.currency);
    same.next().map(|standing| match standing.state {
        CommissionState::Reversed => standing.reversed_from.unwrap_or(CommissionState::Pending),
        state => state,
    })
}

/// Takes back what a subscription's end takes back, if the program says so: whatever was still pending when it ended.
fn end(loaded: &Loaded, row: Option<&Row>, state: &sale::Conversion, ended_at: Instant, due: Option<&mut Due>) -> bool {
    let Some(due) = due else { return false };
    let person = loaded.directory.people.get(&due.participant_id);
    // What was paid after the end was never pending when it came.
    let wanted = person.is_some_and(|known| known.reverse_pending_on_end) && state.occurred_at <= ended_at;
    let terms = &due.terms;
    let waits = terms.hold_until > ended_at || !terms.auto_approve || !terms.needs_review.is_empty();
    let decided = row.into_iter().flat_map(|row| held(loaded, row)).any(|held| {
        let is_it = held.standing.participant_id == due.participant_id && held.standing.currency == due.currency;
        let state = held.standing.reversed_from.unwrap_or(held.standing.state);
        is_it && matches!(state, CommissionState::Approved | CommissionState::Paid)
    });
    let taken_back = wanted && waits && !decided;
    if taken_back {
        due.amount_cents = 0;
    }
    taken_back
}
