//! The Durable Object that runs the lane of one endpoint, and how it is told that there is something to send.
//!
//! It holds no truth: its alarm is a note of when the database owes the endpoint something next. An alarm that fails is retried
//! by the platform six times and is then gone, so it never fails; and one that is gone all the same (the isolate died) is set
//! again by the sweep, which nudges whoever is owed something.

use std::cell::Cell;

use domain::time::{Instant, SECOND_MS};
use futures_util::stream::{self, StreamExt};
use worker::{DurableObject, Env, Method, ObjectNamespace, Request, RequestInit, Response, State, durable_object};

use crate::entry;
use crate::webhooks::lane;

/// The binding.
const LANES: &str = "WEBHOOK_LANES";
/// Where the object keeps whose lane it is.
const ENDPOINT_ID: &str = "endpoint_id";
/// When a run could not read or write the database, the next one comes so much later, and each time twice that. A database that
/// cannot be written to must not have receivers see the same events again every few seconds.
const AGAIN_AFTER_MS: i64 = 10 * SECOND_MS;
const DOUBLED_AT_MOST: u32 = 5;
/// An alarm that should have come so long ago is taken for lost.
const LOST_AFTER_MS: i64 = 10 * SECOND_MS;
/// Lanes that are told at once: of the six connections that the platform allows, one is left for others.
const TOLD_AT_ONCE: usize = 5;

/// Runs one endpoint's lane.
#[durable_object(alarm)]
pub struct WebhookLane {
    state: State,
    env: Env,
    /// Runs in a row that failed.
    failures: Cell<u32>,
}

impl DurableObject for WebhookLane {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, failures: Cell::new(0) }
    }

    /// `POST /{endpoint id}`: something may be due. While a run goes on, the next one begins when it ends.
    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        let path = request.path();
        let endpoint_id = path.trim_matches('/');
        if endpoint_id.is_empty() {
            return Response::error("expected /{endpoint id}", 400);
        }
        let storage = self.state.storage();
        if storage.get::<String>(ENDPOINT_ID).await?.is_none() {
            storage.put(ENDPOINT_ID, endpoint_id).await?;
        }
        self.arm(self.now()?).await?;
        Response::ok("")
    }

    /// Sends what is due. Whatever happens, the answer is good and the alarm is set anew, if there is anything left to do.
    async fn alarm(&self) -> worker::Result<Response> {
        let next = match self.run().await {
            Ok(next) => {
                self.failures.set(0);
                next
            }
            Err(error) => {
                crate::log(&format!("webhook lane: {error}"));
                let failures = self.failures.get().min(DOUBLED_AT_MOST);
                self.failures.set(failures + 1);
                self.now().ok().map(|now| now.plus_ms(AGAIN_AFTER_MS << failures))
            }
        };
        if let Some(next) = next
            && let Err(error) = self.arm(next).await
        {
            // The sweep will nudge it.
            crate::log(&format!("webhook lane: no alarm: {error}"));
        }
        Response::ok("")
    }
}

impl WebhookLane {
    async fn run(&self) -> worker::Result<Option<Instant>> {
        let Some(endpoint_id) = self.state.storage().get::<String>(ENDPOINT_ID).await? else { return Ok(None) };
        let (app, _router) = entry::running(&self.env)?;
        lane::run(&app, &endpoint_id).await.map_err(|error| {
            worker::Error::RustError(format!("{endpoint_id}: {}", error.log_detail().unwrap_or("refused")))
        })
    }

    /// Sets the alarm, unless one is set for sooner: a nudge that came while a run went on has set one. The alarm that is going
    /// off is not among those that are set.
    async fn arm(&self, at: Instant) -> worker::Result<()> {
        let (storage, now) = (self.state.storage(), self.now()?);
        let is_lost = |set: i64| set < now.plus_ms(-LOST_AFTER_MS).ms();
        match storage.get_alarm().await? {
            Some(set) if set <= at.ms() && !is_lost(set) => Ok(()),
            _ => storage.set_alarm(at.since_ms(now).max(0)).await,
        }
    }

    fn now(&self) -> worker::Result<Instant> {
        Ok(entry::running(&self.env)?.0.clock.now())
    }
}

/// Tells the lanes of these endpoints that something may be due. One that cannot be told now is told by a sweep.
pub async fn nudge(env: &Env, endpoint_ids: &[String]) {
    let lanes = match env.durable_object(LANES) {
        Ok(lanes) => lanes,
        Err(error) => return crate::log(&format!("webhook lanes: {error}")),
    };
    let told = stream::iter(endpoint_ids).map(|endpoint_id| tell(&lanes, endpoint_id)).buffer_unordered(TOLD_AT_ONCE);
    let failed: Vec<worker::Error> = told.filter_map(|told| std::future::ready(told.err())).collect().await;
    if let Some(error) = failed.first() {
        crate::log(&format!("{} webhook lanes could not be told: {error}", failed.len()));
    }
}

async fn tell(lanes: &ObjectNamespace, endpoint_id: &str) -> worker::Result<()> {
    let stub = lanes.id_from_name(endpoint_id)?.get_stub()?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post);
    let request = Request::new_with_init(&format!("https://lane/{endpoint_id}"), &init)?;
    match stub.fetch_with_request(request).await?.status_code() {
        200 => Ok(()),
        status => Err(worker::Error::RustError(format!("a lane answered {status}"))),
    }
}
