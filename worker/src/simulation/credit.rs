//! The reference model, second part: who is credited, and what is earned (contract, sections 8 and 9).
//!
//! Customers' bindings belong here: a candidate after the clicks. As long as they are not in the model, the world gives each
//! purchase a customer of its own, except renewals and second subscriptions (`SHARED_CUSTOMERS` in `buyers`).

use std::collections::{BTreeMap, BTreeSet};

use super::merchants::{Rate, Reward, Town, Trigger};
use super::reference::{Conversion, Earns, Kind, Sale};

const MINUTE_MS: i64 = 60 * 1_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// A conversion that was there before, and how each candidate stood when it first came: it is not judged again.
pub struct Known {
    /// When the conversion was recorded, and its id: of two, the lesser is the earlier. As the database has it, for what was
    /// recorded first is no matter of rules.
    pub born: (i64, String),
    pub ids: BTreeSet<String>,
    /// Whether the participant was approved and the program earned, by candidate.
    judged: BTreeMap<String, (bool, bool)>,
    inherited: Option<(usize, (bool, bool))>,
}

pub fn credit(sales: &mut [Sale], known: &mut Vec<Known>, town: &Town, scope: usize) {
    let mut in_order: Vec<(i64, usize)> = Vec::new();
    for (place, sale) in sales.iter().enumerate() {
        if let Some(conversion) = &sale.conversion {
            in_order.push((conversion.occurred_ms, place));
        }
    }
    in_order.sort_unstable();
    let mut subscriptions: BTreeMap<String, (usize, &'static str)> = BTreeMap::new();
    for (_, place) in in_order {
        let sale = &mut sales[place];
        let memory = remember(known, &sale.ids);
        let conversion = sale.conversion.as_mut().unwrap();
        let inherited = conversion.subscription.as_ref().and_then(|id| subscriptions.get(id)).copied();
        attribute(conversion, inherited, memory, town, scope);
        if let (Some(subscription), Some(participant)) = (&conversion.subscription, conversion.participant) {
            subscriptions.entry(subscription.clone()).or_insert((participant, conversion.reason));
        }
        conversion.earns = earns(conversion, town);
    }
}

/// What is remembered of a conversion. Where two turned out to be one, the earlier stays.
fn remember<'a>(known: &'a mut Vec<Known>, ids: &BTreeSet<String>) -> &'a mut Known {
    let (mut same, others): (Vec<Known>, Vec<Known>) =
        std::mem::take(known).into_iter().partition(|memory| !memory.ids.is_disjoint(ids));
    same.sort_by(|a, b| a.born.cmp(&b.born));
    let new =
        || Known { born: (i64::MAX, String::new()), ids: BTreeSet::new(), judged: BTreeMap::new(), inherited: None };
    let mut memory = if same.is_empty() { new() } else { same.remove(0) };
    memory.ids = ids.clone();
    *known = others;
    known.push(memory);
    known.last_mut().unwrap()
}

fn standing(town: &Town, participant: usize) -> (bool, bool) {
    let participant = &town.participants[participant];
    (participant.approved, town.programs[participant.program].earns)
}

fn gates((approved, earns): (bool, bool)) -> Result<(), &'static str> {
    match (approved, earns) {
        (false, _) => Err("participant_not_approved"),
        (true, false) => Err("program_inactive"),
        (true, true) => Ok(()),
    }
}

