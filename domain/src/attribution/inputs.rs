//! What a decision looks at. Stored with it, so that it can be made again.

use serde::{Deserialize, Serialize};

use super::Method;
use crate::fact::ClickSource;
use crate::fraud::{Found, Policy};
use crate::ids::{ActId, LinkId, ParticipantId, ProgramId};
use crate::status::{AttributionModel, ParticipantStatus, ProgramStatus};
use crate::time::Instant;

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
    /// The code; or Stripe's `promo_…` id, or the `di_…` of a discount whose promotion code is not told yet.
    pub code: String,
    /// Stripe named it: it may be mapped to a participant later, and is decided again then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stripe: bool,
    /// What is known of it.
    #[serde(flatten)]
    pub sighting: Sighting<Standing>,
}

/// A customer as a conversion names it, by one of the keys under which it may be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerInput {
    /// `external/` and the merchant's id, `stripe/` and `cus_…`, or `email/` and the keyed hash of the whole address.
    pub key: String,
    /// Whom the customer is bound to, if it is.
    #[serde(flatten)]
    pub sighting: Sighting<Bound>,
}

/// A customer's binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// How the program treats a customer who is bound and comes by another click.
    pub model: AttributionModel,
    /// Anybody could have said what bound it, and nobody has vouched for it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unauthenticated: bool,
    /// Whom to.
    #[serde(flatten)]
    pub standing: Standing,
}

/// A person's word on who is to be credited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manual {
    /// The act that recorded it.
    pub act_id: ActId,
    /// Who is credited. The gates were held against it when it was said.
    pub participant_id: ParticipantId,
    /// In which program.
    pub program_id: ProgramId,
}

/// What the fraud rules look at. See [`crate::fraud`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Surroundings {
    /// What is known of the buyer's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Buyer>,
    /// Purchases of the same customer before this one.
    #[serde(skip_serializing_if = "is_zero")]
    pub purchases_before: u32,
    /// Everybody who may be credited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<Person>,
    /// Clicks from the address of a click, in the hour before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bursts: Vec<Burst>,
}

/// What the fraud rules look at of a buyer's address: not the address, nor a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buyer {
    /// Its domain belongs to a provider of throw-away addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disposable: bool,
}

/// Somebody who may be credited, as the fraud rules see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub participant_id: ParticipantId,
    /// The buyer's address is the partner's own, by its whole text, without the plus part, or by a domain of the partner's own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_address: bool,
    /// The participant's newest conversions, as many as were counted.
    #[serde(default)]
    pub conversions: u32,
    /// Those of them that were given back in whole.
    #[serde(default)]
    pub refunded: u32,
    /// What the program wants done.
    #[serde(default)]
    pub policy: Policy,
}

/// How many clicks came from the address of one click.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burst {
    /// The click.
    pub click_id: String,
    /// Clicks of its address in the hour before it, itself among them.
    pub clicks: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
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
    /// The customer, by every key under which it may be known, in the order in which they are tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub customers: Vec<CustomerInput>,
    /// The merchant took this money out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opted_out: bool,
    /// A person attributed it by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual: Option<Manual>,
    /// What the fraud rules look at.
    #[serde(default, skip_serializing_if = "Surroundings::is_empty")]
    pub surroundings: Surroundings,
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
    /// What was found when the subscription began, holds its commissions, and no person has cleared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Found>,
    /// Anybody could have said what the credit rests on, and no person has cleared it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unauthenticated: bool,
}

impl Inputs {
    /// Everybody who is a candidate and whom the fraud rules look at, each once.
    pub fn participants(&self) -> Vec<&ParticipantId> {
        let of_codes = self.promo_codes.iter().filter_map(|promo| match &promo.sighting {
            Sighting::Here(standing) => Some(&standing.participant_id),
            _ => None,
        });
        let of_clicks = self.clicks.iter().filter_map(|click| match &click.sighting {
            Sighting::Here(seen) => Some(&seen.standing.participant_id),
            _ => None,
        });
        let of_customers = self.customers.iter().filter_map(|customer| match &customer.sighting {
            Sighting::Here(bound) => Some(&bound.standing.participant_id),
            _ => None,
        });
        let mut all = Vec::new();
        for id in of_codes.chain(of_clicks).chain(of_customers) {
            if !all.contains(&id) {
                all.push(id);
            }
        }
        all
    }

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
                let mapped_since = known.stripe && known.sighting == Sighting::Unknown;
                if !mapped_since {
                    *promo = known.clone();
                }
            }
        }
        for customer in &mut self.customers {
            if let Some(known) = before.customers.iter().find(|known| known.key == customer.key) {
                *customer = known.clone();
            }
        }
        self.surroundings.pin(&before.surroundings);
        if let (Some(inherited), Some(known)) = (&mut self.inherited, &before.inherited)
            && inherited.standing.participant_id == known.standing.participant_id
        {
            inherited.standing = known.standing.clone();
        }
        self
    }
}

impl Surroundings {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As it was known before; people, clicks and a buyer who were not known then stay as they are known now.
    fn pin(&mut self, before: &Self) {
        if before.is_empty() {
            return;
        }
        self.purchases_before = before.purchases_before;
        let buyer_is_new = before.buyer.is_none() && self.buyer.is_some();
        if !buyer_is_new {
            self.buyer = before.buyer;
        }
        for person in &mut self.people {
            if let Some(known) = before.people.iter().find(|known| known.participant_id == person.participant_id) {
                let own_address = if buyer_is_new { person.own_address } else { known.own_address };
                *person = Person { own_address, ..known.clone() };
            }
        }
        for burst in &mut self.bursts {
            if let Some(known) = before.bursts.iter().find(|known| known.click_id == burst.click_id) {
                *burst = known.clone();
            }
        }
        // Only clicks that are named anew are counted; the others were.
        let told = |burst: &Burst| self.bursts.iter().any(|held| held.click_id == burst.click_id);
        let counted: Vec<Burst> = before.bursts.iter().filter(|burst| !told(burst)).cloned().collect();
        self.bursts.extend(counted);
    }
}
