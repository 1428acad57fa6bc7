//! Handlers, one file a resource: parse, load, decide, commit, respond.

pub mod health;
