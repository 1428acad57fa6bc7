//! Who earns for a conversion, and why. The verdict is a function of its inputs, which are stored with it; whatever is told
//! to people is rendered from the verdict.

mod inputs;

use serde::{Deserialize, Serialize};

pub use self::inputs::{
    Bound, Burst, Buyer, ClickInput, CustomerInput, Inherited, Inputs, Manual, Person, PromoInput, SeenClick, Sighting,
    Standing, Surroundings,
};
use crate::fraud::{self, Found, Response};
use crate::ids::{ParticipantId, ProgramId};
use crate::status::{AttributionModel, ParticipantStatus, words};
use crate::time::{DAY_MS, Instant, MINUTE_MS};

/// The version of the rules in this file. It grows with every change that can change a verdict.
pub const RULE_VERSION: u32 = 1;

/// A conversion may be this much older than its click: clocks differ.
pub const CLICK_AHEAD_MS: i64 = 5 * MINUTE_MS;

/// A program's attribution window, in days.
pub const WINDOW_DAYS_DEFAULT: i64 = 30;
/// The longest window, in days; old click secrets are kept as long.
pub const WINDOW_DAYS_MAX: i64 = 365;

words! {
    /// How a conversion came to its participant.
    Method {
        /// By a promo code.
        PromoCode = "promo_code",
        /// By a click.
        Click = "click",
        /// By the customer's binding.
        Customer = "customer",
        /// By a person.
        Manual = "manual",
    }
}

words! {
    /// Why a conversion is attributed, or is not.
    Reason {
        /// A promo code won.
        AttributedPromoCode = "attributed_promo_code",
        /// A click won.
        AttributedClick = "attributed_click",
        /// The customer's binding won.
        AttributedCustomer = "attributed_customer",
        /// A person said so.
        AttributedManual = "attributed_manual",
        /// Nothing says who is to be credited.
        NoSignal = "no_signal",
        /// No click of ours, or of another workspace.
        ClickNotFound = "click_not_found",
        /// No such promo code.
        PromoCodeNotFound = "promo_code_not_found",
        /// The click is older than the program's window.
        WindowExpired = "window_expired",
        /// The click came after the conversion.
        ClickAfterConversion = "click_after_conversion",
        /// The participant is not approved.
        ParticipantNotApproved = "participant_not_approved",
        /// The program is paused or archived.
        ProgramInactive = "program_inactive",
        /// It exists in the other mode only.
        ModeMismatch = "mode_mismatch",
        /// The merchant took this money out.
        OptedOut = "opted_out",
        /// A fraud rule blocks it.
        FraudBlocked = "fraud_blocked",
    }
}

/// What became of one candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum Outcome {
    /// It earns.
    Won,
    /// It fails, and gives way to the next.
    Lost(Reason),
    /// One before it won already.
    NotNeeded,
}

/// One candidate, in the order in which they were tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// What kind of signal.
    pub method: Method,
    /// The click id or the code.
    pub value: String,
    /// It comes from the subscription's first attributed sale.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited: bool,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Who was credited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// By what.
    pub method: Method,
    /// The participant.
    pub participant_id: ParticipantId,
    /// Its program.
    pub program_id: ProgramId,
    /// The winning click.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
    /// The winning code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promo_code: Option<String>,
}

/// A decision's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Who earns, or nobody.
    pub credit: Option<Credit>,
    /// Why: the winner's reason, else the first candidate's.
    pub reason: Reason,
    /// Every candidate and what became of it.
    pub candidates: Vec<Candidate>,
    /// What the fraud rules found remarkable of those who were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Found>,
}

/// Why a report is refused before it is recorded. The decision is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing in it says who is to be credited.
    NoSignal,
    /// A click or code that it gives exists in the other mode only.
    ModeMismatch,
}

