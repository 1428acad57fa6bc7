//! The platform's entry points: the only file that names them. Here bindings become ports; nothing is decided.

use std::cell::RefCell;
use std::sync::Arc;

use axum::Router;
use domain::time::Instant;
use worker::{Context, Env, HttpRequest, MessageBatch, MessageExt, ScheduleContext, ScheduledEvent, event};

use crate::app::{self, App, Clock, Config, Random};
use crate::call::{AfterAnswer, Peer};
use crate::jobs::Message;
use crate::objects::rate_limiter::DurableLimiter;
use crate::store::d1::D1;

struct PlatformClock;

impl Clock for PlatformClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else is handed"
    )]
    fn now(&self) -> Instant {
        Instant::from_ms(i64::try_from(worker::Date::now().as_millis()).unwrap_or(0))
    }
}

struct PlatformRandom;

impl Random for PlatformRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the source of randomness that everything else is handed"
    )]
    #[expect(clippy::expect_used, reason = "a Worker without randomness can do nothing safely")]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("crypto.getRandomValues always answers in a Worker");
    }
}

thread_local! {
    /// Built once per isolate: bindings, secrets and the table of routes do not change while it lives.
    static RUNNING: RefCell<Option<(Arc<App>, Router)>> = const { RefCell::new(None) };
}

fn running(env: &Env) -> worker::Result<(Arc<App>, Router)> {
    if let Some(both) = RUNNING.with_borrow(Clone::clone) {
        return Ok(both);
    }
    let app = Arc::new(App {
        db: Arc::new(D1(env.d1("DB")?)),
        clock: Arc::new(PlatformClock),
        random: Arc::new(PlatformRandom),
        limiter: Arc::new(DurableLimiter::new(env)?),
        config: config(env),
    });
    let both = (app.clone(), app::router(app));
    RUNNING.set(Some(both.clone()));
    Ok(both)
}

fn config(env: &Env) -> Config {
    let text = |name: &str| env.var(name).map(|value| value.to_string()).unwrap_or_default();
    Config {
        mounts: text("MOUNTS")
            .split(',')
            .map(str::trim)
            .filter(|m| !m.is_empty())
            .map(str::to_owned)
            .collect(),
        dev: text("SELGEO_DEV") == "1",
    }
}

#[event(fetch)]
async fn fetch(request: HttpRequest, env: Env, context: Context) -> worker::Result<http::Response<axum::body::Body>> {
    let (app, router) = running(&env)?;
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    let peer = Peer {
        address: header("cf-connecting-ip").unwrap_or_default(),
        country: header("cf-ipcountry"),
    };
    let (parts, body) = request.into_parts();
    let request = axum::extract::Request::from_parts(parts, axum::body::Body::new(body));
    let mut response = app::answer(&app, &router, request, peer).await;
    if let Some(AfterAnswer(messages)) = response.extensions_mut().remove::<AfterAnswer>() {
        let queue = env.queue("QUEUE")?;
        context.wait_until(async move {
            if let Err(error) = queue.send_batch(messages).await {
                // A sweep finds what this message was for.
                crate::log(&format!("queue refused: {error}"));
            }
        });
    }
    Ok(response)
}

#[event(queue)]
async fn queue(batch: MessageBatch<Message>, env: Env, _context: Context) -> worker::Result<()> {
    // An `Err` from here would panic the isolate: every message is answered by itself.
    let Ok((_app, _router)) = running(&env) else {
        batch.retry_all();
        return Ok(());
    };
    for raw in batch.raw_iter() {
        raw.ack();
    }
    Ok(())
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let Ok((_app, _router)) = running(&env) else { return };
}
