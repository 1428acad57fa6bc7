//! Handlers, one file a resource: parse, load, decide, commit, respond.

pub mod acts;
pub mod api_keys;
pub mod audit;
pub mod clicks;
pub mod commissions;
pub mod conversions;
pub mod customers;
pub mod events;
pub mod exports;
pub mod files;
pub mod fraud_alerts;
pub mod health;
pub mod hosts;
pub mod imports;
pub mod invites;
pub mod links;
pub mod members;
pub mod operator;
pub mod participants;
pub mod partners;
pub mod payouts;
pub mod programs;
pub mod promo_codes;
pub mod questions;
pub mod refunds;
pub mod rewards;
pub mod short_links;
pub mod stripe_connections;
pub mod stripe_events;
pub mod stripe_ingress;
pub mod track;
pub mod webhook_deliveries;
pub mod webhook_endpoints;
pub mod workspace;

pub mod listing;
mod management;
