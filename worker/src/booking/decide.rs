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
    let (inputs, verdict, verdict_stands) = match &loaded.decision {
        Some((before, verdict)) => again(before, verdict, inputs),
        None => {
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
    let mut inputs = Inputs {
        occurred_at: state.occurred_at,
        promo_codes: reported_code.into_iter().chain(stripe_codes).collect(),
        clicks: stripe_clicks.collect(),
        opted_out: state.hints.opted_out,
    };
    // A click that the merchant reported and that Stripe names too is one candidate.
    if let Some(reported) = reported_click {
        inputs.clicks.retain(|click| click.click_id != reported.click_id);
        inputs.clicks.insert(0, reported);
    }
    inputs
}

/// What a later fact makes of a decision: the same one, unless it names somebody new or moves the conversion in time.
fn again(before: &Inputs, verdict: &Verdict, inputs: Inputs) -> (Inputs, Verdict, bool) {
    let inputs = inputs.with_what_was_known(before);
    if inputs == *before {
        return (inputs, verdict.clone(), true);
    }
    let anew = attribution::attribute(&inputs);
    if anew == *verdict {
        (before.clone(), anew, true)
    } else {
        (inputs, anew, false)
    }
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
