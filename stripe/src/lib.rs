//! Stripe's language, pure: webhook signatures, and events of every API version since 2022-08-01 read by shape into
//! canonical facts. What a fact does to a commission is not known here.
