//! Durable Objects.

pub mod rate_limiter;
pub mod webhook_lane;
