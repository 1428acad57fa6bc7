//! The partner's side, behind its pages and the merchant's API: who joins, where partners are paid, what they are told in
//! words, what is held of them, and how it is forgotten.

pub mod erasure;
pub mod export;
pub mod join;
pub mod payee;
pub mod words;
