//! The Durable Object that counts one bucket and lends out of it, and the port that reaches it. The count is written down before the
//! answer leaves (the platform's output gate), so that an evicted or killed object does not hand a minute out twice. The object's
//! own clock counts, so that a caller whose clock is wrong spoils nobody's minute.

use std::cell::Cell;

use domain::ids::KeyId;
use domain::limit::{Admission, Returned, Window};
use domain::time::Instant;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use worker::send::SendFuture;
use worker::{DurableObject, Env, Method, ObjectNamespace, RateLimiter as PlatformLimiter, Request, Response, State};
use worker::{RequestInit, durable_object};

use crate::asked;
use crate::entry;
use crate::lending::Lender;
use crate::limiter::{Ask, Bucket, Limiter, Loan, Said, Unreachable};

/// Counts one bucket's requests per aligned minute.
#[durable_object(fetch)]
pub struct RateLimiter {
    state: State,
    env: Env,
    lender: Lender,
    is_restored: Cell<bool>,
}

/// What is asked of the object.
#[derive(Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
enum Question {
    /// One request.
    Take { limit: u32 },
    /// One click and a lease.
    Lend { limit: u32, returned: Option<(i64, u32, u32)>, key: Option<KeyId>, known_at: i64 },
    /// Nothing: the key is revoked.
    Revoke,
    /// Nothing: a link was changed.
    NoteChange,
}

/// What the object says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    /// Whether there is room, how much is left of how much, and until when.
    Taken { admitted: bool, limit: u32, remaining: u32, reset_s: u32 },
    /// The same, with a lease.
    Lent {
        admitted: bool,
        limit: u32,
        remaining: u32,
        reset_s: u32,
        minute: i64,
        size: u32,
        lasts_ms: i64,
        links_changed_at: Option<i64>,
    },
    /// The key is revoked.
    Revoked,
    /// It is noted.
    Noted,
}

impl DurableObject for RateLimiter {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, lender: Lender::default(), is_restored: Cell::new(false) }
    }

    /// A [`Question`] in the body, a [`Reply`] in the answer's. Between reading and writing the count nothing is awaited.
    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let question: Question = serde_json::from_str(&request.text().await?)?;
        if !self.is_restored.get() {
            self.restore()?;
            self.is_restored.set(true);
        }
        let now = entry::now();
        let reply = match question {
            Question::Take { limit } => {
                let admission = self.counted(|window| window.take(limit, now))?;
                let Admission { admitted, limit, remaining, reset_s } = admission;
                Reply::Taken { admitted, limit, remaining, reset_s }
            }
            Question::Lend { limit, returned, key, known_at } => {
                let returned = returned.map(|(minute, size, spent)| Returned { minute, size, spent });
                // The bucket is this object: its name is not asked for.
                let bucket = Bucket::Clicks { key_id: String::new() };
                let ask = Ask { bucket, limit, returned, key, known_at: Instant::from_ms(known_at) };
                let (app, _) = entry::running(&self.env)?;
                match self.lender.lend(app.db.as_ref(), &ask, now).await {
                    Said::Revoked => Reply::Revoked,
                    Said::Lent(Loan { admission, minute, size, lasts_ms, links_changed_at }) => {
                        self.counted(|_| ())?;
                        let Admission { admitted, limit, remaining, reset_s } = admission;
                        let links_changed_at = links_changed_at.map(Instant::ms);
                        Reply::Lent { admitted, limit, remaining, reset_s, minute, size, lasts_ms, links_changed_at }
                    }
                }
            }
            Question::Revoke => {
                self.lender.revoke(now);
                Reply::Noted
            }
            Question::NoteChange => {
                self.lender.note_change(now);
                self.counted(|_| ())?;
                Reply::Noted
            }
        };
        Response::ok(serde_json::to_string(&reply)?)
    }
}

#[derive(Deserialize)]
struct StoredWindow {
    minute: f64,
    count: f64,
    lent: f64,
    links_changed_at: Option<f64>,
}

impl RateLimiter {
    /// Counts, and writes the count down.
    fn counted<T>(&self, count: impl FnOnce(&mut Window) -> T) -> worker::Result<T> {
        let mut window =
            self.lender.window.lock().map_err(|_| worker::Error::RustError("the count is lost".to_owned()))?;
        let counted = count(&mut window);
        let changed_at = self.lender.links_changed_at.lock().ok().and_then(|at| *at);
        let numbers = [window.minute as f64, f64::from(window.count), f64::from(window.lent)];
        let mut row = numbers.map(worker::SqlStorageValue::Float).to_vec();
        row.push(changed_at.map_or(worker::SqlStorageValue::Null, |at| worker::SqlStorageValue::Float(at.ms() as f64)));
        self.state.storage().sql().exec(
            "INSERT OR REPLACE INTO lending (one, minute, count, lent, links_changed_at) VALUES (1, ?, ?, ?, ?)",
            row,
        )?;
        Ok(counted)
    }

