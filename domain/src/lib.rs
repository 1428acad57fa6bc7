//! The rules of Selgeo, pure: the same arguments give the same answer.
//!
//! Nothing here reads a clock, draws a random number, waits, or knows of HTTP, SQL, JavaScript or Stripe.

pub mod account;
pub mod agent;
pub mod attribution;
pub mod checklist;
pub mod click_id;
pub mod email;
pub mod fact;
pub mod fraud;
pub mod ids;
pub mod key;
pub mod ledger;
pub mod limit;
pub mod mode;
pub mod money;
pub mod partner;
pub mod payout;
pub mod retention;
pub mod reward;
pub mod sale;
pub mod status;
pub mod time;
pub mod visitor;
pub mod webhook;
