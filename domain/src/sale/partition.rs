//! Which facts belong to one sale: those that share an id, directly or through others. Two facts are in one sale whatever
//! the order in which the facts between them came.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::{BillingReason, SessionMode, StripeFact};

/// The ids under which a Stripe fact's sale is found. Facts that share one belong to one sale.
pub fn keys(fact: &StripeFact) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    match fact {
        StripeFact::Session(session) => {
            keys.insert(session.session.clone());
            keys.extend(session.invoice.clone());
            keys.extend(session.payment_intent.clone());
            if session.mode == SessionMode::Subscription {
                keys.extend(session.subscription.as_deref().map(first_payment_key));
            }
        }
        StripeFact::Invoice(invoice) => {
            keys.insert(invoice.invoice.clone());
            keys.extend(invoice.payment_intent.clone());
            keys.extend(invoice.charge.clone());
            if invoice.billing_reason == BillingReason::SubscriptionCreate {
                keys.extend(invoice.subscription.as_deref().map(first_payment_key));
            }
        }
        StripeFact::InvoicePayment(payment) => {
            keys.insert(payment.invoice.clone());
            keys.extend(payment.payment_intent.clone());
            keys.extend(payment.charge.clone());
        }
        StripeFact::Charge(charge) => {
            keys.insert(charge.charge.clone());
            keys.extend(charge.payment_intent.clone());
            keys.extend(charge.invoice.clone());
            keys.extend(charge.balance_transaction.clone());
        }
        StripeFact::Fee(fee) => {
            keys.insert(fee.balance_transaction.clone());
        }
        StripeFact::Refund(refund) => {
            keys.extend(refund.charge.clone());
            keys.extend(refund.payment_intent.clone());
        }
        StripeFact::Dispute(dispute) => {
            keys.extend(dispute.charge.clone());
            keys.extend(dispute.payment_intent.clone());
        }
        // These speak of a subscription or a customer, not of one payment.
        StripeFact::SubscriptionEnded(_) | StripeFact::Discount(_) => {}
    }
    keys
}

/// The subscription that a fact speaks of: its sales are looked at together, since caps and inherited credit span them.
pub fn subscription(fact: &StripeFact) -> Option<&str> {
    match fact {
        StripeFact::Session(session) => session.subscription.as_deref(),
        StripeFact::Invoice(invoice) => invoice.subscription.as_deref(),
        StripeFact::SubscriptionEnded(ended) => Some(&ended.subscription),
        _ => None,
    }
}

/// A session that names no invoice meets its subscription's first invoice here. (No Stripe id holds a `#`.)
fn first_payment_key(subscription: &str) -> String {
    format!("{subscription}#first")
}

/// Sorts sets of keys into sales: each part is the places of the sets that share a key, directly or through others, with
/// all their keys. Parts are in the order of their least key.
pub fn parts(sets: &[BTreeSet<String>]) -> Vec<(BTreeSet<String>, Vec<usize>)> {
    let mut leader: Vec<usize> = (0..sets.len()).collect();
    let mut first_with: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, set) in sets.iter().enumerate() {
        for key in set {
            let other = *first_with.entry(key).or_insert(place);
            let (a, b) = (root(&leader, place), root(&leader, other));
            leader[a.max(b)] = a.min(b);
        }
    }
    let mut parts: BTreeMap<usize, (BTreeSet<String>, Vec<usize>)> = BTreeMap::new();
    for (place, set) in sets.iter().enumerate() {
        let part = parts.entry(root(&leader, place)).or_default();
        part.0.extend(set.iter().cloned());
        part.1.push(place);
    }
    let mut parts: Vec<_> = parts.into_values().collect();
    parts.sort();
    parts
}

fn root(leader: &[usize], mut place: usize) -> usize {
    while leader[place] != place {
        place = leader[place];
    }
    place
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn facts_that_share_an_id_through_others_are_one_sale() {
        let sets = [
            set(&["cs_1", "in_1"]),
            set(&["in_1", "pi_1"]),
            set(&["pi_2"]),
            set(&["pi_1", "ch_1"]),
            set(&["ch_2", "pi_2"]),
        ];
        let parts = parts(&sets);
        let places: Vec<_> = parts.iter().map(|(_, places)| places.clone()).collect();
        assert_eq!(places, [vec![0, 1, 3], vec![2, 4]]);
        assert_eq!(parts[0].0, set(&["cs_1", "in_1", "pi_1", "ch_1"]));
    }

    proptest! {
        #[test]
        fn the_parts_do_not_depend_on_order(
            sets in prop::collection::vec(prop::collection::btree_set(0u8..12, 1..3), 1..10),
            seed in any::<u64>(),
        ) {
            let named: Vec<BTreeSet<String>> =
                sets.iter().map(|set| set.iter().map(u8::to_string).collect()).collect();
            let mut shuffled = named.clone();
            shuffled.sort_by_key(|set| format!("{set:?}").bytes().fold(seed, |h, b| h.rotate_left(5) ^ u64::from(b)));
            let keys = |sets: &[BTreeSet<String>]| parts(sets).into_iter().map(|(keys, _)| keys).collect::<Vec<_>>();
            prop_assert_eq!(keys(&named), keys(&shuffled));
        }
    }
}