    fn restore(&self) -> worker::Result<()> {
        let sql = self.state.storage().sql();
        sql.exec(
            "CREATE TABLE IF NOT EXISTS lending (one INTEGER PRIMARY KEY CHECK (one = 1), minute INTEGER, count INTEGER, lent INTEGER, \
             links_changed_at INTEGER)",
            None,
        )?;
        let rows: Vec<StoredWindow> =
            sql.exec("SELECT minute, count, lent, links_changed_at FROM lending", None)?.to_array()?;
        if let (Some(row), Ok(mut window)) = (rows.first(), self.lender.window.lock()) {
            *window = Window { minute: row.minute as i64, count: row.count as u32, lent: row.lent as u32 };
            if let Some(at) = row.links_changed_at {
                self.lender.note_change(Instant::from_ms(at as i64));
            }
        }
        Ok(())
    }
}

/// Reaches the object of a bucket, and the platform's own coarse limiter.
pub struct DurableLimiter {
    objects: ObjectNamespace,
    strangers: Option<PlatformLimiter>,
}

impl DurableLimiter {
    /// The bindings `RATE_LIMITER` and `STRANGERS`.
    pub fn new(env: &Env) -> worker::Result<Self> {
        Ok(Self { objects: env.durable_object("RATE_LIMITER")?, strangers: env.rate_limiter("STRANGERS").ok() })
    }

    async fn ask(&self, bucket: &Bucket, question: Question) -> Result<Reply, Unreachable> {
        let asked = async {
            asked::note_object();
            let stub = self.objects.id_from_name(&bucket.name())?.get_stub()?;
            let mut init = RequestInit::new();
            init.with_method(Method::Post).with_body(Some(serde_json::to_string(&question)?.into()));
            let request = Request::new_with_init("https://limiter/", &init)?;
            let mut response = stub.fetch_with_request(request).await?;
            if response.status_code() != 200 {
                return Err(worker::Error::RustError(format!("limiter answered {}", response.status_code())));
            }
            Ok(serde_json::from_str::<Reply>(&response.text().await?)?)
        };
        asked.await.map_err(|error: worker::Error| Unreachable(error.to_string()))
    }
}

/// An answer to another question.
fn beside() -> Unreachable {
    Unreachable("limiter answered another question".to_owned())
}

impl Limiter for DurableLimiter {
    fn take(&self, bucket: &Bucket, limit: u32, _now: Instant) -> BoxFuture<'_, Result<Admission, Unreachable>> {
        let bucket = bucket.clone();
        Box::pin(SendFuture::new(async move {
            match self.ask(&bucket, Question::Take { limit }).await? {
                Reply::Taken { admitted, limit, remaining, reset_s } => {
                    Ok(Admission { admitted, limit, remaining, reset_s })
                }
                _ => Err(beside()),
            }
        }))
    }

    fn lend(&self, ask: Ask, _now: Instant) -> BoxFuture<'_, Result<Said, Unreachable>> {
        Box::pin(SendFuture::new(async move {
            let returned = ask.returned.map(|returned| (returned.minute, returned.size, returned.spent));
            let question = Question::Lend { limit: ask.limit, returned, key: ask.key, known_at: ask.known_at.ms() };
            match self.ask(&ask.bucket, question).await? {
                Reply::Lent { admitted, limit, remaining, reset_s, minute, size, lasts_ms, links_changed_at } => {
                    let admission = Admission { admitted, limit, remaining, reset_s };
                    let links_changed_at = links_changed_at.map(Instant::from_ms);
                    Ok(Said::Lent(Loan { admission, minute, size, lasts_ms, links_changed_at }))
                }
                Reply::Revoked => Ok(Said::Revoked),
                Reply::Taken { .. } | Reply::Noted => Err(beside()),
            }
        }))
    }

    fn revoked(&self, key_id: &KeyId, _now: Instant) -> BoxFuture<'_, ()> {
        let bucket = Bucket::Clicks { key_id: key_id.to_string() };
        Box::pin(SendFuture::new(async move {
            if let Err(Unreachable(why)) = self.ask(&bucket, Question::Revoke).await {
                crate::log(&format!("limiter: that a key is revoked could not be told: {why}"));
            }
        }))
    }

    fn links_changed(&self, bucket: &Bucket, _now: Instant) -> BoxFuture<'_, ()> {
        let bucket = bucket.clone();
        Box::pin(SendFuture::new(async move {
            if let Err(Unreachable(why)) = self.ask(&bucket, Question::NoteChange).await {
                crate::log(&format!("limiter: that a link was changed could not be told: {why}"));
            }
        }))
    }

    fn stranger(&self, address: &str) -> BoxFuture<'_, bool> {
        let address = address.to_owned();
        Box::pin(SendFuture::new(async move {
            match &self.strangers {
                // A guard that is out of order lets everyone in: it only protects against bursts.
                Some(limiter) => limiter.limit(address).await.map_or(true, |outcome| outcome.success),
                None => true,
            }
        }))
    }
}
