//! What a client sees of Selgeo. This library starts what the tests need: the built Worker, a browser, pages on another
//! origin, Stripe's official library. The tests lie beside it.

mod browser;
mod client;
mod crawl;
mod engine;
mod merchant;
mod proxy;
mod random;
mod receiver;
mod requests;
mod server;
mod site;
mod stage;
mod stripe;
mod stripe_api;
mod suite;
mod time;

pub use browser::Browser;
pub use client::{Answer, Client};
pub use crawl::crawl;
pub use engine::Engine;
pub use merchant::{furnish, live_participant};
pub use proxy::Proxy;
pub use random::Random;
pub use receiver::{Received, Receiver, Reply};
pub use requests::Click;
pub use server::Server;
pub use site::Site;
pub use stage::Stage;
pub use stripe::{Stripe, charge_updated, invoice, session, subscription_session};
pub use stripe_api::StripeApi;
pub use suite::{Test, run};
pub use time::{Timer, now, wait_for};
