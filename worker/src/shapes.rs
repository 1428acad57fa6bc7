//! The JSON shapes of objects, as clients see them: in answers, and in the events of the outbox.

pub mod payouts;
pub mod webhooks;

use domain::attribution::{Inputs, Refusal, Verdict};
use domain::mode::Mode;
use domain::reward::{Rate, RewardVersion};
use domain::time::Instant;
use serde_json::{Value as Json, json};

use crate::store::Scope;
use crate::store::acts::Listed as Act;
use crate::store::clicks::Click;
use crate::store::commissions::Commission;
use crate::store::conversions::{Conversion, Decision};
use crate::store::events::Listed as Event;
use crate::store::links::{Link, PromoCode};
use crate::store::partners::{Participant, Partner};
use crate::store::programs::Program;
use crate::store::rewards::Reward;
use crate::store::stripe_events::{Connection, Listed as StripeEvent};
use crate::store::stripe_lookups::Lookup as StripeLookup;

/// A refusal's error code.
pub const fn refusal_code(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NoSignal => "NO_ATTRIBUTION_SIGNAL",
        Refusal::ModeMismatch => "MODE_MISMATCH",
    }
}

/// A conversion.
pub fn conversion(conversion: &Conversion, mode: Mode, commission_id: Option<&str>) -> Json {
    let reported = &conversion.reported;
    json!({
        "id": conversion.id,
        "mode": mode,
        "source": conversion.source.as_str(),
        "status": conversion.status.as_str(),
        "external_transaction_id": reported.external_transaction_id,
        "event_type": conversion.event_type,
        "amount_cents": conversion.amount_cents,
        "currency": conversion.currency,
        "refunded_cents": conversion.refunded_cents,
        "occurred_at": conversion.occurred_at.to_string(),
        "click_id": reported.click_id,
        "promo_code": reported.promo_code,
        "customer_external_id": reported.customer_external_id,
        "metadata": reported.metadata,
        "stripe": conversion.stripe,
        "attribution": {
            "status": if conversion.participant_id.is_some() { "attributed" } else { "unattributed" },
            "method": conversion.method.map(|method| method.as_str()),
            "reason": conversion.reason.as_str(),
            "click_id": conversion.attributed_click_id,
            "promo_code": conversion.attributed_promo_code,
            "program_id": conversion.program_id,
            "participant_id": conversion.participant_id,
        },
        "decision_id": conversion.decision_id,
        "commission_id": commission_id,
        "customer_id": conversion.customer_id,
        "created_at": conversion.created_at.to_string(),
    })
}

/// Why a conversion was or was not credited; rendered from the decision itself.
pub fn explanation(inputs: &Inputs, verdict: &Verdict) -> Json {
    let candidates: Vec<Json> = verdict
        .candidates
        .iter()
        .map(|candidate| {
            let outcome = match candidate.outcome {
                domain::attribution::Outcome::Won => "won",
                domain::attribution::Outcome::NotNeeded => "not_needed",
                domain::attribution::Outcome::Lost(reason) => reason.as_str(),
            };
            json!({ "method": candidate.method.as_str(), "value": key_shown(&candidate.value), "outcome": outcome })
        })
        .collect();
    json!({ "inputs": inputs_shown(inputs), "candidates": candidates, "steps": steps_shown(verdict) })
}

/// The steps, with no hash in them.
fn steps_shown(verdict: &Verdict) -> Vec<String> {
    let mut verdict = verdict.clone();
    for candidate in &mut verdict.candidates {
        candidate.value = key_shown(&candidate.value).to_owned();
    }
    verdict.steps()
}

/// A candidate's value; of a customer's address its hash is nobody's business.
fn key_shown(value: &str) -> &str {
    if value.starts_with("email/") { "email" } else { value }
}

/// The inputs with their times as ISO 8601, as every time in an answer, and without the hashes of addresses.
fn inputs_shown(inputs: &Inputs) -> Json {
    let mut shown = json!(inputs);
    shown["occurred_at"] = json!(inputs.occurred_at.to_string());
    for customer in shown.get_mut("customers").and_then(Json::as_array_mut).into_iter().flatten() {
        let key = customer["key"].as_str().map(key_shown);
        customer["key"] = json!(key);
    }
    if let Some(clicks) = shown.get_mut("clicks").and_then(Json::as_array_mut) {
        for click in clicks {
            if let Some(at) = click["at"].as_i64() {
                click["at"] = json!(domain::time::Instant::from_ms(at).to_string());
            }
        }
    }
    shown
}

