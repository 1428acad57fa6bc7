//! Durable Objects.

pub mod rate_limiter;
