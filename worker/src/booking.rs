//! Booking: brings new facts to their family of sales, decides anew what each sale has come to, and writes the difference.
//! One load, one pass through the rules, one batch.
//!
//! Two requests may book one family at once. The batch names the revision that it was decided on (or the family's keys, when
//! it is new); who comes second fails as a whole, loads again and decides on what is there then.

mod decide;
mod directory;
pub mod draft;
mod load;
mod lookups;
mod people;
pub mod rebuild;
mod write;

#[cfg(test)]
mod by_hand;
#[cfg(test)]
mod costs;
#[cfg(test)]
mod fraud;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod told;

pub use self::load::{clicks_of, mentions, sale_keys};

use domain::attribution::{Inputs, Manual, Refusal, Verdict};
use domain::ids::{PersonId, StripeEventId};
use domain::sale::family::ReportedRefund;
use domain::time::Instant;

use crate::app::App;
use crate::error::ApiError;
use crate::store::conversions::{Conversion, Reported};
use crate::store::families::NewFact;
use crate::store::{DbError, Scope, Statement};

/// How often a booking is decided again because another came between.
const ATTEMPTS_MAX: u32 = 8;

/// A person's word on who is to be credited for a conversion.
#[derive(Clone, Debug)]
pub struct ByHand {
    /// The conversion, which nobody is credited for.
    pub conversion_id: String,
    /// Who is to be, and the act that records it.
    pub manual: Manual,
    /// Why.
    pub reason: String,
    /// Who says so; none where a key does.
    pub person_id: Option<PersonId>,
}

/// New facts of one family.
pub struct Booking {
    /// Whose.
    pub scope: Scope,
    /// The ids under which its sales are known.
    pub keys: Vec<String>,
    /// What came in. Empty when only time has passed.
    pub facts: Vec<NewFact>,
    /// What a merchant's report holds beside the money, and its transaction id; such a booking is refused when the sale has a
    /// conversion.
    pub report: Option<Reported>,
    /// The report is of a lead that is to come: it binds its customer as it would by a conversion, and makes none.
    pub deferred: bool,
    /// A refund that a merchant reports: at most what is left of its conversion.
    pub refund: Option<ReportedRefund>,
    /// A conversion that a person attributes.
    pub by_hand: Option<ByHand>,
    /// What else belongs to the same batch.
    pub beside: Vec<Statement>,
    /// The one `now`.
    pub now: Instant,
    /// Kept with what is stored.
    pub request_id: Option<String>,
    /// The Stripe event that brought the facts; its outcome is written in the same batch.
    pub stripe_event: Option<StripeEventId>,
}

impl Booking {
    /// A booking of a family that only names it: to be filled, or to look again when time has passed.
    pub fn of(scope: Scope, keys: Vec<String>, now: Instant) -> Self {
        Self {
            scope,
            keys,
            facts: Vec::new(),
            report: None,
            deferred: false,
            refund: None,
            by_hand: None,
            beside: Vec::new(),
            now,
            request_id: None,
            stripe_event: None,
        }
    }
}

/// What came of it.
pub enum Booked {
    /// The report's conversion.
    Converted(Box<Converted>),
    /// The facts are recorded.
    Recorded {
        /// What Stripe's API may be asked now because of them.
        lookups: Vec<String>,
    },
    /// The report's sale has a conversion already.
    Duplicate {
        /// The first one's id.
        conversion_id: String,
    },
    /// The lead that is to come has its customer bound, where somebody is to be credited.
    Deferred {
        /// The customer.
        customer_id: Option<String>,
    },
    /// The report may not be recorded; its decision is.
    Refused(Refusal),
    /// Every fact was told before.
    Repeated,
    /// Somebody is credited for the conversion already, or it was merged.
    NotByHand,
    /// The refund is more than what is left.
    OverTheRest {
        /// What is left, in the minor unit.
        rest_cents: i64,
    },
}

/// A conversion with its decision in force.
pub struct Converted {
    /// The conversion.
    pub conversion: Conversion,
    /// Its commission.
    pub commission_id: Option<String>,
    /// What the decision looked at.
    pub inputs: Inputs,
    /// What came out.
    pub verdict: Verdict,
}

/// Books.
pub async fn book(app: &App, booking: &Booking) -> Result<Booked, ApiError> {
    let mut last = String::new();
    for _ in 0..ATTEMPTS_MAX {
        let loaded = load::load(app, booking).await?;
        if loaded.settled {
            return Ok(Booked::Repeated);
        }
        let decided = decide::decide(app, booking, loaded);
        let (statements, booked) = write::write(app, booking, decided)?;
        if statements.is_empty() {
            return Ok(booked);
        }
        match app.db.of(&booking.scope.workspace_id).batch(statements).await {
            Ok(results) => {
                return Ok(match booked {
                    Booked::Recorded { .. } => Booked::Recorded { lookups: lookups::queued(&results) },
                    other => other,
                });
            }
            Err(DbError::Constraint(which)) => last = which,
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Unavailable(format!("booking lost {ATTEMPTS_MAX} races: {last}")))
}