/// Whether a report over the API may be recorded at all. (Stripe's facts always are.)
pub fn admit(inputs: &Inputs) -> Result<(), Refusal> {
    let is_bound = inputs.customers.iter().any(|customer| matches!(customer.sighting, Sighting::Here(_)));
    if inputs.promo_codes.is_empty() && inputs.clicks.is_empty() && !is_bound {
        return Err(Refusal::NoSignal);
    }
    let elsewhere = inputs.promo_codes.iter().any(|promo| promo.sighting == Sighting::OtherMode)
        || inputs.clicks.iter().any(|click| click.sighting == Sighting::OtherMode);
    if elsewhere { Err(Refusal::ModeMismatch) } else { Ok(()) }
}

/// Decides who earns for a conversion. A person's word stands above everything. Else candidates in order: for a renewal its
/// subscription's credit; then promo codes, clicks, the customer's binding (before the clicks where its program credits the
/// first click, unless anybody could have bound it). One that fails gives way to the next; if none is left, the reason is the
/// first one's.
pub fn attribute(inputs: &Inputs) -> Verdict {
    if let Some(manual) = &inputs.manual {
        return by_hand(manual);
    }
    if inputs.opted_out {
        return Verdict { credit: None, reason: Reason::OptedOut, candidates: Vec::new(), findings: Vec::new() };
    }
    let mut candidates = Vec::new();
    let mut findings = Vec::new();
    let mut credit: Option<Credit> = None;
    for judged in in_order(inputs) {
        let outcome = match (&credit, judged.standing) {
            (Some(_), _) => Outcome::NotNeeded,
            (None, Err(reason)) => Outcome::Lost(reason),
            (None, Ok(standing)) => {
                let found = remarkable(inputs, &judged, standing);
                let blocked = found.iter().any(|found| found.response == Response::Block);
                findings.extend(found);
                if blocked {
                    Outcome::Lost(Reason::FraudBlocked)
                } else {
                    credit = Some(Credit {
                        method: judged.method,
                        participant_id: standing.participant_id.clone(),
                        program_id: standing.program_id.clone(),
                        click_id: (judged.method == Method::Click).then(|| judged.value.clone()),
                        promo_code: (judged.method == Method::PromoCode).then(|| judged.value.clone()),
                    });
                    Outcome::Won
                }
            }
        };
        candidates.push(Candidate { method: judged.method, value: judged.value, inherited: judged.inherited, outcome });
    }
    let reason = match (&credit, candidates.first().map(|first| first.outcome)) {
        (Some(won), _) => won_by(won.method),
        (None, Some(Outcome::Lost(first))) => first,
        (None, _) => Reason::NoSignal,
    };
    Verdict { credit, reason, candidates, findings }
}

/// Whether the credit rests on what anybody could have said: on how a customer was bound, now or when the subscription began.
pub fn is_unauthenticated(inputs: &Inputs, verdict: &Verdict) -> bool {
    let won = verdict.candidates.iter().find(|candidate| candidate.outcome == Outcome::Won);
    let Some(won) = won else { return false };
    if won.inherited {
        return inputs.inherited.as_ref().is_some_and(|inherited| inherited.unauthenticated);
    }
    let by_key = |customer: &&CustomerInput| won.method == Method::Customer && customer.key == won.value;
    let bound = inputs.customers.iter().find(by_key).map(|customer| &customer.sighting);
    matches!(bound, Some(Sighting::Here(bound)) if bound.unauthenticated)
}

fn by_hand(manual: &Manual) -> Verdict {
    let credit = Credit {
        method: Method::Manual,
        participant_id: manual.participant_id.clone(),
        program_id: manual.program_id.clone(),
        click_id: None,
        promo_code: None,
    };
    let candidate =
        Candidate { method: Method::Manual, value: manual.act_id.to_string(), inherited: false, outcome: Outcome::Won };
    Verdict {
        credit: Some(credit),
        reason: Reason::AttributedManual,
        candidates: vec![candidate],
        findings: Vec::new(),
    }
}

