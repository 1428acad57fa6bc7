//! The reference model: what each sale must have come to, written from sections 7 to 10 of the contract as plainly as can be,
//! slow, and with nothing of `domain` or `stripe` in it. It hears what the product has accepted, in any order, and looks at
//! all of it anew each time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::back;
use super::credit::{self, Known};
use super::merchants::Town;
use super::told::{Invoice, Outcome, Paid, Report, Session, Signals, Telling, Told};

const TEN_MINUTES_MS: i64 = 10 * 60 * 1_000;

/// What one scope has accepted.
#[derive(Default)]
pub struct Reference {
    pub heard: Vec<Telling>,
    pub known: Vec<Known>,
}

/// The tellings of one sale and what they come to.
pub struct Sale {
    pub ids: BTreeSet<String>,
    /// The purchases that its tellings are about: one, or two purchases were taken for one sale.
    pub truths: BTreeSet<usize>,
    /// Somebody has said what was sold, so refunds and disputes are not parked.
    pub is_known: bool,
    pub conversion: Option<Conversion>,
}

/// The one conversion of a sale.
pub struct Conversion {
    pub source: &'static str,
    pub event_type: &'static str,
    pub amount: i64,
    pub tax: i64,
    pub currency: Option<&'static str>,
    pub refunded: i64,
    pub occurred_ms: i64,
    pub subscription: Option<String>,
    pub kind: Kind,
    pub disputed: bool,
    pub clicks: Vec<String>,
    /// As a merchant reports it.
    pub code: Option<String>,
    pub promotion_codes: Vec<String>,
    pub opted_out: bool,
    /// More than one telling says when, how much or of what kind: what was known before may have been otherwise.
    pub was_corrected: bool,
    /// Filled in by [`credit`].
    pub reason: &'static str,
    pub participant: Option<usize>,
    pub earns: Option<Earns>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Lead,
    Payment,
    /// The n-th payment of its subscription.
    Recurring(i64),
    /// Nothing was paid.
    Free,
}

/// What the participant earns by it.
#[derive(Clone, Debug)]
pub struct Earns {
    pub amount: i64,
    pub currency: &'static str,
    pub hold_until_ms: i64,
    pub auto_approve: bool,
    pub needs_review: bool,
}

impl Reference {
    pub fn hear(&mut self, telling: &Telling) {
        self.heard.push(telling.clone());
    }

    /// The conversion of the sale that has this id was recorded then.
    pub fn was_recorded(&mut self, id: &str, born: &(i64, String)) {
        for memory in self.known.iter_mut().filter(|memory| memory.ids.contains(id)) {
            memory.born = born.clone();
        }
    }

    /// What all that was heard comes to at `now`. Candidates that are new are judged by how their participants stand now.
    pub fn look(&mut self, town: &Town, scope: usize, now_ms: i64) -> Vec<Sale> {
        let mut sales: Vec<Sale> =
            sort(&self.heard).into_iter().map(|(ids, tellings)| come_to(ids, &tellings, now_ms)).collect();
        number_payments(&mut sales);
        credit::credit(&mut sales, &mut self.known, town, scope);
        sales
    }
}

/// Tellings that share an id, directly or through others, are of one sale.
fn sort(heard: &[Telling]) -> Vec<(BTreeSet<String>, Vec<&Telling>)> {
    let mut piles: Vec<Option<(BTreeSet<String>, Vec<&Telling>)>> = Vec::new();
    let mut pile_of: HashMap<String, usize> = HashMap::new();
    for telling in heard {
        let ids = telling.told.ids();
        if ids.is_empty() {
            continue;
        }
        let mut pile = (ids.clone(), vec![telling]);
        let others: BTreeSet<usize> = ids.iter().filter_map(|id| pile_of.get(id)).copied().collect();
        for other in others {
            let (ids, tellings) = piles[other].take().unwrap();
            pile.0.extend(ids);
            pile.1.extend(tellings);
        }
        for id in &pile.0 {
            pile_of.insert(id.clone(), piles.len());
        }
        piles.push(Some(pile));
    }
    let mut piles: Vec<_> = piles.into_iter().flatten().collect();
    piles.sort_by(|a, b| a.0.cmp(&b.0));
    piles
}

fn come_to(ids: BTreeSet<String>, tellings: &[&Telling], now_ms: i64) -> Sale {
    let truths = tellings.iter().map(|telling| telling.truth).collect();
    let is_known =
        tellings.iter().any(|telling| matches!(telling.told, Told::Session(_) | Told::Invoice(_) | Told::Report(_)));
    let mut conversion = converted(tellings, now_ms);
    if let Some(conversion) = &mut conversion {
        let disputes = back::disputes(tellings);
        conversion.disputed = disputes.contains(&Outcome::Open);
        let back = back::refunds(tellings) + back::given_back(tellings);
        let all = disputes.contains(&Outcome::Lost) || back > conversion.amount;
        conversion.refunded = if all { conversion.amount } else { back };
    }
    Sale { ids, truths, is_known, conversion }
}

