//! The rules of Selgeo, pure: the same arguments give the same answer.
//!
//! Nothing here reads a clock, draws a random number, waits, or knows of HTTP, SQL, JavaScript or Stripe.

pub mod email;
pub mod fact;
pub mod limit;
pub mod mode;
pub mod money;
pub mod time;