/// The candidates in the order in which they are tried.
fn in_order(inputs: &Inputs) -> Vec<Judged<'_>> {
    let inherited = inputs.inherited.iter().map(judge_inherited);
    let promo_codes = inputs.promo_codes.iter().map(judge_promo);
    let clicks = inputs.clicks.iter().map(|click| judge_click(click, inputs.occurred_at));
    let is_early = |bound: &Bound| bound.model == AttributionModel::FirstClick && !bound.unauthenticated;
    let bindings = |early: bool| {
        let bound = inputs.customers.iter().filter_map(move |customer| match &customer.sighting {
            Sighting::Here(bound) if is_early(bound) == early => Some((customer.key.as_str(), &bound.standing)),
            _ => None,
        });
        let mut firsts: Vec<Judged<'_>> = Vec::new();
        for (key, standing) in bound {
            // A customer that is known by several keys is one candidate.
            let told = |first: &Judged<'_>| first.participant_id == Some(&standing.participant_id);
            if !firsts.iter().any(told) {
                firsts.push(judge_binding(key, standing));
            }
        }
        firsts
    };
    inherited.chain(promo_codes).chain(bindings(true)).chain(clicks).chain(bindings(false)).collect()
}

/// What the fraud rules say of a candidate who would be credited. A renewal was judged when its subscription began.
fn remarkable(inputs: &Inputs, judged: &Judged<'_>, standing: &Standing) -> Vec<Found> {
    if judged.inherited {
        return inputs.inherited.iter().flat_map(|inherited| inherited.findings.iter().cloned()).collect();
    }
    let surroundings = &inputs.surroundings;
    let Some(person) = surroundings.people.iter().find(|person| person.participant_id == standing.participant_id)
    else {
        return Vec::new();
    };
    let burst =
        surroundings.bursts.iter().find(|burst| judged.method == Method::Click && burst.click_id == judged.value);
    let signals = fraud::Signals {
        own_address: person.own_address,
        disposable: surroundings.buyer.is_some_and(|buyer| buyer.disposable),
        purchases_before: surroundings.purchases_before,
        since_click_ms: judged.clicked_at.map(|at| inputs.occurred_at.since_ms(at)),
        clicks_of_address: burst.map_or(0, |burst| burst.clicks),
        participant_conversions: person.conversions,
        participant_refunded: person.refunded,
    };
    fraud::findings(&signals, &person.policy)
        .into_iter()
        .map(|finding| Found {
            participant_id: standing.participant_id.clone(),
            rule: finding.rule,
            response: finding.response,
        })
        .collect()
}

const fn won_by(method: Method) -> Reason {
    match method {
        Method::PromoCode => Reason::AttributedPromoCode,
        Method::Click => Reason::AttributedClick,
        Method::Customer => Reason::AttributedCustomer,
        Method::Manual => Reason::AttributedManual,
    }
}

/// A candidate, and whether it could earn.
struct Judged<'a> {
    method: Method,
    value: String,
    inherited: bool,
    /// Whose it is, where that is known.
    participant_id: Option<&'a ParticipantId>,
    clicked_at: Option<Instant>,
    standing: Result<&'a Standing, Reason>,
}

fn judge_promo(promo: &PromoInput) -> Judged<'_> {
    let standing = match &promo.sighting {
        Sighting::Unknown => Err(Reason::PromoCodeNotFound),
        Sighting::OtherMode => Err(Reason::ModeMismatch),
        Sighting::Here(standing) => gates(standing),
    };
    Judged {
        method: Method::PromoCode,
        value: promo.code.clone(),
        inherited: false,
        participant_id: None,
        clicked_at: None,
        standing,
    }
}

/// The window was judged when the customer was bound; the gates are judged at each conversion.
fn judge_binding<'a>(key: &str, standing: &'a Standing) -> Judged<'a> {
    Judged {
        method: Method::Customer,
        value: key.to_owned(),
        inherited: false,
        participant_id: Some(&standing.participant_id),
        clicked_at: None,
        standing: gates(standing),
    }
}

