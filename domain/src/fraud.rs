//! Fraud: what is remarkable about a conversion, and what a program wants done about it. Nothing is decided by a rule that
//! the program did not choose; none blocks by default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::email::EmailHashes;
use crate::ids::ParticipantId;
use crate::status::words;

/// A conversion this soon after its click was made by no hand.
pub const FAST_CONVERSION_MS: i64 = 800;
/// As many clicks of one address within an hour are a burst.
pub const CLICK_BURST_MIN: u32 = 20;
/// A refund rate is judged from this many conversions on.
pub const REFUND_RATE_CONVERSIONS_MIN: u32 = 10;
/// A refund rate from here on is high, in basis points.
pub const REFUND_RATE_HIGH_BPS: u32 = 3_000;

words! {
    /// What is remarkable.
    Rule {
        /// The buyer's address is the partner's, whole, without its plus part, or by its own domain.
        SelfReferral = "self_referral",
        /// The customer has bought before.
        RepeatPurchase = "repeat_purchase",
        /// The conversion came faster than a hand after the click.
        FastConversion = "fast_conversion",
        /// Many clicks came from the click's address.
        ClickBurst = "click_burst",
        /// The buyer's address belongs to a provider of throw-away addresses.
        DisposableEmail = "disposable_email",
        /// Much of what the participant brought was given back.
        HighRefundRate = "high_refund_rate",
    }
}

words! {
    /// What is done about it, from mild to severe.
    Response {
        /// It is shown.
        Flag = "flag",
        /// The commission waits for a person.
        Hold = "hold",
        /// Nobody is credited.
        Block = "block",
    }
}

impl Response {
    const fn severity(self) -> u8 {
        match self {
            Self::Flag => 0,
            Self::Hold => 1,
            Self::Block => 2,
        }
    }
}

/// What a program wants done, rule by rule. What it does not say is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy(pub BTreeMap<Rule, Response>);

impl Policy {
    /// What is done about a rule.
    pub fn response(&self, rule: Rule) -> Response {
        self.0.get(&rule).copied().unwrap_or(match rule {
            Rule::SelfReferral => Response::Hold,
            _ => Response::Flag,
        })
    }

    /// The same with every default said: what is shown to people, and what they send back.
    pub fn complete(&self) -> Self {
        let rules = Rule::WORDS.iter().filter_map(|word| Rule::parse(word));
        Self(rules.map(|rule| (rule, self.response(rule))).collect())
    }
}

/// What is known of a conversion and its surroundings when it is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// The buyer's address is the partner's own ([`is_own_address`]).
    pub own_address: bool,
    /// The buyer's address belongs to a provider of throw-away addresses.
    pub disposable: bool,
    /// Purchases of the same customer before this one.
    pub purchases_before: u32,
    /// From the click to the conversion.
    pub since_click_ms: Option<i64>,
    /// Clicks of the winning click's address hash in the hour before it.
    pub clicks_of_address: u32,
    /// The participant's conversions.
    pub participant_conversions: u32,
    /// Those given back.
    pub participant_refunded: u32,
}

/// A rule that fits, and what is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is remarkable.
    pub rule: Rule,
    /// What is done about it.
    pub response: Response,
}

/// A rule that fits a participant who was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Who would be credited.
    pub participant_id: ParticipantId,
    /// What is remarkable.
    pub rule: Rule,
    /// What is done about it.
    pub response: Response,
}

impl Found {
    /// As people are told.
    pub fn sentence(&self) -> String {
        let done = match self.response {
            Response::Flag => "shown",
            Response::Hold => "the commission waits for a person",
            Response::Block => "not credited",
        };
        format!("Remarkable of participant {}: {} ({done}).", self.participant_id, self.rule.explanation())
    }
}

impl Rule {
    /// The rule as a clause.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::SelfReferral => "the buyer's address is the partner's own",
            Self::RepeatPurchase => "the customer has bought before",
            Self::FastConversion => "the conversion came less than 800 ms after the click",
            Self::ClickBurst => "many clicks came from the click's address within an hour",
            Self::DisposableEmail => "the buyer's address is a throw-away one",
            Self::HighRefundRate => "much of what the participant brought was given back",
        }
    }
}

/// Whether a buyer's address is the partner's own: by its whole text, without the plus part, or by its domain, unless anybody
/// can have an address there.
pub fn is_own_address(buyer: &EmailHashes, partner: &EmailHashes, partner_domain_shared: bool) -> bool {
    buyer.exact == partner.exact
        || buyer.plain == partner.plain
        || (buyer.domain == partner.domain && !partner_domain_shared)
}

