//! Decide: one pass through the rules. Nothing is awaited and nothing written here.

use domain::attribution::{self, Inputs, Refusal, Verdict};
use domain::ledger::{self, Due, Step};
use domain::reward;
use domain::sale::{self, SaleFacts, State};
use domain::time::Instant;

use super::Booking;
use super::load::{Directory, Loaded};
use crate::app::App;
use crate::error::ApiError;

/// What is to be written.
pub enum Decided {
    /// A report of a sale that has its conversion.
    Duplicate {
        /// The first one's id.
        conversion_id: String,
    },
    /// A report that may not be recorded.
    Refused {
        /// Why.
        refusal: Refusal,
        /// What was looked at.
        inputs: Inputs,
        /// What would have come out.
        verdict: Verdict,
    },
    /// Facts that join two sales.
    Joins,
    /// Facts that do not make a conversion yet.
    Waiting {
        /// What was loaded.
        loaded: Box<Loaded>,
        /// When time alone can change that.
        until: Option<Instant>,
    },
    /// A conversion.
    Converted(Box<Conversion>),
}

/// A conversion as decided.
pub struct Conversion {
    /// What was loaded.
    pub loaded: Loaded,
    /// What the facts come to.
    pub state: sale::Conversion,
    /// What was looked at.
    pub inputs: Inputs,
    /// What came out.
    pub verdict: Verdict,
    /// The verdict is the one in force, not a new one.
    pub verdict_stands: bool,
    /// From the commissions that stand to those that are due.
    pub steps: Vec<Step>,
}

/// Decides what the sale has come to.
pub fn decide(app: &App, booking: &Booking, loaded: Loaded) -> Result<Decided, ApiError> {
    if loaded.several {
        return Ok(Decided::Joins);
    }
    if let (Some(_), Some(conversion)) = (&booking.report, &loaded.conversion) {
        return Ok(Decided::Duplicate {
            conversion_id: conversion.id.to_string(),
        });
    }
    let state = match sale::state(&loaded.facts, booking.now) {
        State::Waiting { until } => {
            return Ok(Decided::Waiting {
                loaded: Box::new(loaded),
                until,
            });
        }
        State::Converted(state) => *state,
    };
    let inputs = inputs(app, &loaded.facts, &loaded.directory, &state);
    // A verdict stands as long as the same things are named: approval is judged when the conversion comes, not again with
    // every later fact.
    let (inputs, verdict, verdict_stands) = match &loaded.decision {
        Some((before, verdict)) if names_the_same(before, &inputs) => (before.clone(), verdict.clone(), true),
        _ => {
            let verdict = attribution::attribute(&inputs);
            (inputs, verdict, false)
        }
    };
    if booking.report.is_some()
        && let Err(refusal) = attribution::admit(&inputs)
    {
        return Ok(Decided::Refused {
            refusal,
            inputs,
            verdict,
        });
    }
    let due = due(&loaded, &state, &verdict);
    let steps = ledger::settle(due.as_ref(), &loaded.commissions);
    Ok(Decided::Converted(Box::new(Conversion {
        loaded,
        state,
        inputs,
        verdict,
        verdict_stands,
        steps,
    })))
}

fn inputs(app: &App, facts: &SaleFacts, directory: &Directory, state: &sale::Conversion) -> Inputs {
    let report = facts.report.as_ref();
    let reported_code = report
        .and_then(|report| report.promo_code.as_deref())
        .map(|code| directory.code(code));
    let stripe_codes = state
        .hints
        .promotion_codes
        .iter()
        .map(|id| directory.promotion_code(id));
    let reported_click = report
        .and_then(|report| report.click_id.as_deref())
        .map(|id| directory.click(app, id, None));
    let stripe_clicks = state
        .hints
        .clicks
        .iter()
        .map(|mention| directory.click(app, &mention.click_id, Some(mention.source)));
    Inputs {
        occurred_at: state.occurred_at,
        promo_codes: reported_code.into_iter().chain(stripe_codes).collect(),
        clicks: reported_click.into_iter().chain(stripe_clicks).collect(),
        opted_out: state.hints.opted_out,
    }
}

fn names_the_same(before: &Inputs, now: &Inputs) -> bool {
    before.opted_out == now.opted_out
        && before
            .clicks
            .iter()
            .map(|click| &click.click_id)
            .eq(now.clicks.iter().map(|click| &click.click_id))
        && before
            .promo_codes
            .iter()
            .map(|promo| &promo.code)
            .eq(now.promo_codes.iter().map(|promo| &promo.code))
}

/// What the conversion should have earned.
fn due(loaded: &Loaded, state: &sale::Conversion, verdict: &Verdict) -> Option<Due> {
    let credit = verdict.credit.as_ref()?;
    let versions: Vec<_> = loaded
        .rewards
        .iter()
        .filter(|version| version.program_id == credit.program_id)
        .cloned()
        .collect();
    let version = reward::choose(
        &versions,
        &credit.participant_id,
        state.occasion,
        &state.event_type,
        state.occurred_at,
    )?;
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
