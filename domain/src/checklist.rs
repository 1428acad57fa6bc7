//! The go-live checklist: what must have been seen before a merchant may rely on live mode. It checks itself, from evidence.

use crate::time::Instant;

/// Stripe's event types without which sales or refunds would be missed.
pub const CHECKOUT_TYPE: &str = "checkout.session.completed";
/// See [`CHECKOUT_TYPE`]: of money that went back.
pub const REFUND_TYPE: &str = "charge.refunded";
/// See [`CHECKOUT_TYPE`]: of renewals; needed as soon as anything recurring is promised.
pub const INVOICE_TYPE: &str = "invoice.paid";
/// Types that are to be switched on too, and come only when there is a cause. None of them is waited for.
pub const OCCASIONAL_TYPES: [&str; 11] = [
    "checkout.session.async_payment_succeeded",
    "invoice_payment.paid",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.closed",
    "charge.updated",
    "customer.subscription.deleted",
    "customer.discount.created",
];

/// Something that was seen: which, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id, or whatever names it.
    pub what: String,
    /// When.
    pub at: Instant,
}

/// A live webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// Whether it is told anything.
    pub is_enabled: bool,
    /// The delivery of the last ping that arrived, and where that was.
    pub ping: Option<(Seen, String)>,
}

/// What there is to look at, all of live mode but the test run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The newest click of a person.
    pub click: Option<Seen>,
    /// A Stripe connection, and when it was made.
    pub connection: Option<Seen>,
    /// The newest event of Stripe whose signature held.
    pub stripe_event: Option<Seen>,
    /// The first event of each type: the type and the event.
    pub stripe_types: Vec<(String, Seen)>,
    /// Whether a reward pays for renewals.
    pub promises_renewals: bool,
    /// Webhook endpoints.
    pub endpoints: Vec<Endpoint>,
    /// The newest version of any reward.
    pub reward: Option<Seen>,
    /// When somebody said that the rewards are right; `what` is who.
    pub review: Option<Seen>,
    /// Test mode's first conversion that a click led to and that earned.
    pub test_run: Option<Seen>,
    /// The first conversion of which money went back.
    pub refunded_purchase: Option<Seen>,
    /// The newest program that is active.
    pub program: Option<Seen>,
}

/// What is checked, in the order in which one does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A whole run in test mode.
    TestRun,
    /// An active program.
    Program,
    /// The rewards, looked at.
    Rewards,
    /// A real click by the live key.
    Click,
    /// Stripe in live mode.
    Stripe,
    /// The types of event that are needed.
    StripeTypes,
    /// The merchant's own server.
    Webhook,
    /// A real purchase and its refund.
    Purchase,
}

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nobody has done it, or it has not come.
    Nothing,
    /// These types of event.
    Types(Vec<&'static str>),
    /// There is a connection, but no event came through it.
    NoEvent,
    /// There is no reward at all.
    NoReward,
    /// Rewards were changed after they were looked at.
    ChangedSince,
    /// No enabled endpoint is at an https address.
    NoHttpsEndpoint,
    /// There is one, and no ping has arrived where it is now.
    NoPing,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is checked.
    pub topic: Topic,
    /// What is missing; nothing once it is done.
    pub missing: Option<Missing>,
    /// What was seen, also where it does not suffice: what it shows, and which and when.
    pub evidence: Vec<(String, Seen)>,
}

/// Types that must have come.
pub fn required_types(promises_renewals: bool) -> Vec<&'static str> {
    let mut types = vec![CHECKOUT_TYPE, REFUND_TYPE];
    if promises_renewals {
        types.push(INVOICE_TYPE);
    }
    types
}

/// The whole list.
pub fn items(facts: &Facts) -> Vec<Item> {
    let seen = |topic, what: &str, seen: &Option<Seen>| Item {
        topic,
        missing: seen.is_none().then_some(Missing::Nothing),
        evidence: seen.iter().map(|seen| (what.to_owned(), seen.clone())).collect(),
    };
    vec![
        seen(Topic::TestRun, "conversion", &facts.test_run),
        seen(Topic::Program, "program", &facts.program),
        rewards(facts),
        seen(Topic::Click, "click", &facts.click),
        stripe(facts),
        stripe_types(facts),
        webhook(facts),
        seen(Topic::Purchase, "conversion", &facts.refunded_purchase),
    ]
}

/// Whether nothing is missing.
pub fn is_ready(items: &[Item]) -> bool {
    items.iter().all(|item| item.missing.is_none())
}

fn rewards(facts: &Facts) -> Item {
    let missing = match (&facts.reward, &facts.review) {
        (None, _) => Some(Missing::NoReward),
        (Some(_), None) => Some(Missing::Nothing),
        (Some(reward), Some(review)) => (reward.at > review.at).then_some(Missing::ChangedSince),
    };
    let mut evidence = Vec::new();
    evidence.extend(facts.reward.iter().map(|seen| ("reward".to_owned(), seen.clone())));
    evidence.extend(facts.review.iter().map(|seen| ("review".to_owned(), seen.clone())));
    Item { topic: Topic::Rewards, missing, evidence }
}

fn stripe(facts: &Facts) -> Item {
    let missing = match (&facts.connection, &facts.stripe_event) {
        (None, _) => Some(Missing::Nothing),
        (Some(_), None) => Some(Missing::NoEvent),
        (Some(_), Some(_)) => None,
    };
    let mut evidence = Vec::new();
    evidence.extend(facts.connection.iter().map(|seen| ("connection".to_owned(), seen.clone())));
    evidence.extend(facts.stripe_event.iter().map(|seen| ("stripe_event".to_owned(), seen.clone())));
    Item { topic: Topic::Stripe, missing, evidence }
}