/// Everything remarkable, in the order of the rules.
pub fn findings(signals: &Signals, policy: &Policy) -> Vec<Finding> {
    let fits = [
        (Rule::SelfReferral, signals.own_address),
        (Rule::RepeatPurchase, signals.purchases_before > 0),
        (Rule::FastConversion, signals.since_click_ms.is_some_and(|ms| (0..FAST_CONVERSION_MS).contains(&ms))),
        (Rule::ClickBurst, signals.clicks_of_address >= CLICK_BURST_MIN),
        (Rule::DisposableEmail, signals.disposable),
        (Rule::HighRefundRate, has_high_refund_rate(signals)),
    ];
    fits.into_iter()
        .filter(|(_, fits)| *fits)
        .map(|(rule, _)| Finding { rule, response: policy.response(rule) })
        .collect()
}

/// Whether a response is as severe as another, or more.
pub const fn at_least(response: Response, other: Response) -> bool {
    response.severity() >= other.severity()
}

/// The most severe response among findings.
pub fn worst(findings: &[Finding]) -> Option<Response> {
    findings.iter().map(|finding| finding.response).max_by_key(|response| response.severity())
}

fn has_high_refund_rate(signals: &Signals) -> bool {
    signals.participant_conversions >= REFUND_RATE_CONVERSIONS_MIN
        && u64::from(signals.participant_refunded) * 10_000
            >= u64::from(signals.participant_conversions) * u64::from(REFUND_RATE_HIGH_BPS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::email::hash_email;

    fn rules(signals: &Signals) -> Vec<Rule> {
        findings(signals, &Policy::default()).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_partner_who_buys_from_himself_is_seen_by_address_plus_part_and_own_domain() {
        let check = |buyer: &str, partner: &str, shared: bool, expected: bool| {
            let hashed = |address| hash_email(b"k", address).unwrap();
            assert_eq!(is_own_address(&hashed(buyer), &hashed(partner), shared), expected, "{buyer} {partner}");
        };
        check("ann@own.test", "ANN@own.test", false, true);
        check("ann+x@own.test", "ann@own.test", false, true);
        check("bob@own.test", "ann@own.test", false, true);
        check("bob@mail.test", "ann@mail.test", true, false);
        check("ann+1@mail.test", "ann@mail.test", true, true);
        assert_eq!(rules(&Signals { own_address: true, ..Signals::default() }), [Rule::SelfReferral]);
        assert_eq!(rules(&Signals::default()), []);
    }

    #[test]
    fn each_rule_begins_where_it_says() {
        let check = |signals: Signals, expected: &[Rule]| assert_eq!(rules(&signals), expected, "{signals:?}");
        check(Signals { since_click_ms: Some(799), ..Signals::default() }, &[Rule::FastConversion]);
        check(Signals { since_click_ms: Some(800), ..Signals::default() }, &[]);
        check(Signals { since_click_ms: Some(-1), ..Signals::default() }, &[]);
        check(Signals { purchases_before: 1, ..Signals::default() }, &[Rule::RepeatPurchase]);
        check(Signals { clicks_of_address: 19, ..Signals::default() }, &[]);
        check(Signals { clicks_of_address: 20, ..Signals::default() }, &[Rule::ClickBurst]);
        let rate = |of, back| Signals { participant_conversions: of, participant_refunded: back, ..Signals::default() };
        check(rate(9, 9), &[]);
        check(rate(10, 2), &[]);
        check(rate(10, 3), &[Rule::HighRefundRate]);
    }

    #[test]
    fn nothing_blocks_by_default_and_a_program_may_choose_otherwise() {
        let policy = Policy::default();
        for rule in [Rule::RepeatPurchase, Rule::FastConversion, Rule::ClickBurst, Rule::DisposableEmail] {
            assert_eq!(policy.response(rule), Response::Flag);
        }
        assert_eq!(policy.response(Rule::SelfReferral), Response::Hold);
        let strict = Policy(BTreeMap::from([(Rule::RepeatPurchase, Response::Block)]));
        let again = Signals { purchases_before: 1, ..Signals::default() };
        assert_eq!(worst(&findings(&again, &strict)), Some(Response::Block));
        assert_eq!(worst(&[]), None);
    }

    #[test]
    fn a_policy_that_says_every_default_decides_as_before() {
        let chosen = Policy(BTreeMap::from([(Rule::RepeatPurchase, Response::Block)]));
        for policy in [Policy::default(), chosen] {
            let complete = policy.complete();
            assert_eq!(complete.0.len(), Rule::WORDS.len());
            for (rule, response) in &complete.0 {
                assert_eq!(*response, policy.response(*rule), "{rule:?}");
            }
        }
    }
}
