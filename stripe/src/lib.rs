//! Stripe's language, pure: webhook signatures, and events of every API version since 2022-08-01 read by shape into
//! canonical facts. What a fact does to a commission is not known here, nor is the platform, the clock or a key.
//!
//! [`signature::verify`] judges the raw bytes; [`event::read`] makes facts of them. Each kind of object has a module of
//! its own, and [`event::read`] has the table of event types. [`api`] reads the same objects where Stripe's API was asked
//! for them.

pub mod api;
pub mod event;
pub mod shape;
pub mod signature;

mod charge;
mod discount;
mod dispute;
mod hints;
mod invoice;
mod invoice_payment;
mod json;
mod refund;
mod session;
mod subscription;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod format;
#[cfg(test)]
mod mutation;
#[cfg(test)]
mod testing;
