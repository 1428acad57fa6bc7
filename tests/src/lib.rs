//! What a client sees of Selgeo. This library starts the built Worker and a browser; the tests lie beside it.

mod browser;
mod server;

pub use browser::Browser;
pub use server::Server;
