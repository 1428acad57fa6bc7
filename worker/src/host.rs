//! The host: the same code without the platform, over a copy of the database that is only read. For `cargo xtask replay` and
//! `simulate`.

pub mod export_file;
pub mod load;
pub mod sqlite;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::response::Response;
use domain::ids::KeyId;
use domain::limit::Admission;
use domain::time::Instant;
use futures_util::future::BoxFuture;

use crate::app::{App, Clock, Config, Random};
use crate::assets::Assets;
use crate::limiter::{Ask, Bucket, Limiter, Said, Unreachable};
use crate::secrets::Secrets;
use crate::shelf::Shelf;
use crate::store::Database;
use crate::store::databases::Databases;
use crate::stripe_api::{Answer, StripeApi, Unreached};
use crate::webhooks::{self, Post, Receivers};

/// An application that reads databases, in their order, and does nothing else.
pub fn app(first: Arc<dyn Database>, others: Vec<Arc<dyn Database>>, secrets: Secrets) -> App {
    App {
        db: Arc::new(Databases::new(first, others)),
        clock: Arc::new(HostClock),
        random: Arc::new(Counting(AtomicU64::new(0))),
        limiter: Arc::new(Absent),
        stripe_api: Arc::new(Absent),
        mail: Arc::new(crate::mail::NoMail),
        receivers: Arc::new(Absent),
        owed: Default::default(),
        assets: Arc::new(Absent),
        disposable: Default::default(),
        shelf: Arc::new(Absent),
        known: Default::default(),
        leases: Default::default(),
        keys: Default::default(),
        connections: Default::default(),
        nonce: Default::default(),
        secrets,
        config: Config::default(),
    }
}

struct HostClock;

impl Clock for HostClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is handed; the host has one")]
    fn now(&self) -> Instant {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Instant::from_ms(i64::try_from(since.as_millis()).unwrap_or(0))
    }
}

/// Nothing that is made here is kept, so that ids only have to differ.
struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
        let number = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (place, byte) in buffer.iter_mut().rev().zip(number.iter().rev()) {
            *place = *byte;
        }
    }
}

/// What is not there: nobody asks for it.
struct Absent;

impl Limiter for Absent {
    fn take(&self, _bucket: &Bucket, _limit: u32, _now: Instant) -> BoxFuture<'_, Result<Admission, Unreachable>> {
        Box::pin(std::future::ready(Err(Unreachable("there is no limiter here".to_owned()))))
    }

    fn lend(&self, _ask: Ask, _now: Instant) -> BoxFuture<'_, Result<Said, Unreachable>> {
        Box::pin(std::future::ready(Err(Unreachable("there is no limiter here".to_owned()))))
    }

    fn revoked(&self, _key_id: &KeyId, _now: Instant) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn links_changed(&self, _bucket: &Bucket, _now: Instant) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn stranger(&self, _address: &str) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(false))
    }
}

impl Shelf for Absent {
    fn get(&self, _name: String) -> BoxFuture<'_, Option<String>> {
        Box::pin(std::future::ready(None))
    }

    fn put(&self, _name: String, _text: String, _kept_s: u64) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn delete(&self, _name: String) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Receivers for Absent {
    fn post<'a>(&'a self, _post: &'a Post) -> BoxFuture<'a, Result<webhooks::Answer, webhooks::Unreached>> {
        Box::pin(std::future::ready(Err(webhooks::Unreached::Failed("there is no network here".to_owned()))))
    }

    fn resolve<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, webhooks::Unreached>> {
        Box::pin(std::future::ready(Err(webhooks::Unreached::Failed("there is no network here".to_owned()))))
    }
}

impl StripeApi for Absent {
    fn get<'a>(&'a self, _path: &'a str, _key: &'a str) -> BoxFuture<'a, Result<Answer, Unreached>> {
        Box::pin(std::future::ready(Err(Unreached::Failed("there is no network here".to_owned()))))
    }
}

impl Assets for Absent {
    fn get(&self, _path: &str) -> BoxFuture<'_, Option<Response>> {
        Box::pin(std::future::ready(None))
    }
}
