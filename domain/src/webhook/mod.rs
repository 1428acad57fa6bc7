//! Outgoing webhooks: what there is to be told, how it is signed, when it is tried again, and where it may go.

pub mod address;
pub mod schedule;
pub mod signature;

/// What a merchant can be told of.
pub const EVENT_TYPES: [&str; 16] = [
    "conversion.created",
    "conversion.attributed",
    "conversion.merged",
    "conversion.refunded",
    "conversion.fraud_detected",
    "commission.created",
    "commission.approved",
    "commission.rejected",
    "commission.refunded",
    "commission.paid",
    "participant.created",
    "participant.approved",
    "participant.rejected",
    "participant.suspended",
    "payout.created",
    "payout.paid",
];

/// What a ping is: it goes to one endpoint, whatever that one wants to be told of.
pub const PING: &str = "webhook.test";

/// The version of what a body holds.
pub const API_VERSION: &str = "v1";

/// Endpoints that a workspace has at most in one mode.
pub const ENDPOINTS_MAX: i64 = 10;
