//! What the simulation's Stripe and merchants tell, in own words: not the shapes that the product reads, and not its facts.

use std::collections::BTreeSet;

/// One telling, as the world makes it and the reference model hears it.
#[derive(Clone, Debug)]
pub struct Telling {
    /// The purchase that it is about, which only the world knows.
    pub truth: usize,
    /// When Stripe says it was said.
    pub at_ms: i64,
    pub told: Told,
}

#[derive(Clone, Debug)]
pub enum Told {
    Session(Session),
    Invoice(Invoice),
    Payment { invoice: String, intent: String },
    Charge(Charge),
    Refund(Refund),
    Dispute { id: String, charge: String, intent: Option<String>, outcome: Outcome },
    Ended { subscription: String },
    Report(Report),
    GivenBack { transaction: String, refund: String, amount: i64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    Yes,
    NotYet,
    NothingToPay,
}

/// Who is to be credited, as it stands on a session or an invoice: in the order in which the places are read.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    pub aff_click_id: Option<String>,
    pub trac_click_id: Option<String>,
    pub client_reference_id: Option<String>,
    pub promotion_codes: Vec<String>,
    pub opted_out: bool,
}

impl Signals {
    pub fn clicks(&self) -> Vec<String> {
        let mut clicks: Vec<String> = Vec::new();
        for click in [&self.aff_click_id, &self.trac_click_id, &self.client_reference_id].into_iter().flatten() {
            // What is no UUID is absent.
            if click.len() == 36 && click.matches('-').count() == 4 && !clicks.contains(click) {
                clicks.push(click.clone());
            }
        }
        clicks
    }
}

#[derive(Clone, Debug)]
pub struct Session {
    pub id: String,
    pub starts: Option<String>,
    pub paid: Paid,
    pub amount: i64,
    pub tax: Option<i64>,
    pub currency: &'static str,
    pub intent: Option<String>,
    pub invoice: Option<String>,
    pub customer: Option<String>,
    pub buyer: usize,
    pub signals: Signals,
}

#[derive(Clone, Debug)]
pub struct Invoice {
    pub id: String,
    pub subscription: Option<String>,
    /// `billing_reason`.
    pub reason: &'static str,
    pub amount: i64,
    pub tax: Option<i64>,
    pub currency: &'static str,
    pub paid_at_s: Option<i64>,
    /// Only old shapes tell these two.
    pub intent: Option<String>,
    pub charge: Option<String>,
    pub customer: String,
    pub buyer: usize,
    pub signals: Signals,
}

#[derive(Clone, Debug)]
pub struct Charge {
    pub id: String,
    pub intent: Option<String>,
    /// Only old shapes tell it.
    pub invoice: Option<String>,
    pub currency: &'static str,
    /// What was authorized and not captured: old shapes count it as refunded.
    pub released: i64,
    pub captured: i64,
    pub refunded: i64,
    pub refunds: Vec<Refund>,
}

#[derive(Clone, Debug)]
pub struct Refund {
    pub id: String,
    pub charge: Option<String>,
    pub intent: Option<String>,
    pub amount: i64,
    pub currency: &'static str,
    /// Stripe's word.
    pub status: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Open,
    Won,
    Lost,
}

#[derive(Clone, Debug)]
pub struct Report {
    pub transaction: String,
    pub event_type: &'static str,
    pub amount: i64,
    pub currency: Option<&'static str>,
    pub occurred_ms: i64,
    pub click: Option<String>,
    pub code: Option<String>,
}

impl Told {
    /// The ids that say which sale this is about. Two tellings that share one are about one sale.
    pub fn ids(&self) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        match self {
            Self::Session(s) => {
                ids.insert(s.id.clone());
                ids.extend(s.invoice.clone());
                ids.extend(s.intent.clone());
                ids.extend(s.starts.as_ref().map(|subscription| format!("the first invoice of {subscription}")));
            }
            Self::Invoice(i) => {
                ids.insert(i.id.clone());
                ids.extend(i.intent.clone());
                ids.extend(i.charge.clone());
                if i.reason == "subscription_create" {
                    ids.extend(i.subscription.as_ref().map(|sub| format!("the first invoice of {sub}")));
                }
            }
            Self::Payment { invoice, intent } => ids.extend([invoice.clone(), intent.clone()]),
            Self::Charge(c) => {
                ids.insert(c.id.clone());
                ids.extend(c.intent.clone());
                ids.extend(c.invoice.clone());
            }
            Self::Refund(r) => {
                ids.extend(r.charge.clone());
                ids.extend(r.intent.clone());
            }
            Self::Dispute { charge, intent, .. } => {
                ids.insert(charge.clone());
                ids.extend(intent.clone());
            }
            Self::Ended { .. } => {}
            Self::Report(report) => {
                ids.insert(report.transaction.clone());
            }
            Self::GivenBack { transaction, .. } => {
                ids.insert(transaction.clone());
            }
        }
        ids
    }
}
