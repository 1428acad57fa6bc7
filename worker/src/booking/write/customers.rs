//! Write: who bought, counted and bound.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::CustomerId;

use super::Writer;
use crate::booking::Booking;
use crate::booking::decide::{Conversion as DecidedConversion, Family};
use crate::store::conversions::Conversion;
use crate::store::customers::{self, Known};
use crate::store::{DbError, Statement};

/// What this batch says of customers already: two conversions of one family may have one customer.
#[derive(Default)]
pub(super) struct Customers {
    /// Those that it makes, by their keys.
    pub(super) made: BTreeMap<String, CustomerId>,
    /// Keys that it adds.
    pub(super) keys: BTreeSet<String>,
    /// Those whose binding it holds against what was seen.
    pub(super) held: BTreeSet<CustomerId>,
}

impl Writer<'_> {
    /// The customer of a conversion: who is known by any of its keys, or somebody new; counted, and bound to who is credited.
    pub(super) fn customer(
        &self,
        family: &Family,
        decided: &DecidedConversion,
        conversion: &Conversion,
    ) -> Result<Vec<Statement>, DbError> {
        let Booking { scope, now, .. } = self.booking;
        let customer = &decided.state.customer;
        let keys = customer.keys();
        let (known, new_keys) = family.loaded.directory.customers(&keys);
        let mut batch = Vec::new();
        let Some(id) = conversion.customer_id.as_deref().and_then(CustomerId::parse) else { return Ok(batch) };
        let mut told = self.customers.borrow_mut();
        if known.is_empty() && !told.made.values().any(|made| *made == id) {
            batch.push(customers::insert(scope, &id, customer.external_ids.first(), customer.stripe_ids.first(), *now));
        }
        told.made.extend(keys.iter().map(|key| (key.clone(), id.clone())));
        if !known.is_empty() && !new_keys.is_empty() {
            batch.push(customers::fill_in(&id, customer.external_ids.first(), customer.stripe_ids.first()));
        }
        let new_keys: Vec<&String> = new_keys.into_iter().filter(|key| told.keys.insert((*key).clone())).collect();
        if !new_keys.is_empty() {
            batch.push(customers::insert_keys(scope, &id, &new_keys)?);
        }
        let purchases = i64::from(decided.is_new_purchase);
        for one in &known {
            if decided.row.is_none() && told.held.insert(one.id.clone()) {
                batch.push(customers::hold(one));
            }
        }
        let ids: Vec<&CustomerId> =
            if known.is_empty() { vec![&id] } else { known.iter().map(|known| &known.id).collect() };
        if purchases > 0 {
            batch.extend(ids.iter().map(|one| customers::count(one, purchases)));
        }
        if let Some(participant) = &conversion.participant_id {
            let gives_way = |known: &&Known| {
                let is_hearsay = known.unauthenticated && !decided.unauthenticated;
                known.participant_id.is_none() || is_hearsay && known.participant_id.as_ref() != Some(participant)
            };
            let open = |one: &&CustomerId| known.iter().find(|known| known.id == **one).is_none_or(gives_way);
            let by = (!self.booking.deferred).then_some(&conversion.id);
            batch.extend(
                ids.into_iter()
                    .filter(open)
                    .map(|one| customers::bind(one, participant, by, decided.unauthenticated, *now)),
            );
            let doubtful = known.iter().filter(|known| known.unauthenticated);
            let vouched = doubtful.filter(|known| known.participant_id.as_ref() == Some(participant));
            batch.extend(vouched.filter(|_| !decided.unauthenticated).map(|known| customers::vouch(&known.id)));
        }
        Ok(batch)
    }

    /// Who bought: whom the conversion has, else who is known by a key of it, else somebody new.
    pub(super) fn customer_id(&self, family: &Family, decided: &DecidedConversion) -> Option<String> {
        let keys = decided.state.customer.keys();
        if keys.is_empty() {
            return None;
        }
        if let Some(known) = family.loaded.directory.customers(&keys).0.first() {
            return Some(known.id.to_string());
        }
        let told = self.customers.borrow();
        let made = keys.iter().find_map(|key| told.made.get(key)).map(CustomerId::to_string);
        made.or_else(|| Some(self.app.fresh::<domain::ids::Customer>(self.booking.now).to_string()))
    }
}