fn judge_click(click: &ClickInput, occurred_at: Instant) -> Judged<'_> {
    let standing = match &click.sighting {
        Sighting::Unknown => Err(Reason::ClickNotFound),
        Sighting::OtherMode => Err(Reason::ModeMismatch),
        Sighting::Here(seen) => {
            window(occurred_at.since_ms(seen.at), seen.standing.window_days).and_then(|()| gates(&seen.standing))
        }
    };
    let clicked_at = match &click.sighting {
        Sighting::Here(seen) => Some(seen.at),
        _ => None,
    };
    Judged {
        method: Method::Click,
        value: click.click_id.clone(),
        inherited: false,
        participant_id: None,
        clicked_at,
        standing,
    }
}

/// The window was judged when the subscription began; the gates are judged at each payment.
fn judge_inherited(inherited: &Inherited) -> Judged<'_> {
    let named = inherited.click_id.as_ref().or(inherited.promo_code.as_ref());
    Judged {
        method: inherited.method,
        value: named.cloned().unwrap_or_default(),
        inherited: true,
        participant_id: Some(&inherited.standing.participant_id),
        clicked_at: None,
        standing: gates(&inherited.standing),
    }
}

/// −5 minutes ≤ age ≤ the window, both ends included.
fn window(age_ms: i64, window_days: i64) -> Result<(), Reason> {
    if age_ms < -CLICK_AHEAD_MS {
        Err(Reason::ClickAfterConversion)
    } else if age_ms > window_days.saturating_mul(DAY_MS) {
        Err(Reason::WindowExpired)
    } else {
        Ok(())
    }
}

fn gates(standing: &Standing) -> Result<&Standing, Reason> {
    if standing.participant_status != ParticipantStatus::Approved {
        Err(Reason::ParticipantNotApproved)
    } else if !standing.program_status.earns() {
        Err(Reason::ProgramInactive)
    } else {
        Ok(standing)
    }
}

impl Verdict {
    /// The decision as sentences, in the order in which it was made.
    pub fn steps(&self) -> Vec<String> {
        let mut steps: Vec<String> = self.candidates.iter().map(step).collect();
        steps.extend(self.findings.iter().map(Found::sentence));
        steps.push(match &self.credit {
            Some(credit) => format!("Credited to participant {} by {}.", credit.participant_id, credit.method.as_str()),
            None => format!("Not credited: {}.", self.reason.explanation()),
        });
        steps
    }
}

fn step(candidate: &Candidate) -> String {
    let what = match candidate.method {
        Method::PromoCode => "Promo code",
        Method::Click => "Click",
        Method::Customer => "Customer",
        Method::Manual => "By hand",
    };
    let origin = if candidate.inherited { " of the subscription's first sale" } else { "" };
    match candidate.outcome {
        Outcome::Won => format!("{what} {}{origin}: valid.", candidate.value),
        Outcome::Lost(reason) => format!("{what} {}{origin}: {}.", candidate.value, reason.explanation()),
        Outcome::NotNeeded => format!("{what} {}: not looked at, since a stronger signal won.", candidate.value),
    }
}

impl Reason {
    /// The reason as a clause.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::AttributedPromoCode => "a promo code of the participant was used",
            Self::AttributedClick => "the buyer came by the participant's link",
            Self::AttributedCustomer => "the customer was won by the participant before",
            Self::AttributedManual => "a member attributed it by hand",
            Self::NoSignal => "nothing said who is to be credited",
            Self::ClickNotFound => "no click of this workspace has this id",
            Self::PromoCodeNotFound => "no promo code of this workspace reads so",
            Self::WindowExpired => "the click is older than the program's attribution window",
            Self::ClickAfterConversion => "the click came after the conversion",
            Self::ParticipantNotApproved => "the participant is not approved",
            Self::ProgramInactive => "the program is paused or archived",
            Self::ModeMismatch => "it exists in the other mode only",
            Self::OptedOut => "the merchant took this money out of the program",
            Self::FraudBlocked => "a fraud rule blocks it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::LinkId;
    use crate::status::ProgramStatus;

    const NOW: Instant = Instant::from_ms(1_800_000_000_000);

    fn standing() -> Standing {
        Standing {
            participant_id: ParticipantId::make(NOW, [1; 10]),
            participant_status: ParticipantStatus::Approved,
            program_id: ProgramId::make(NOW, [2; 10]),
            program_status: ProgramStatus::Active,
            window_days: 30,
        }
    }

