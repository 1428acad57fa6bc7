//! Buyers, what they really bought, and what they carry that says who is to be credited.

use std::collections::BTreeMap;

use super::merchants::Town;
use super::random::Die;
use super::told::{Outcome, Session, Signals};

/// With 2, 0 and 3 decimals.
const CURRENCIES: [&str; 5] = ["EUR", "EUR", "USD", "JPY", "KWD"];

/// What really was bought.
pub struct Purchase {
    pub scope: usize,
    pub session: Option<String>,
    pub invoice: Option<String>,
    pub amount: i64,
    pub currency: &'static str,
    pub is_paid: bool,
    pub charges: Vec<TrueCharge>,
    pub disputes: Vec<(String, usize, Outcome)>,
    /// By the merchant, over the API.
    pub given_back: BTreeMap<String, i64>,
    pub reports: Vec<String>,
    pub style: Style,
    /// Of a session whose money may come later.
    pub async_session: Option<Session>,
}

pub struct TrueCharge {
    pub id: String,
    pub intent: String,
    pub amount: i64,
    /// Authorized and never captured.
    pub released: i64,
    /// Id, amount, and Stripe's word for how far it got.
    pub refunds: Vec<(String, i64, &'static str)>,
}

/// How Stripe tells of refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Each of its own, the charge's figure perhaps.
    Events,
    /// The charge's cumulative figure alone.
    Figures,
    /// The charge with its refunds in it.
    Embedded,
}

pub struct Subscription {
    pub scope: usize,
    pub id: String,
    pub customer: String,
    pub buyer: usize,
    pub amount: i64,
    pub currency: &'static str,
    /// What stands on it and is told with each of its invoices.
    pub signals: Signals,
    pub ended: bool,
}

#[derive(Default)]
pub struct Buyers {
    pub purchases: Vec<Purchase>,
    pub subscriptions: Vec<Subscription>,
    /// Ids count per scope: the same ids come to each.
    counters: [i64; 4],
    /// Clicks by scope, in order.
    pub clicks: [Vec<String>; 4],
}

fn counts(status: &str) -> bool {
    matches!(status, "pending" | "succeeded")
}

impl TrueCharge {
    pub fn refunded(&self) -> i64 {
        self.refunds.iter().filter(|(_, _, status)| counts(status)).map(|(_, amount, _)| amount).sum()
    }
}

impl Purchase {
    /// What really went back.
    pub fn refunded(&self) -> i64 {
        let ids: Vec<&String> = self.charges.iter().flat_map(|c| &c.refunds).map(|(id, _, _)| id).collect();
        let own: i64 = self.given_back.iter().filter(|(id, _)| !ids.contains(id)).map(|(_, amount)| amount).sum();
        let stripes: i64 = self.charges.iter().map(TrueCharge::refunded).sum();
        let lost = self.disputes.iter().any(|(_, _, outcome)| *outcome == Outcome::Lost);
        if lost { self.amount } else { self.amount.min(own + stripes) }
    }

    pub fn tells_each_refund(&self) -> bool {
        self.style == Style::Events
    }
}

impl Buyers {
    pub fn currency(die: &mut Die) -> &'static str {
        CURRENCIES[die.place(CURRENCIES.len())]
    }

    fn number(&mut self, scope: usize) -> i64 {
        self.counters[scope] += 1;
        self.counters[scope]
    }

    /// A click that exists, now and then another scope's, an invented one, or something else altogether.
    pub fn any_click(&self, die: &mut Die, scope: usize) -> Option<String> {
        let from = if die.percent(8) { die.place(4) } else { scope };
        match (die.between(1, 100), self.clicks[from].as_slice()) {
            (1..=4, _) => Some("0190f3c1-5e5a-4c3e-9b1a-0123456789ab".to_owned()),
            (5..=7, _) => Some("order 7".to_owned()),
            (_, []) => None,
            (8..=70, clicks) => Some(clicks[clicks.len() - 1 - die.place(clicks.len().min(4))].clone()),
            (_, clicks) => Some(die.pick(clicks).clone()),
        }
    }

    pub fn signals(&self, die: &mut Die, town: &Town, scope: usize) -> Signals {
        let mut signals = Signals { opted_out: die.percent(4), ..Signals::default() };
        let mut place = |die: &mut Die, click: Option<String>| match die.between(0, 2) {
            0 => signals.aff_click_id = click,
            1 => signals.trac_click_id = click,
            _ => signals.client_reference_id = click,
        };
        if die.percent(85) {
            let click = self.any_click(die, scope);
            place(die, click);
        }
        if die.percent(10) {
            let click = self.any_click(die, scope);
            place(die, click);
        }
        if die.percent(15) {
            let from = if die.percent(15) { die.place(4) } else { scope };
            let member = *die.pick(&town.members(from));
            let known = town.participants[member].promotion_code.clone();
            signals.promotion_codes.push(if die.percent(10) { "promo_unknown".to_owned() } else { known });
        }
        signals
    }

    pub fn purchase(&mut self, die: &mut Die, scope: usize, amount: i64, currency: &'static str) -> (usize, i64) {
        let number = self.number(scope);
        let style = *die.pick(&[Style::Events, Style::Events, Style::Events, Style::Figures, Style::Embedded]);
        self.purchases.push(Purchase {
            scope,
            session: None,
            invoice: None,
            amount,
            currency,
            is_paid: true,
            charges: Vec::new(),
            disputes: Vec::new(),
            given_back: BTreeMap::new(),
            reports: Vec::new(),
            style,
            async_session: None,
        });
        (self.purchases.len() - 1, number)
    }

    pub fn charge(&mut self, die: &mut Die, truth: usize, number: i64, parts: i64) {
        let purchase = &mut self.purchases[truth];
        if purchase.amount == 0 {
            return;
        }
        for part in 0..parts.min(purchase.amount) {
            let each = purchase.amount / parts;
            let amount = if part == 0 { purchase.amount - each * (parts - 1) } else { each };
            let released = if die.percent(10) { die.between(1, 5_000) } else { 0 };
            let (id, intent) = (format!("ch_{number}_{part}"), format!("pi_{number}_{part}"));
            purchase.charges.push(TrueCharge { id, intent, amount, released, refunds: Vec::new() });
        }
    }

    pub fn price(die: &mut Die) -> i64 {
        match die.between(0, 9) {
            0 => die.between(1, 9),
            1 => die.between(1_000_000, 90_000_000_000),
            _ => die.between(100, 30_000),
        }
    }
}
