//! The API's description, `www/openapi.json`. Only tests are made of this module: not a byte of it reaches the Worker, which
//! serves the file. [`operations`] is the table beside the routes, [`shapes`] are the answers; what they share with the rules
//! (words, limits, kinds of ids) is the rules' own. Nothing of it can drift unnoticed: [`held`] holds every request and every
//! answer of every test against it, and [`tests`] the whole against the routes, the codes and the file.

pub mod asked;
mod document;
mod errors;
pub mod held;
mod operation;
mod operations;
mod schema;
mod shapes;
mod tests;
mod tour;