/// A decision, as the audit lists it.
pub fn decision(decision: &Decision, mode: Mode) -> Json {
    let credit = decision.verdict.credit.as_ref();
    json!({
        "id": decision.id,
        "mode": mode,
        "conversion_id": decision.conversion_id,
        "external_transaction_id": decision.external_transaction_id,
        "status": if credit.is_some() { "attributed" } else { "unattributed" },
        "method": credit.map(|credit| credit.method.as_str()),
        "reason": decision.verdict.reason.as_str(),
        "click_id": credit.and_then(|credit| credit.click_id.as_deref()),
        "promo_code": credit.and_then(|credit| credit.promo_code.as_deref()),
        "program_id": credit.map(|credit| &credit.program_id),
        "participant_id": credit.map(|credit| &credit.participant_id),
        "refused": decision.refused,
        "rule_version": decision.rule_version,
        "explanation": explanation(&decision.inputs, &decision.verdict),
        "created_at": decision.created_at.to_string(),
    })
}

/// What a person did, and why. `by` is who, as [`crate::routes::acts::by`] tells it.
pub fn act(act: &Act, by: &Json) -> Json {
    json!({
        "id": act.id, "kind": act.kind, "subject": act.subject, "reason": act.reason, "detail": act.detail,
        "by": by, "request_id": act.request_id, "created_at": act.created_at.to_string(),
    })
}

/// A commission with its entries.
pub fn commission(commission: &Commission, mode: Mode) -> Json {
    let entries: Vec<Json> = commission
        .entries
        .iter()
        .map(|entry| {
            json!({
                "amount_cents": entry.amount_cents, "kind": entry.kind, "cause": entry.cause,
                "created_at": domain::time::Instant::from_ms(entry.created_at).to_string(),
            })
        })
        .collect();
    json!({
        "id": commission.id,
        "mode": mode,
        "conversion_id": commission.conversion_id,
        "participant_id": commission.participant_id,
        "program_id": commission.program_id,
        "amount_cents": commission.entries.iter().map(|entry| entry.amount_cents).sum::<i64>(),
        "currency": commission.currency,
        "state": commission.state.as_str(),
        "needs_review": !commission.needs_review.is_empty(),
        "review_reasons": commission.needs_review,
        "disputed": commission.disputed,
        "hold_until": commission.hold_until.to_string(),
        "reward_version": commission.reward_version,
        "entries": entries,
        "created_at": commission.created_at.to_string(),
    })
}

/// A click.
pub fn click(click: &Click) -> Json {
    let record = &click.record;
    json!({
        "id": record.click_id,
        "click_id": record.click_id,
        "mode": record.mode,
        "link_id": click.link_id,
        "participant_id": click.participant_id,
        "url": record.url,
        "referrer": record.referrer,
        "human": record.human,
        "flags": record.flags,
        "device": record.device,
        "browser": record.browser,
        "country": record.country,
        "request_id": record.request_id,
        "created_at": record.clicked_at.to_string(),
    })
}

/// A reward's version.
pub fn reward(version: &RewardVersion) -> Json {
    let (percent_bps, flat) = match version.rate {
        Rate::PercentBps(bps) => (Some(bps), None),
        Rate::Flat { amount_cents, currency } => {
            (None, Some(json!({ "amount_cents": amount_cents, "currency": currency })))
        }
    };
    json!({
        "id": version.reward_id,
        "version_id": version.id,
        "version": version.version,
        "participant_id": version.participant_id,
        "trigger": version.trigger.as_str(),
        "event_type": version.event_type,
        "percent_bps": percent_bps,
        "flat": flat,
        "basis": version.basis.as_str(),
        "hold_days": version.hold_days,
        "auto_approve": version.auto_approve,
        "payments_max": version.payments_max,
        "valid_from": version.valid_from.to_string(),
        "retired": version.retired,
    })
}

/// A reward, outside its program.
pub fn reward_of_its_own(of_its_own: &Reward, mode: Mode) -> Json {
    let mut shape = reward(&of_its_own.current);
    shape["mode"] = json!(mode);
    shape["program_id"] = json!(of_its_own.current.program_id);
    shape["created_at"] = json!(of_its_own.created_at.to_string());
    shape
}

/// A program with the newest version of each of its rewards; participants' own and retired ones are listed under rewards.
pub fn program(program: &Program, versions: &[RewardVersion], mode: Mode) -> Json {
    let newest = versions.iter().filter(|version| {
        let superseded = versions.iter().any(|v| v.reward_id == version.reward_id && v.version > version.version);
        version.program_id == program.id && version.participant_id.is_none() && !superseded && !version.retired
    });
    json!({
        "id": program.id,
        "mode": mode,
        "name": program.name,
        "slug": program.slug,
        "status": program.status.as_str(),
        "attribution_window_days": program.attribution_window_days,
        "attribution_model": program.attribution_model.as_str(),
        "fraud": program.fraud.complete(),
        "reverse_pending_on_end": program.reverse_pending_on_end,
        "minimum_payout_cents": program.minimum_payout_cents,
        "terms": program.terms,
        "applications": program.applications.as_str(),
        "rewards": newest.map(reward).collect::<Vec<_>>(),
        "created_at": program.created_at.to_string(),
    })
}