fn stripe_types(facts: &Facts) -> Item {
    let has_come = |wanted: &str| facts.stripe_types.iter().any(|(name, _)| name == wanted);
    let missing: Vec<_> =
        required_types(facts.promises_renewals).into_iter().filter(|wanted| !has_come(wanted)).collect();
    Item {
        topic: Topic::StripeTypes,
        missing: (!missing.is_empty()).then_some(Missing::Types(missing)),
        evidence: facts.stripe_types.clone(),
    }
}

/// A ping counts only where the endpoint still is: whoever moves it pings again.
fn webhook(facts: &Facts) -> Item {
    let usable = || facts.endpoints.iter().filter(|one| one.is_enabled && one.url.starts_with("https://"));
    let good = |one: &&Endpoint| one.ping.as_ref().is_some_and(|(_, url)| *url == one.url);
    let missing = match (usable().next(), usable().find(good)) {
        (None, _) => Some(Missing::NoHttpsEndpoint),
        (Some(_), None) => Some(Missing::NoPing),
        (Some(_), Some(_)) => None,
    };
    let evidence = usable().filter(good).filter_map(|one| one.ping.clone());
    Item { topic: Topic::Webhook, missing, evidence: evidence.map(|(seen, _)| ("delivery".to_owned(), seen)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(what: &str, at_ms: i64) -> Seen {
        Seen { what: what.to_owned(), at: Instant::from_ms(at_ms) }
    }

    fn ready() -> Facts {
        let endpoint = Endpoint {
            id: "whe_1".into(),
            url: "https://shop.test/hook".into(),
            is_enabled: true,
            ping: Some((seen("whd_1", 7), "https://shop.test/hook".into())),
        };
        Facts {
            click: Some(seen("c", 1)),
            connection: Some(seen("con_1", 1)),
            stripe_event: Some(seen("sev_1", 2)),
            stripe_types: [CHECKOUT_TYPE, REFUND_TYPE].map(|name| (name.to_owned(), seen("sev_1", 2))).to_vec(),
            promises_renewals: false,
            endpoints: vec![endpoint],
            reward: Some(seen("rwv_1", 3)),
            review: Some(seen("a@shop.test", 4)),
            test_run: Some(seen("cnv_1", 1)),
            refunded_purchase: Some(seen("cnv_2", 5)),
            program: Some(seen("prg_1", 1)),
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Facts), topic: Topic, expected: Missing) {
        let mut facts = ready();
        change(&mut facts);
        let missing: Vec<_> = items(&facts).into_iter().filter_map(|item| Some((item.topic, item.missing?))).collect();
        assert_eq!(missing, [(topic, expected)]);
    }

    #[test]
    fn whoever_has_done_everything_is_ready() {
        let items = items(&ready());
        assert!(is_ready(&items), "{items:?}");
        assert_eq!(items.len(), 8);
        assert!(items.iter().all(|item| !item.evidence.is_empty()));
    }

    #[test]
    fn nothing_at_all_misses_everything() {
        let items = items(&Facts::default());
        assert!(items.iter().all(|item| item.missing.is_some() && item.evidence.is_empty()), "{items:?}");
    }

    #[test]
    fn each_line_says_what_it_misses() {
        check(|facts| facts.click = None, Topic::Click, Missing::Nothing);
        check(|facts| facts.program = None, Topic::Program, Missing::Nothing);
        check(|facts| facts.test_run = None, Topic::TestRun, Missing::Nothing);
        check(|facts| facts.refunded_purchase = None, Topic::Purchase, Missing::Nothing);
        check(|facts| facts.connection = None, Topic::Stripe, Missing::Nothing);
        check(|facts| facts.stripe_event = None, Topic::Stripe, Missing::NoEvent);
        check(|facts| facts.reward = None, Topic::Rewards, Missing::NoReward);
        check(|facts| facts.review = None, Topic::Rewards, Missing::Nothing);
        check(|facts| facts.reward = Some(seen("rwv_2", 9)), Topic::Rewards, Missing::ChangedSince);
    }

    #[test]
    fn renewals_are_waited_for_only_where_they_are_promised() {
        check(|facts| facts.promises_renewals = true, Topic::StripeTypes, Missing::Types(vec![INVOICE_TYPE]));
        check(|facts| facts.stripe_types.clear(), Topic::StripeTypes, Missing::Types(vec![CHECKOUT_TYPE, REFUND_TYPE]));
        check(|facts| drop(facts.stripe_types.pop()), Topic::StripeTypes, Missing::Types(vec![REFUND_TYPE]));
    }

    #[test]
    fn a_ping_counts_over_https_at_the_endpoints_own_address_while_it_is_enabled() {
        check(|facts| facts.endpoints.clear(), Topic::Webhook, Missing::NoHttpsEndpoint);
        check(|facts| facts.endpoints[0].is_enabled = false, Topic::Webhook, Missing::NoHttpsEndpoint);
        check(|facts| facts.endpoints[0].url = "http://shop.test/".into(), Topic::Webhook, Missing::NoHttpsEndpoint);
        check(|facts| facts.endpoints[0].url = "https://new.test/".into(), Topic::Webhook, Missing::NoPing);
        check(|facts| facts.endpoints[0].ping = None, Topic::Webhook, Missing::NoPing);
    }
}
