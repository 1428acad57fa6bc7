//! Booking: brings new facts to their sale, decides anew what the sale has come to, and writes the difference. One load,
//! one call into the rules, one batch.
//!
//! Two requests may book one sale at once. The batch names the revision that it was decided on (or the sale's keys, when it
//! is new); who comes second fails as a whole, loads again and decides on what is there then.

mod decide;
mod load;
mod write;

pub use self::load::mentions;

use domain::attribution::{Inputs, Refusal, Verdict};
use domain::time::Instant;

use crate::app::App;
use crate::error::ApiError;
use crate::store::conversions::{Conversion, Reported};
use crate::store::sales::NewFact;
use crate::store::{DbError, Scope, Statement};

/// How often a booking is decided again because another came between.
const ATTEMPTS_MAX: u32 = 8;

/// New facts of one sale.
pub struct Booking {
    /// Whose.
    pub scope: Scope,
    /// The ids under which the sale is known.
    pub keys: Vec<String>,
    /// What came in. Empty when only time has passed.
    pub facts: Vec<NewFact>,
    /// What a merchant's report holds beside the money; such a booking is refused when the sale has a conversion.
    pub report: Option<Reported>,
    /// The one `now`.
    pub now: Instant,
    /// Kept with what is stored.
    pub request_id: Option<String>,
    /// Written in the same batch.
    pub along: Vec<Statement>,
}

/// What came of it.
pub enum Booked {
    /// There is a conversion.
    Converted(Box<Converted>),
    /// The sale waits.
    Waiting,
    /// The report's sale has a conversion already.
    Duplicate {
        /// The first one's id.
        conversion_id: String,
    },
    /// The report may not be recorded; its decision is.
    Refused(Refusal),
    /// The facts join sales that were two so far.
    Joins,
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
        let decided = decide::decide(app, booking, loaded)?;
        let (statements, booked) = write::write(app, booking, decided)?;
        if statements.is_empty() {
            return Ok(booked);
        }
        match app.db.batch(statements).await {
            Ok(_) => return Ok(booked),
            Err(DbError::Constraint(which)) => last = which,
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Unavailable(format!(
        "booking lost {ATTEMPTS_MAX} races: {last}"
    )))
}