/// Section 10: the invoice carries the money, else the paid session; a report says when and what; a subscription's session
/// that names no invoice waits ten minutes for one.
fn converted(tellings: &[&Telling], now_ms: i64) -> Option<Conversion> {
    let mut invoice: Option<(i64, &Invoice)> = None;
    let mut session: Option<(i64, &Session)> = None;
    let mut report: Option<&Report> = None;
    for telling in tellings {
        match &telling.told {
            Told::Invoice(told) if invoice.is_none_or(|(at_ms, _)| at_ms < telling.at_ms) => {
                invoice = Some((telling.at_ms, told));
            }
            Told::Session(told)
                if told.paid != Paid::NotYet && session.is_none_or(|(at_ms, _)| at_ms < telling.at_ms) =>
            {
                session = Some((telling.at_ms, told));
            }
            Told::Report(told)
                if report.is_none_or(|first| {
                    (told.occurred_ms, &told.transaction) < (first.occurred_ms, &first.transaction)
                }) =>
            {
                report = Some(told);
            }
            _ => {}
        }
    }
    let mut conversion = Conversion {
        source: "stripe",
        event_type: "purchase",
        amount: 0,
        tax: 0,
        currency: None,
        refunded: 0,
        occurred_ms: 0,
        subscription: subscription(tellings),
        kind: Kind::Payment,
        disputed: false,
        clicks: Vec::new(),
        code: report.and_then(|report| report.code.clone()),
        promotion_codes: Vec::new(),
        opted_out: false,
        was_corrected: invoice.is_some() as u8 + session.is_some() as u8 + report.is_some() as u8 > 1
            || subscription(tellings).is_some(),
        reason: "",
        participant: None,
        earns: None,
    };
    if let Some((at_ms, invoice)) = invoice {
        conversion.amount = invoice.amount;
        conversion.tax = invoice.tax.unwrap_or(0);
        conversion.currency = Some(invoice.currency);
        conversion.occurred_ms = invoice.paid_at_s.map_or(at_ms, |s| s * 1_000);
        conversion.kind = if invoice.subscription.is_some() { Kind::Recurring(0) } else { Kind::Payment };
    } else if let Some((at_ms, session)) = session {
        let waits = session.starts.is_some() && session.invoice.is_none() && now_ms < at_ms + TEN_MINUTES_MS;
        if waits && report.is_none() {
            return None;
        }
        conversion.amount = session.amount;
        conversion.tax = session.tax.unwrap_or(0);
        conversion.currency = Some(session.currency);
        conversion.occurred_ms = at_ms;
        conversion.kind = if session.starts.is_some() { Kind::Recurring(0) } else { Kind::Payment };
    } else if let Some(report) = report {
        conversion.amount = report.amount;
        conversion.currency = report.currency;
    } else {
        return None;
    }
    if conversion.amount == 0 {
        conversion.kind = Kind::Free;
    }
    if let Some(report) = report {
        conversion.source = "api";
        conversion.event_type = report.event_type;
        conversion.occurred_ms = report.occurred_ms;
        if conversion.amount == 0 && report.amount == 0 {
            conversion.kind = Kind::Lead;
        }
        conversion.clicks.extend(report.click.clone());
    }
    for signals in signals(tellings) {
        conversion.opted_out |= signals.opted_out;
        for click in signals.clicks() {
            if !conversion.clicks.contains(&click) {
                conversion.clicks.push(click);
            }
        }
        for code in &signals.promotion_codes {
            if !conversion.promotion_codes.contains(code) {
                conversion.promotion_codes.push(code.clone());
            }
        }
    }
    Some(conversion)
}

fn subscription(tellings: &[&Telling]) -> Option<String> {
    let named = tellings.iter().filter_map(|telling| match &telling.told {
        Told::Session(session) => session.starts.clone(),
        Told::Invoice(invoice) => invoice.subscription.clone(),
        _ => None,
    });
    named.min()
}

/// The session's first, then the invoice's.
fn signals<'a>(tellings: &[&'a Telling]) -> Vec<&'a Signals> {
    let mut all: Vec<(u8, i64, &Signals)> = Vec::new();
    for telling in tellings {
        match &telling.told {
            Told::Session(session) => all.push((0, telling.at_ms, &session.signals)),
            Told::Invoice(invoice) => all.push((1, telling.at_ms, &invoice.signals)),
            _ => {}
        }
    }
    all.sort_by_key(|(rank, at_ms, _)| (*rank, *at_ms));
    all.into_iter().map(|(_, _, signals)| signals).collect()
}

/// The n-th payment of a subscription is the n-th that was paid.
fn number_payments(sales: &mut [Sale]) {
    let mut paid: BTreeMap<String, Vec<(i64, usize)>> = BTreeMap::new();
    for (place, sale) in sales.iter().enumerate() {
        if let Some(conversion) = &sale.conversion
            && let (Some(subscription), Kind::Recurring(_)) = (&conversion.subscription, conversion.kind)
        {
            paid.entry(subscription.clone()).or_default().push((conversion.occurred_ms, place));
        }
    }
    for mut of_one in paid.into_values() {
        of_one.sort_unstable();
        for (number, (_, place)) in (1..).zip(of_one) {
            sales[place].conversion.as_mut().unwrap().kind = Kind::Recurring(number);
        }
    }
}