    fn click(age_ms: i64, standing: Standing) -> ClickInput {
        let seen = SeenClick { at: NOW.plus_ms(-age_ms), link_id: LinkId::make(NOW, [3; 10]), standing };
        ClickInput { click_id: "c".to_owned(), source: None, sighting: Sighting::Here(seen) }
    }

    fn inputs(clicks: Vec<ClickInput>, promo_codes: Vec<PromoInput>) -> Inputs {
        Inputs {
            occurred_at: NOW,
            promo_codes,
            clicks,
            inherited: None,
            customers: Vec::new(),
            opted_out: false,
            manual: None,
            surroundings: Surroundings::default(),
        }
    }

    fn bound(key: &str, model: AttributionModel, standing: Standing) -> CustomerInput {
        CustomerInput {
            key: key.to_owned(),
            sighting: Sighting::Here(Bound { model, unauthenticated: false, standing }),
        }
    }

    fn promo(sighting: Sighting<Standing>) -> PromoInput {
        PromoInput { code: "ANNA".to_owned(), stripe: false, sighting }
    }

    fn check(inputs: Inputs, expected: Reason) {
        assert_eq!(attribute(&inputs).reason, expected, "{inputs:?}");
    }

    #[test]
    fn a_click_counts_from_five_minutes_ahead_to_the_end_of_the_window_to_the_millisecond() {
        let at_age = |age_ms| inputs(vec![click(age_ms, standing())], vec![]);
        check(at_age(0), Reason::AttributedClick);
        check(at_age(30 * DAY_MS), Reason::AttributedClick);
        check(at_age(30 * DAY_MS + 1), Reason::WindowExpired);
        check(at_age(-CLICK_AHEAD_MS), Reason::AttributedClick);
        check(at_age(-CLICK_AHEAD_MS - 1), Reason::ClickAfterConversion);
    }

    #[test]
    fn what_was_known_of_a_candidate_stays_known_and_new_ones_are_looked_at() {
        let suspended = Standing { participant_status: ParticipantStatus::Suspended, ..standing() };
        let new = ClickInput { click_id: "new".to_owned(), ..click(0, suspended.clone()) };
        let before = inputs(vec![click(0, standing())], vec![promo(Sighting::Unknown)]);
        let later = Inputs {
            occurred_at: NOW.plus_ms(1),
            ..inputs(vec![new.clone(), click(0, suspended)], vec![promo(Sighting::Here(standing()))])
        };
        let expected = Inputs {
            occurred_at: NOW.plus_ms(1),
            ..inputs(vec![new, click(0, standing())], vec![promo(Sighting::Unknown)])
        };
        assert_eq!(later.with_what_was_known(&before), expected);
    }

    #[test]
    fn gates_are_the_participant_then_the_program() {
        let with = |participant_status, program_status| {
            inputs(vec![click(0, Standing { participant_status, program_status, ..standing() })], vec![])
        };
        use ParticipantStatus as P;
        use ProgramStatus as G;
        check(with(P::Pending, G::Active), Reason::ParticipantNotApproved);
        check(with(P::Rejected, G::Active), Reason::ParticipantNotApproved);
        check(with(P::Suspended, G::Archived), Reason::ParticipantNotApproved);
        check(with(P::Approved, G::Draft), Reason::AttributedClick);
        check(with(P::Approved, G::Paused), Reason::ProgramInactive);
        check(with(P::Approved, G::Archived), Reason::ProgramInactive);
    }

    #[test]
    fn a_candidate_that_fails_gives_way_and_the_first_one_gives_the_reason() {
        let old = click(31 * DAY_MS, standing());
        let good = click(0, standing());
        check(inputs(vec![good.clone()], vec![promo(Sighting::Here(standing()))]), Reason::AttributedPromoCode);
        check(inputs(vec![good.clone()], vec![promo(Sighting::Unknown)]), Reason::AttributedClick);
        check(inputs(vec![old.clone()], vec![promo(Sighting::Unknown)]), Reason::PromoCodeNotFound);
        check(inputs(vec![old.clone(), good], vec![]), Reason::AttributedClick);
        check(inputs(vec![old], vec![]), Reason::WindowExpired);
        check(inputs(vec![], vec![]), Reason::NoSignal);
        check(Inputs { opted_out: true, ..inputs(vec![click(0, standing())], vec![]) }, Reason::OptedOut);
    }

