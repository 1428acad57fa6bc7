//! Who bought: every key under which the customer of a sale may be known.

use crate::email::EmailHashes;
use crate::fact::{Hints, StripeFact};
use crate::sale::SaleFacts;

/// The customer of a sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// The merchant's ids of it, the report's first.
    pub external_ids: Vec<String>,
    /// Stripe's ids of it.
    pub stripe_ids: Vec<String>,
    /// Its addresses, the report's first.
    pub emails: Vec<EmailHashes>,
    /// An address that anybody could have said: the fraud rules look at it, and nobody is known by it.
    pub hearsay: Option<EmailHashes>,
}

impl Customer {
    /// The keys under which a binding is looked for, in the order in which they are tried: `external/` and the merchant's id,
    /// `stripe/` and `cus_…`, `email/` and the keyed hash of the whole address.
    pub fn keys(&self) -> Vec<String> {
        let external = self.external_ids.iter().map(|id| external_key(id));
        let stripe = self.stripe_ids.iter().map(|id| stripe_key(id));
        let emails = self.emails.iter().map(email_key);
        external.chain(stripe).chain(emails).collect()
    }

    /// Every address, for the fraud rules.
    pub fn addresses(&self) -> Vec<EmailHashes> {
        self.emails.iter().chain(&self.hearsay).cloned().collect()
    }
}

/// The key of a merchant's own id of a customer.
pub fn external_key(id: &str) -> String {
    format!("external/{id}")
}

/// The key of Stripe's id of a customer.
pub fn stripe_key(id: &str) -> String {
    format!("stripe/{id}")
}

/// The key of a customer's address.
pub fn email_key(email: &EmailHashes) -> String {
    format!("email/{}", email.exact)
}

/// What all facts together say, whatever their order.
pub(super) fn of(facts: &SaleFacts) -> Customer {
    let mut customer = Customer::default();
    let mut told = Vec::new();
    for observed in &facts.stripe {
        let (rank, stripe_id, email, hints) = match &observed.fact {
            StripeFact::Session(session) => (0, &session.customer, &session.email, &session.hints),
            StripeFact::Invoice(invoice) => (1, &invoice.customer, &invoice.email, &invoice.hints),
            _ => continue,
        };
        told.push((rank, observed.at, stripe_id, email, hints));
    }
    told.sort_by_key(|(rank, at, id, email, hints)| (*rank, *at, format!("{id:?} {email:?} {hints:?}")));
    if let Some(report) = facts.report.as_ref().filter(|report| !report.is_public()) {
        keep(&mut customer.external_ids, report.customer_external_id.as_ref());
        keep(&mut customer.emails, report.email.as_ref());
    }
    for (_, _, stripe_id, email, hints) in told {
        let Hints { customer_external_id, .. } = hints;
        keep(&mut customer.external_ids, customer_external_id.as_ref());
        keep(&mut customer.stripe_ids, stripe_id.as_ref());
        keep(&mut customer.emails, email.as_ref());
    }
    // What anybody could have said ties no two keys together: else somebody else's customer would be his own.
    if let Some(report) = facts.report.as_ref().filter(|report| report.is_public()) {
        customer.hearsay.clone_from(&report.email);
        if customer.keys().is_empty() {
            keep(&mut customer.external_ids, report.customer_external_id.as_ref());
        }
    }
    customer
}

fn keep<T: Clone + PartialEq>(list: &mut Vec<T>, new: Option<&T>) {
    if let Some(new) = new
        && !list.contains(new)
    {
        list.push(new.clone());
    }
}
