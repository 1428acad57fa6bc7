//! The other implementation of each port.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use axum::response::Response;
use domain::ids::KeyId;
use domain::limit::Admission;
use domain::time::Instant;
use futures_util::future::BoxFuture;

use crate::app::{Clock, Random};
use crate::assets::Assets;
use crate::lending::Lender;
use crate::limiter::{Ask, Bucket, Limiter, Said, Unreachable};
use crate::mail::{Letter, Mail, Unsent};
use crate::shelf::Shelf;
use crate::store::databases::Databases;

/// A clock moved by hand.
pub struct Hand(AtomicI64);

impl Hand {
    pub fn at(text: &str) -> Self {
        Self(AtomicI64::new(Instant::parse(text).unwrap().ms()))
    }

    pub fn pass_ms(&self, span_ms: i64) {
        self.0.fetch_add(span_ms, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Instant {
        Instant::from_ms(self.0.load(Ordering::SeqCst))
    }
}

/// Random bytes of a seed (splitmix64).
pub struct Seeded(AtomicU64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Keeps what is sent; refuses when told so.
#[derive(Default)]
pub struct ScriptedMail {
    pub sent: Mutex<Vec<Letter>>,
    pub refuses: AtomicBool,
}

impl Mail for ScriptedMail {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), Unsent>> {
        let refuses = self.refuses.load(Ordering::SeqCst);
        if !refuses {
            self.sent.lock().unwrap().push(letter.clone());
        }
        let answer = if refuses { Err(Unsent("the provider is down".to_owned())) } else { Ok(()) };
        Box::pin(std::future::ready(answer))
    }
}

/// Counts in memory; can be put out of reach.
#[derive(Default)]
pub struct TableLimiter {
    lenders: Mutex<HashMap<Bucket, Arc<Lender>>>,
    /// Where whether a key is valid is asked.
    pub db: OnceLock<Arc<Databases>>,
    /// How often it was asked.
    pub asked: AtomicU64,
    pub unreachable: AtomicBool,
    pub no_strangers: AtomicBool,
}

impl TableLimiter {
    fn lender(&self, bucket: &Bucket) -> Result<Arc<Lender>, Unreachable> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match self.unreachable.load(Ordering::SeqCst) {
            true => Err(Unreachable("put out of reach".to_owned())),
            false => Ok(self.lenders.lock().unwrap().entry(bucket.clone()).or_default().clone()),
        }
    }
}

impl Limiter for TableLimiter {
    fn take(&self, bucket: &Bucket, limit: u32, now: Instant) -> BoxFuture<'_, Result<Admission, Unreachable>> {
        let answer = self.lender(bucket).map(|lender| lender.window.lock().unwrap().take(limit, now));
        Box::pin(std::future::ready(answer))
    }

    fn lend(&self, ask: Ask, now: Instant) -> BoxFuture<'_, Result<Said, Unreachable>> {
        Box::pin(async move {
            let lender = self.lender(&ask.bucket)?;
            Ok(lender.lend(self.db.get().unwrap().as_ref(), &ask, now).await)
        })
    }

    fn revoked(&self, key_id: &KeyId, now: Instant) -> BoxFuture<'_, ()> {
        if let Ok(lender) = self.lender(&Bucket::Clicks { key_id: key_id.to_string() }) {
            lender.revoke(now);
        }
        Box::pin(std::future::ready(()))
    }

    fn links_changed(&self, bucket: &Bucket, now: Instant) -> BoxFuture<'_, ()> {
        if let Ok(lender) = self.lender(bucket) {
            lender.note_change(now);
        }
        Box::pin(std::future::ready(()))
    }

    fn stranger(&self, _address: &str) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(!self.no_strangers.load(Ordering::SeqCst)))
    }
}

/// A shelf in memory. It can be kept from learning of changes, as other places are for a minute.
#[derive(Default)]
pub struct TableShelf {
    pub texts: Mutex<HashMap<String, String>>,
    pub is_deaf: AtomicBool,
    /// How often it was asked or told.
    pub asked: AtomicU64,
}

impl Shelf for TableShelf {
    fn get(&self, name: String) -> BoxFuture<'_, Option<String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(self.texts.lock().unwrap().get(&name).cloned()))
    }

    fn put(&self, name: String, text: String, _kept_s: u64) -> BoxFuture<'_, ()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.texts.lock().unwrap().insert(name, text);
        Box::pin(std::future::ready(()))
    }

    fn delete(&self, name: String) -> BoxFuture<'_, ()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if !self.is_deaf.load(Ordering::SeqCst) {
            self.texts.lock().unwrap().remove(&name);
        }
        Box::pin(std::future::ready(()))
    }
}

/// `selgeo.js` in its three forms, `trac.js` and its fallback in one, each under its two names, a style, and
/// two guides.
pub struct FilesInMemory;

impl Assets for FilesInMemory {
    fn get(&self, path: &str) -> BoxFuture<'_, Option<Response>> {
        if path == crate::addresses::LIST {
            let list = crate::addresses::entry("throwaway.test").to_vec();
            return Box::pin(std::future::ready(Some(Response::new(axum::body::Body::from(list)))));
        }
        let (media_type, content) = match path.replace(".0123456789abcdef", "").as_str() {
            "/v1/selgeo.js" => ("text/javascript", "/* selgeo */"),
            "/v1/selgeo.js.br" => ("application/octet-stream", "selgeo in brotli"),
            "/v1/selgeo.js.gz" => ("application/gzip", "selgeo in gzip"),
            "/v1/trac.js" => ("text/javascript", "/* trac */"),
            "/v1/trac-fallback.js" => ("text/javascript", "/* trac, translated */"),
            "/v1/selgeo-fallback.js" => ("text/javascript", "/* selgeo, translated */"),
            "/v1/manifest.json" => ("application/json", "{}"),
            "/openapi.json" => ("application/json", "{}"),
            "/llms.txt" => ("text/plain", "# Selgeo"),
            "/docs/api" => ("text/html", "the reference"),
            "/static/selgeo.css" => ("text/css", "body {}"),
            "/docs/" | "/docs/index" => ("text/html", "all guides"),
            "/docs/quick-start" => ("text/html", "a guide"),
            _ => return Box::pin(std::future::ready(None)),
        };
        let response = Response::builder()
            .header("content-type", media_type)
            .header("cache-control", "public, max-age=0, must-revalidate")
            .header("etag", format!("\"{path}\""))
            .body(axum::body::Body::from(content));
        Box::pin(std::future::ready(response.ok()))
    }
}