fn attribute(
    conversion: &mut Conversion,
    inherited: Option<(usize, &'static str)>,
    memory: &mut Known,
    town: &Town,
    scope: usize,
) {
    // Each candidate: whose it is, or why it fails; and the reason if it wins.
    let mut candidates: Vec<(Result<usize, &'static str>, &'static str)> = Vec::new();
    if let Some((participant, reason)) = inherited {
        let judged = match memory.inherited {
            Some((whose, judged)) if whose == participant => judged,
            _ => standing(town, participant),
        };
        memory.inherited = Some((participant, judged));
        candidates.push((gates(judged).map(|()| participant), reason));
    } else {
        memory.inherited = None;
    }
    let mut judge = |label: &String, participant: usize| {
        let judged = memory.judged.entry(label.clone()).or_insert_with(|| standing(town, participant));
        gates(*judged).map(|()| participant)
    };
    let codes = conversion.code.iter().chain(&conversion.promotion_codes);
    for code in codes {
        let found = code_owner(town, scope, code).and_then(|participant| judge(code, participant));
        candidates.push((found, "attributed_promo_code"));
    }
    for click in &conversion.clicks {
        let found = click_owner(town, scope, click, conversion.occurred_ms);
        // It is judged when it comes, even if it loses by its age.
        let owner = town.clicks.get(click).map(|click| click.participant);
        let judged = owner.map(|participant| judge(click, participant));
        let found = found.and_then(|participant| judged.unwrap_or(Ok(participant)));
        candidates.push((found, "attributed_click"));
    }
    let winner = candidates.iter().find_map(|(found, reason)| found.ok().map(|participant| (participant, *reason)));
    (conversion.participant, conversion.reason) = match (winner, candidates.first()) {
        _ if conversion.opted_out => (None, "opted_out"),
        (Some((participant, reason)), _) => (Some(participant), reason),
        (None, Some((Err(first), _))) => (None, *first),
        (None, _) => (None, "no_signal"),
    };
}

/// A code as a merchant reports it, compared without case, or the id of a promotion code of Stripe's.
fn code_owner(town: &Town, scope: usize, code: &str) -> Result<usize, &'static str> {
    let mut elsewhere = false;
    for (place, participant) in town.participants.iter().enumerate() {
        let there = town.scope_of(place);
        let same_workspace = town.scopes[there].workspace == town.scopes[scope].workspace;
        let same_code = participant.code.to_lowercase() == code.to_lowercase() || participant.promotion_code == code;
        if same_workspace && same_code {
            if there == scope {
                return Ok(place);
            }
            elsewhere = true;
        }
    }
    Err(if elsewhere { "mode_mismatch" } else { "promo_code_not_found" })
}

fn click_owner(town: &Town, scope: usize, click: &str, occurred_ms: i64) -> Result<usize, &'static str> {
    let Some(click) = town.clicks.get(click) else { return Err("click_not_found") };
    let there = town.scope_of(click.participant);
    let window_days = town.programs[town.participants[click.participant].program].window_days;
    let age_ms = occurred_ms - click.at_ms;
    if town.scopes[there].workspace != town.scopes[scope].workspace {
        Err("click_not_found")
    } else if there != scope {
        Err("mode_mismatch")
    } else if age_ms < -5 * MINUTE_MS {
        Err("click_after_conversion")
    } else if age_ms > window_days * DAY_MS {
        Err("window_expired")
    } else {
        Ok(click.participant)
    }
}

fn earns(conversion: &Conversion, town: &Town) -> Option<Earns> {
    let program = &town.programs[town.participants[conversion.participant?].program];
    let of = |trigger: Trigger| {
        let fits = |reward: &&Reward| {
            reward.trigger == trigger && reward.event_type.is_none_or(|wanted| wanted == conversion.event_type)
        };
        let fitting: Vec<&Reward> = program.rewards.iter().filter(fits).collect();
        let naming = fitting.iter().find(|reward| reward.event_type.is_some());
        naming.or(fitting.first()).copied()
    };
    let is_recurring = program.rewards.iter().any(|reward| reward.trigger == Trigger::Recurring);
    let reward = match conversion.kind {
        Kind::Free => None,
        Kind::Lead => of(Trigger::Lead),
        Kind::Payment => of(Trigger::Sale),
        Kind::Recurring(number) if is_recurring => {
            of(Trigger::Recurring).filter(|reward| reward.payments_max.is_none_or(|max| number <= max))
        }
        Kind::Recurring(1) => of(Trigger::Sale),
        Kind::Recurring(_) => None,
    }?;
    let all_back = conversion.amount > 0 && conversion.refunded >= conversion.amount;
    let (amount, currency, foreign) = match reward.rate {
        Rate::Flat(amount) => {
            let foreign = conversion.currency.is_some_and(|currency| currency != "EUR");
            (if all_back { 0 } else { amount }, "EUR", foreign)
        }
        Rate::Bps(bps) => (share(conversion, bps, reward.basis), conversion.currency?, false),
    };
    let by_share = matches!(reward.rate, Rate::Bps(_));
    Some(Earns {
        amount,
        currency,
        hold_until_ms: conversion.occurred_ms + reward.hold_days * DAY_MS,
        auto_approve: reward.auto_approve,
        needs_review: foreign || by_share && reward.basis == "net_of_fees",
    })
}

/// rate × base × (paid − refunded) ÷ paid, rounded once, half away from zero.
fn share(conversion: &Conversion, bps: i64, basis: &str) -> i64 {
    if conversion.amount == 0 {
        return 0;
    }
    let base = if basis == "gross" { conversion.amount } else { (conversion.amount - conversion.tax).max(0) };
    let above = i128::from(bps) * i128::from(base) * i128::from(conversion.amount - conversion.refunded);
    let below = 10_000 * i128::from(conversion.amount);
    i64::try_from((2 * above + below) / (2 * below)).unwrap()
}