    #[test]
    fn a_newer_click_wins_over_a_binding_unless_the_program_credits_the_first() {
        use AttributionModel as M;
        let other = Standing { participant_id: ParticipantId::make(NOW, [9; 10]), ..standing() };
        let with = |model, clicks: Vec<ClickInput>, codes| Inputs {
            customers: vec![bound("external/7", model, other.clone()), bound("email/h", model, other.clone())],
            ..inputs(clicks, codes)
        };
        check(with(M::LastClick, vec![click(0, standing())], vec![]), Reason::AttributedClick);
        check(with(M::FirstClick, vec![click(0, standing())], vec![]), Reason::AttributedCustomer);
        check(with(M::LastClick, vec![click(31 * DAY_MS, standing())], vec![]), Reason::AttributedCustomer);
        check(with(M::LastClick, vec![], vec![]), Reason::AttributedCustomer);
        let code = vec![promo(Sighting::Here(standing()))];
        check(with(M::FirstClick, vec![], code), Reason::AttributedPromoCode);
        // Known by two keys, the customer is one candidate.
        assert_eq!(attribute(&with(M::LastClick, vec![], vec![])).candidates.len(), 1);
        let suspended = Standing { participant_status: ParticipantStatus::Suspended, ..other.clone() };
        let gone = Inputs {
            customers: vec![bound("external/7", M::FirstClick, suspended)],
            ..inputs(vec![click(0, standing())], vec![])
        };
        check(gone, Reason::AttributedClick);
    }

    #[test]
    fn a_persons_word_stands_above_everything() {
        let manual = Manual {
            act_id: crate::ids::ActId::make(NOW, [5; 10]),
            participant_id: standing().participant_id,
            program_id: standing().program_id,
        };
        let by_hand = Inputs { manual: Some(manual), opted_out: true, ..inputs(vec![click(0, standing())], vec![]) };
        check(by_hand, Reason::AttributedManual);
    }

    #[test]
    fn a_fraud_rule_blocks_a_candidate_who_gives_way_to_the_next() {
        let policy = |response| fraud::Policy([(fraud::Rule::SelfReferral, response)].into());
        let person = |id: &Standing, response| Person {
            participant_id: id.participant_id.clone(),
            own_address: true,
            conversions: 0,
            refunded: 0,
            policy: policy(response),
        };
        let other = Standing { participant_id: ParticipantId::make(NOW, [9; 10]), ..standing() };
        let with = |response, codes| Inputs {
            surroundings: Surroundings {
                buyer: Some(Buyer { disposable: false }),
                people: vec![person(&standing(), response)],
                ..Surroundings::default()
            },
            ..inputs(vec![click(1_000, standing())], codes)
        };
        check(with(Response::Block, vec![]), Reason::FraudBlocked);
        check(with(Response::Block, vec![promo(Sighting::Here(other))]), Reason::AttributedPromoCode);
        let held = attribute(&with(Response::Hold, vec![]));
        assert_eq!((held.reason, held.findings.len()), (Reason::AttributedClick, 1));
        assert_eq!(held.findings[0].response, Response::Hold);
    }

