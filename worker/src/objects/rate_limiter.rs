//! The Durable Object that counts one bucket, and the port that reaches it. The count is written down before the answer
//! leaves (the platform's output gate), so that an evicted or killed object does not hand a minute out twice.

use std::cell::RefCell;

use domain::limit::{Admission, Window};
use domain::time::Instant;
use futures_util::future::BoxFuture;
use worker::send::SendFuture;
use worker::{DurableObject, Env, Method, ObjectNamespace, RateLimiter as PlatformLimiter, Request, Response, State};
use worker::{RequestInit, durable_object};

use crate::limiter::{Bucket, Limiter, Unreachable};

/// Counts one bucket's requests per aligned minute.
#[durable_object(fetch)]
pub struct RateLimiter {
    state: State,
    window: RefCell<Option<Window>>,
}

impl DurableObject for RateLimiter {
    fn new(state: State, _env: Env) -> Self {
        Self { state, window: RefCell::new(None) }
    }

    /// `POST /{limit}/{now in ms}` → `{admitted} {remaining} {reset_s}`. Nothing is awaited between reading and writing.
    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let path = request.path();
        let mut numbers = path.split('/').skip(1).map(str::parse::<i64>);
        let (Some(Ok(limit)), Some(Ok(now_ms))) = (numbers.next(), numbers.next()) else {
            return Response::error("expected /{limit}/{now}", 400);
        };
        let mut slot = self.window.borrow_mut();
        let mut window = match *slot {
            Some(window) => window,
            None => self.stored()?,
        };
        let limit = u32::try_from(limit).unwrap_or(0);
        let admission = window.take(limit, Instant::from_ms(now_ms));
        if admission.admitted {
            self.store(window)?;
        }
        *slot = Some(window);
        let admitted = u8::from(admission.admitted);
        Response::ok(format!("{admitted} {} {}", admission.remaining, admission.reset_s))
    }
}

#[derive(serde::Deserialize)]
struct StoredWindow {
    minute: f64,
    count: f64,
}

impl RateLimiter {
    fn stored(&self) -> worker::Result<Window> {
        let sql = self.state.storage().sql();
        sql.exec(
            "CREATE TABLE IF NOT EXISTS counted (one INTEGER PRIMARY KEY CHECK (one = 1), minute INTEGER, count INTEGER)",
            None,
        )?;
        let rows: Vec<StoredWindow> = sql.exec("SELECT minute, count FROM counted", None)?.to_array()?;
        Ok(rows
            .first()
            .map_or_else(Window::default, |row| Window { minute: row.minute as i64, count: row.count as u32 }))
    }

    fn store(&self, window: Window) -> worker::Result<()> {
        self.state.storage().sql().exec(
            "INSERT OR REPLACE INTO counted (one, minute, count) VALUES (1, ?, ?)",
            vec![
                worker::SqlStorageValue::Float(window.minute as f64),
                worker::SqlStorageValue::Float(f64::from(window.count)),
            ],
        )?;
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

    async fn ask(&self, name: String, limit: u32, now: Instant) -> worker::Result<String> {
        let stub = self.objects.id_from_name(&name)?.get_stub()?;
        let mut init = RequestInit::new();
        init.with_method(Method::Post);
        let request = Request::new_with_init(&format!("https://limiter/{limit}/{}", now.ms()), &init)?;
        let mut response = stub.fetch_with_request(request).await?;
        if response.status_code() != 200 {
            return Err(worker::Error::RustError(format!("limiter answered {}", response.status_code())));
        }
        response.text().await
    }
}

impl Limiter for DurableLimiter {
    fn take(&self, bucket: &Bucket, limit: u32, now: Instant) -> BoxFuture<'_, Result<Admission, Unreachable>> {
        let name = bucket.name();
        Box::pin(SendFuture::new(async move {
            let text = self.ask(name, limit, now).await.map_err(|error| Unreachable(error.to_string()))?;
            let numbers: Vec<u32> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
            match numbers.as_slice() {
                [admitted, remaining, reset_s] => {
                    Ok(Admission { admitted: *admitted == 1, limit, remaining: *remaining, reset_s: *reset_s })
                }
                _ => Err(Unreachable(format!("limiter answered {text:?}"))),
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