/// A partner.
pub fn partner(partner: &Partner, mode: Mode) -> Json {
    json!({
        "id": partner.id, "mode": mode, "name": partner.name, "email": partner.email,
        "erased_at": partner.erased_at.map(|at| at.to_string()),
        "created_at": partner.created_at.to_string(),
    })
}

/// A participant.
pub fn participant(participant: &Participant, mode: Mode) -> Json {
    json!({
        "id": participant.id, "mode": mode, "program_id": participant.program_id, "partner_id": participant.partner_id,
        "status": participant.status.as_str(), "created_at": participant.created_at.to_string(),
    })
}

/// A link, with the short link's URL at this origin.
pub fn link(link: &Link, mode: Mode, origin: &str) -> Json {
    json!({
        "id": link.id, "mode": mode, "participant_id": link.participant_id, "ref": link.link_ref, "slug": link.slug,
        "landing_url": link.landing_url, "name": link.name, "status": link.status.as_str(),
        "clicks": link.clicks, "short_url": format!("{origin}/r/{}", link.slug), "created_at": link.created_at.to_string(),
    })
}

/// A promo code.
pub fn promo_code(promo: &PromoCode, mode: Mode) -> Json {
    json!({
        "id": promo.id, "mode": mode, "participant_id": promo.participant_id, "code": promo.code,
        "stripe_promotion_code_id": promo.stripe_promotion_code_id, "created_at": promo.created_at.to_string(),
    })
}

/// A Stripe connection; its secret and its key are never shown again.
pub fn connection(connection: &Connection, origin: &str, now: Instant) -> Json {
    let previous = connection.previous.as_ref().filter(|(_, until)| now < *until);
    json!({
        "id": connection.id, "mode": connection.scope.mode, "url": format!("{origin}/webhooks/stripe/{}", connection.id),
        "has_restricted_key": connection.restricted_key.is_some(),
        "previous_secret_accepted_until": previous.map(|(_, until)| until.to_string()),
        "created_at": connection.created_at.to_string(),
    })
}

/// A Stripe connection with its reconciliation, and how many look-ups are pending and given up, and why the last one was.
pub fn connection_with_lookups(
    of: &Connection,
    origin: &str,
    now: Instant,
    reconcile: Option<&StripeLookup>,
    (pending, failed, last_error): (i64, i64, Option<String>),
) -> Json {
    let mut shown = connection(of, origin, now);
    shown["reconcile"] = json!(reconcile.map(|job| json!({
        "state": job.state.as_str(), "found": job.found, "new": job.new, "last_error": job.last_error,
        "started_at": job.started_at.to_string(), "finished_at": job.finished_at.map(|at| at.to_string()),
    })));
    shown["lookups"] = json!({ "pending": pending, "failed": failed, "last_error": last_error });
    shown
}

/// Something that Stripe's API was asked.
pub fn stripe_lookup(lookup: &StripeLookup) -> Json {
    json!({
        "id": lookup.id, "mode": lookup.scope.mode, "connection_id": lookup.connection_id, "kind": lookup.kind.as_str(),
        "subject": lookup.subject, "state": lookup.state.as_str(), "found": lookup.found, "attempts": lookup.attempts,
        "last_error": lookup.last_error, "finished_at": lookup.finished_at.map(|at| at.to_string()),
        "created_at": lookup.started_at.to_string(),
    })
}

/// A Stripe event of the ingress log.
pub fn stripe_event(event: &StripeEvent) -> Json {
    json!({
        "id": event.id, "mode": event.mode, "connection_id": event.connection_id, "stripe_id": event.stripe_id,
        "type": event.kind, "outcome": event.outcome.as_str(), "reason": event.reason, "request_id": event.request_id,
        "created_at": event.received_at.to_string(),
    })
}

/// An event of the outbox, as a receiver gets it.
pub fn event(event: &Event, scope: &Scope) -> Json {
    json!({
        "id": event.id, "type": event.kind, "api_version": "v1", "mode": scope.mode,
        "created_at": event.created_at.to_string(), "subject": event.subject, "sequence": event.sequence,
        "data": event.data,
    })
}