    #[test]
    fn what_was_counted_of_a_click_stays_counted_and_a_buyer_who_is_told_later_is_looked_at() {
        let person = |own_address| Person {
            participant_id: standing().participant_id,
            own_address,
            conversions: 3,
            refunded: 0,
            policy: fraud::Policy::default(),
        };
        let burst = Burst { click_id: "c".to_owned(), clicks: 30 };
        let with = |buyer, people, bursts| Inputs {
            surroundings: Surroundings { buyer, purchases_before: 0, people, bursts },
            ..inputs(vec![click(1_000, standing())], vec![])
        };
        let before = with(None, vec![person(false)], vec![burst.clone()]);
        let later = with(Some(Buyer { disposable: true }), vec![Person { conversions: 9, ..person(true) }], vec![]);
        let expected = with(Some(Buyer { disposable: true }), vec![person(true)], vec![burst]);
        assert_eq!(later.with_what_was_known(&before), expected);
        let rules: Vec<_> = attribute(&expected).findings.iter().map(|found| found.rule).collect();
        assert_eq!(rules, [fraud::Rule::SelfReferral, fraud::Rule::ClickBurst, fraud::Rule::DisposableEmail]);
    }

    #[test]
    fn a_promotion_code_that_is_mapped_later_is_looked_at_again() {
        let of_stripe = |sighting| PromoInput { code: "promo_1".to_owned(), stripe: true, sighting };
        let before = inputs(vec![], vec![of_stripe(Sighting::Unknown)]);
        let later = inputs(vec![], vec![of_stripe(Sighting::Here(standing()))]);
        assert_eq!(later.clone().with_what_was_known(&before), later);
        let gone = inputs(vec![], vec![of_stripe(Sighting::Unknown)]);
        assert_eq!(gone.with_what_was_known(&later), later);
    }

    #[test]
    fn a_report_without_signal_or_of_the_other_mode_is_refused() {
        let other = ClickInput { click_id: "c".to_owned(), source: None, sighting: Sighting::OtherMode };
        assert_eq!(admit(&inputs(vec![], vec![])), Err(Refusal::NoSignal));
        assert_eq!(admit(&inputs(vec![other], vec![promo(Sighting::Here(standing()))])), Err(Refusal::ModeMismatch));
        assert_eq!(admit(&inputs(vec![], vec![promo(Sighting::Unknown)])), Ok(()));
        let customers = vec![bound("external/7", AttributionModel::LastClick, standing())];
        assert_eq!(admit(&Inputs { customers, ..inputs(vec![], vec![]) }), Ok(()));
        let customers = vec![CustomerInput { key: "external/7".to_owned(), sighting: Sighting::Unknown }];
        assert_eq!(admit(&Inputs { customers, ..inputs(vec![], vec![]) }), Err(Refusal::NoSignal));
    }

    #[test]
    fn every_candidate_and_why_it_lost_is_told() {
        let verdict = attribute(&inputs(vec![click(0, standing())], vec![promo(Sighting::Unknown)]));
        assert_eq!(
            verdict.steps(),
            [
                "Promo code ANNA: no promo code of this workspace reads so.".to_owned(),
                "Click c: valid.".to_owned(),
                format!("Credited to participant {} by click.", standing().participant_id),
            ]
        );
    }

    #[test]
    fn decision_format_unchanged() {
        let inputs = inputs(vec![click(1, standing())], vec![promo(Sighting::Unknown)]);
        let json = serde_json::to_string(&inputs).unwrap();
        assert_eq!(
            json,
            r#"{"occurred_at":1800000000000,"promo_codes":[{"code":"ANNA","known":"unknown"}],"clicks":[{"click_id":"c","known":"here","at":1799999999999,"link_id":"link_01mcc5rm000c1g60r30c1g60r3","participant_id":"ppt_01mcc5rm00040g2081040g2081","participant_status":"approved","program_id":"prog_01mcc5rm00081040g2081040g2","program_status":"active","window_days":30}]}"#
        );
        assert_eq!(serde_json::from_str::<Inputs>(&json).unwrap(), inputs);
        let verdict = attribute(&inputs);
        let json = serde_json::to_string(&verdict).unwrap();
        assert_eq!(
            json,
            r#"{"credit":{"method":"click","participant_id":"ppt_01mcc5rm00040g2081040g2081","program_id":"prog_01mcc5rm00081040g2081040g2","click_id":"c"},"reason":"attributed_click","candidates":[{"method":"promo_code","value":"ANNA","outcome":"lost","reason":"promo_code_not_found"},{"method":"click","value":"c","outcome":"won"}]}"#
        );
        assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
    }
}
