//! Who earns for a conversion, and why. The verdict is a function of its inputs, which are stored with it; whatever is told
//! to people is rendered from the verdict.

use serde::{Deserialize, Serialize};

use crate::fact::ClickSource;
use crate::ids::{LinkId, ParticipantId, ProgramId};
use crate::status::{ParticipantStatus, ProgramStatus, words};
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

/// What is known of something a conversion named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "known", rename_all = "snake_case")]
pub enum Sighting<T> {
    /// Ours, in this workspace and mode.
    Here(T),
    /// Ours, in this workspace's other mode.
    OtherMode,
    /// Not ours, or another workspace's.
    Unknown,
}

/// A participant and its program, as they stood when the decision was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The participant.
    pub participant_id: ParticipantId,
    /// Its status.
    pub participant_status: ParticipantStatus,
    /// The program.
    pub program_id: ProgramId,
    /// Its status.
    pub program_status: ProgramStatus,
    /// Its attribution window, in days.
    pub window_days: i64,
}

/// A click that a conversion named, opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenClick {
    /// When it was registered.
    pub at: Instant,
    /// On which link.
    pub link_id: LinkId,
    /// Whose link.
    #[serde(flatten)]
    pub standing: Standing,
}

/// A click as a conversion names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickInput {
    /// The UUID.
    pub click_id: String,
    /// Where it stood, when Stripe brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ClickSource>,
    /// What is known of it.
    #[serde(flatten)]
    pub sighting: Sighting<SeenClick>,
}

/// A promo code as a conversion names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromoInput {
    /// The code, or Stripe's `promo_…` id.
    pub code: String,
    /// What is known of it.
    #[serde(flatten)]
    pub sighting: Sighting<Standing>,
}

/// Everything a decision looks at. Stored with it, so that it can be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// When the conversion happened.
    pub occurred_at: Instant,
    /// Promo codes named, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promo_codes: Vec<PromoInput>,
    /// Clicks named, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clicks: Vec<ClickInput>,
    /// What the subscription's first attributed sale brought: its renewals inherit it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited: Option<Inherited>,
    /// The merchant took this money out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opted_out: bool,
}

/// The credit of a subscription, and how its participant stands now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    /// How the participant came to the subscription.
    pub method: Method,
    /// The click that won then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
    /// The code that won then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promo_code: Option<String>,
    /// Whose subscription it is.
    pub standing: Standing,
}

impl Inputs {
    /// These inputs with everything that was known `before` as it was known then: a candidate is judged when the conversion
    /// comes, not again with every later fact.
    pub fn with_what_was_known(mut self, before: &Self) -> Self {
        for click in &mut self.clicks {
            if let Some(known) = before.clicks.iter().find(|known| known.click_id == click.click_id) {
                *click = known.clone();
            }
        }
        for promo in &mut self.promo_codes {
            if let Some(known) = before.promo_codes.iter().find(|known| known.code == promo.code) {
                *promo = known.clone();
            }
        }
        if let (Some(inherited), Some(known)) = (&mut self.inherited, &before.inherited)
            && inherited.standing.participant_id == known.standing.participant_id
        {
            inherited.standing = known.standing.clone();
        }
        self
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
    if inputs.promo_codes.is_empty() && inputs.clicks.is_empty() {
        return Err(Refusal::NoSignal);
    }
    let elsewhere = inputs.promo_codes.iter().any(|promo| promo.sighting == Sighting::OtherMode)
        || inputs.clicks.iter().any(|click| click.sighting == Sighting::OtherMode);
    if elsewhere { Err(Refusal::ModeMismatch) } else { Ok(()) }
}

/// Decides who earns for a conversion. Candidates in order: for a renewal its subscription's credit, then promo codes, clicks; one that fails gives way to the next, and
/// if none is left, the reason is the first one's.
pub fn attribute(inputs: &Inputs) -> Verdict {
    if inputs.opted_out {
        return Verdict { credit: None, reason: Reason::OptedOut, candidates: Vec::new() };
    }
    let promo_codes = inputs.promo_codes.iter().map(judge_promo);
    let clicks = inputs.clicks.iter().map(|click| judge_click(click, inputs.occurred_at));
    let inherited = inputs.inherited.iter().map(judge_inherited);
    let mut candidates = Vec::new();
    let mut credit: Option<Credit> = None;
    for judged in inherited.chain(promo_codes).chain(clicks) {
        let outcome = match (&credit, judged.standing) {
            (Some(_), _) => Outcome::NotNeeded,
            (None, Err(reason)) => Outcome::Lost(reason),
            (None, Ok(standing)) => {
                credit = Some(Credit {
                    method: judged.method,
                    participant_id: standing.participant_id.clone(),
                    program_id: standing.program_id.clone(),
                    click_id: (judged.method == Method::Click).then(|| judged.value.clone()),
                    promo_code: (judged.method == Method::PromoCode).then(|| judged.value.clone()),
                });
                Outcome::Won
            }
        };
        candidates.push(Candidate { method: judged.method, value: judged.value, inherited: judged.inherited, outcome });
    }
    let reason = match (&credit, candidates.first().map(|first| first.outcome)) {
        (Some(won), _) => won_by(won.method),
        (None, Some(Outcome::Lost(first))) => first,
        (None, _) => Reason::NoSignal,
    };
    Verdict { credit, reason, candidates }
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
    standing: Result<&'a Standing, Reason>,
}

fn judge_promo(promo: &PromoInput) -> Judged<'_> {
    let standing = match &promo.sighting {
        Sighting::Unknown => Err(Reason::PromoCodeNotFound),
        Sighting::OtherMode => Err(Reason::ModeMismatch),
        Sighting::Here(standing) => gates(standing),
    };
    Judged { method: Method::PromoCode, value: promo.code.clone(), inherited: false, standing }
}

fn judge_click(click: &ClickInput, occurred_at: Instant) -> Judged<'_> {
    let standing = match &click.sighting {
        Sighting::Unknown => Err(Reason::ClickNotFound),
        Sighting::OtherMode => Err(Reason::ModeMismatch),
        Sighting::Here(seen) => {
            window(occurred_at.since_ms(seen.at), seen.standing.window_days).and_then(|()| gates(&seen.standing))
        }
    };
    Judged { method: Method::Click, value: click.click_id.clone(), inherited: false, standing }
}

/// The window was judged when the subscription began; the gates are judged at each payment.
fn judge_inherited(inherited: &Inherited) -> Judged<'_> {
    let named = inherited.click_id.as_ref().or(inherited.promo_code.as_ref());
    Judged {
        method: inherited.method,
        value: named.cloned().unwrap_or_default(),
        inherited: true,
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
        Inputs { occurred_at: NOW, promo_codes, clicks, inherited: None, opted_out: false }
    }

    fn promo(sighting: Sighting<Standing>) -> PromoInput {
        PromoInput { code: "ANNA".to_owned(), sighting }
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
    fn a_report_without_signal_or_of_the_other_mode_is_refused() {
        let other = ClickInput { click_id: "c".to_owned(), source: None, sighting: Sighting::OtherMode };
        assert_eq!(admit(&inputs(vec![], vec![])), Err(Refusal::NoSignal));
        assert_eq!(admit(&inputs(vec![other], vec![promo(Sighting::Here(standing()))])), Err(Refusal::ModeMismatch));
        assert_eq!(admit(&inputs(vec![], vec![promo(Sighting::Unknown)])), Ok(()));
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
