//! What a client sees of Selgeo. This library starts the built Worker; the tests lie beside it.

mod server;

pub use server::Server;
