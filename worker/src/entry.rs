//! The platform's entry points: the only file that names them. Here bindings become ports; nothing is decided.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use domain::time::Instant;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use worker::send::SendFuture;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Context, Env, MessageBatch, MessageExt, ScheduleContext, ScheduledEvent, event};
use worker::{Delay, EncodeBody, Fetcher, HttpResponse, ResponseBuilder, web_sys};

use crate::app::{self, App, Clock, Config, Random};
use crate::asked::{self, Asked};
use crate::assets::Assets;
use crate::auth::people;
use crate::call::{AfterAnswer, Chores, Peer};
use crate::jobs::{Message, batches_of, messages_of};
use crate::known;
use crate::mail::platform::{BoundMail, HttpMail};
use crate::mail::{Mail, Mailbox, NoMail};
use crate::objects::rate_limiter::DurableLimiter;
use crate::objects::webhook_lane;
use crate::secrets::Secrets;
use crate::shelf::kv::Kv;
use crate::store::Database;
use crate::store::clicks::ClickRecord;
use crate::store::d1::D1;
use crate::store::databases::{DATABASES_MAX, Databases};
use crate::store::owing::{Noticing, Owed};
use crate::store::{DbError, Row, webhooks};
use crate::stripe_api::BASE_DEFAULT;
use crate::stripe_api::fetch::PlatformStripe;
use crate::webhooks::fetch::PlatformReceivers;

/// Workspaces and modes whose lanes are told at once; each has ten lanes at most.
const SCOPES_AT_ONCE: usize = 10;
/// While requests come in, one of them tells the lanes for the others, so many times and for so long at most.
const NUDGES_IN_A_ROW: usize = 10;
const NUDGING_MS_MAX: i64 = 5_000;
/// Lanes that one sweep tells: the platform may allow it 1,000 requests in all. A lane that was told goes on by itself.
const NUDGED_BY_SWEEP: i64 = 200;
/// The binding that leads to this machine's own addresses. Only `xtask/dev/server.mjs` makes one: no configuration of a deployment
/// can name such a network.
const LOOPBACK: &str = "LOOPBACK";

/// What wrangler.toml binds, and the Worker uses. Further databases and `EMAIL` may be there.
const BINDINGS: [&str; 8] = ["DB", "KV", "RATE_LIMITER", "WEBHOOK_LANES", "QUEUE", "CLICKS", "STRANGERS", "ASSETS"];

struct PlatformClock;

impl Clock for PlatformClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else is handed")]
    fn now(&self) -> Instant {
        Instant::from_ms(i64::try_from(worker::Date::now().as_millis()).unwrap_or(0))
    }
}

/// Now, for objects, which have no application's clock.
pub fn now() -> Instant {
    PlatformClock.now()
}

struct PlatformRandom;

impl Random for PlatformRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the source of randomness that everything else is handed")]
    #[expect(clippy::expect_used, reason = "a Worker without randomness can do nothing safely")]
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("crypto.getRandomValues always answers in a Worker");
    }
}

/// The platform's store of built files.
struct PlatformAssets(Fetcher);

impl Assets for PlatformAssets {
    fn get(&self, path: &str) -> BoxFuture<'_, Option<Response>> {
        // The host is of no matter to the store.
        let request = http::Request::builder().uri(format!("https://assets{path}")).body(worker::Body::empty());
        Box::pin(SendFuture::new(async move {
            let response: HttpResponse = self.0.fetch_request(request.ok()?).await.ok()?;
            response.status().is_success().then(|| response.map(axum::body::Body::new))
        }))
    }
}

/// How long clicks are gathered before they are queued; and when whoever gathers is taken to have ended before.
const GATHERING: Duration = Duration::from_millis(300);
const GATHERING_MS_MAX: i64 = 3_000;
/// Clicks that an isolate keeps while the queue refuses them.
const GATHERED_MAX: usize = 5_000;

thread_local! {
    /// Clicks that are to be queued.
    static GATHERED: RefCell<Vec<ClickRecord>> = const { RefCell::new(Vec::new()) };
    /// Since when some request of this isolate gathers them. A time, not a lock: that request may end before it is done.
    static GATHERING_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Built once per isolate: bindings, secrets and the table of routes do not change while it lives.
    static RUNNING: RefCell<Option<(Arc<App>, Router)>> = const { RefCell::new(None) };
    /// Since when some request of this isolate tells lanes. A time, not a lock: that request may end before it is done.
    static NUDGING_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What this isolate runs, and its table of routes.
pub fn running(env: &Env) -> worker::Result<(Arc<App>, Router)> {
    if let Some(both) = RUNNING.with_borrow(Clone::clone) {
        return Ok(both);
    }
    let mut nonce = [0; 4];
    PlatformRandom.fill(&mut nonce);
    let owed = Owed::default();
    let db = Arc::new(databases(env, &owed)?);
    let app = Arc::new(App {
        mail: mail(env, &db),
        db,
        clock: Arc::new(PlatformClock),
        random: Arc::new(PlatformRandom),
        limiter: Arc::new(DurableLimiter::new(env)?),
        stripe_api: Arc::new(stripe_api(env)),
        receivers: Arc::new(receivers(env)),
        owed,
        assets: Arc::new(PlatformAssets(env.assets("ASSETS")?)),
        shelf: Arc::new(Kv(env.kv("KV")?)),
        known: Default::default(),
        leases: Default::default(),
        keys: Default::default(),
        disposable: Default::default(),
        connections: Default::default(),
        nonce: AtomicU32::new(u32::from_be_bytes(nonce)),
        secrets: secrets(env)?,
        config: config(env),
    });
    let both = (app.clone(), app::router(app));
    RUNNING.set(Some(both.clone()));
    Ok(both)
}

/// `DB`, and `DB_1`, `DB_2` and so on. A gap is refused: what lies behind it would be taken for lost.
fn databases(env: &Env, owed: &Owed) -> worker::Result<Databases> {
    let noticing = |d1| -> Arc<dyn Database> { Arc::new(Noticing::new(Arc::new(D1(d1)), owed.clone())) };
    let names = (1..DATABASES_MAX).map(|index| format!("DB_{index}"));
    let mut others = Vec::new();
    let mut missing = None;
    for name in names {
        match (is_bound(env, &name), &missing) {
            (true, None) => others.push(noticing(env.d1(&name)?)),
            (true, Some(gap)) => {
                return Err(worker::Error::RustError(format!("{name} is bound, and {gap} before it is not")));
            }
            (false, _) => missing = missing.or(Some(name)),
        }
    }
    Ok(Databases::new(noticing(env.d1("DB")?), others))
}

fn secrets(env: &Env) -> worker::Result<Secrets> {
    let text = |name: &str| env.secret(name).map(|value| value.to_string()).unwrap_or_default();
    Secrets::read(&text("CLICK_SECRETS"), &text("ENCRYPTION_SECRETS"), &text("HASH_SECRETS"), &text("OPERATOR_TOKEN"))
        .map_err(|bad| worker::Error::RustError(format!("the secret {} is missing or malformed", bad.0)))
}

fn stripe_api(env: &Env) -> PlatformStripe {
    let base = env.var("STRIPE_API_BASE").map(|value| value.to_string()).unwrap_or_default();
    PlatformStripe::at(if base.trim().is_empty() { BASE_DEFAULT } else { &base }, config(env).dev)
}

fn receivers(env: &Env) -> PlatformReceivers {
    let resolver = env.var("DNS_OVER_HTTPS_URL").map(|value| value.to_string()).unwrap_or_default();
    let config = config(env);
    let loopback = config.loopback_webhooks.then(|| env.service(LOOPBACK).ok()).flatten();
    PlatformReceivers::new(&resolver, config.dev, loopback)
}

/// Cloudflare's own mail where it is bound, else a provider; a local server has a mailbox.
fn mail(env: &Env, db: &Arc<Databases>) -> Arc<dyn Mail> {
    let text = |name: &str| env.var(name).map(|value| value.to_string()).unwrap_or_default().trim().to_owned();
    let dev = config(env).dev;
    if dev && text("MAIL_HTTP_URL").is_empty() {
        return Arc::new(Mailbox { db: db.clone(), clock: Arc::new(PlatformClock), random: Arc::new(PlatformRandom) });
    }
    let (from, url) = (text("MAIL_FROM"), text("MAIL_HTTP_URL"));
    if from.is_empty() {
        return Arc::new(NoMail);
    }
    if is_bound(env, "EMAIL")
        && let Ok(binding) = env.send_email("EMAIL")
    {
        return Arc::new(BoundMail { binding, from });
    }
    // The token and every letter go there.
    if !url.starts_with("https://") && !dev {
        return Arc::new(NoMail);
    }
    let token = env.secret("MAIL_HTTP_TOKEN").map(|value| value.to_string()).unwrap_or_default();
    Arc::new(HttpMail { url, token, from })
}

/// A binding that is not there reads as undefined.
fn is_bound(env: &Env, name: &str) -> bool {
    js_sys::Reflect::has(env.as_ref(), &name.into()).unwrap_or(false)
}

fn config(env: &Env) -> Config {
    let text = |name: &str| env.var(name).map(|value| value.to_string()).unwrap_or_default();
    let dev = text("SELGEO_DEV") == "1";
    Config {
        mounts: text("MOUNTS")
            .split(',')
            .map(|mount| mount.trim().trim_end_matches('/'))
            .filter(|mount| !mount.is_empty())
            .map(str::to_owned)
            .collect(),
        dev,
        public_url: Some(text("PUBLIC_URL").trim().trim_end_matches('/').to_owned()).filter(|url| !url.is_empty()),
        loopback_webhooks: dev && env.service(LOOPBACK).is_ok(),
        operator_emails: text("OPERATOR_EMAILS").split(',').map(people::normal).filter(|one| !one.is_empty()).collect(),
        unbound: BINDINGS.into_iter().filter(|name| !is_bound(env, name)).collect(),
        sends_mail: dev
            || (!text("MAIL_FROM").trim().is_empty()
                && (is_bound(env, "EMAIL") || !text("MAIL_HTTP_URL").trim().is_empty())),
    }
}

/// On a local server: what the answer cost, if nothing else was asked of the platform meanwhile.
fn tell_costs(response: &mut Response, cost: Asked) {
    let Asked { trips, rows_read, rows_written, shelf, objects } = cost;
    let told = format!(
        "d1;desc=\"{trips} trips, {rows_read} rows read\", written;desc=\"{rows_written} rows written\", kv;desc=\"{shelf}\", \
         objects;desc=\"{objects}\""
    );
    if let Ok(value) = http::HeaderValue::from_str(&told) {
        response.headers_mut().insert("server-timing", value);
    }
}

/// A body of which the length is told is read at once up to here, and one that is sent is sent at once: each chunk of a stream is a
/// journey between JavaScript and WebAssembly of its own.
const WHOLE_BYTES_MAX: u64 = 1024 * 1024;

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> worker::Result<web_sys::Response> {
    let (app, router) = running(&env)?;
    let request = read(request).await?;
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let peer = Peer { address: header("cf-connecting-ip").unwrap_or_default(), country: header("cf-ipcountry") };
    let before = asked::asked();
    let mut response = app::answer(&app, &router, request, peer).await;
    if app.config.dev {
        tell_costs(&mut response, asked::asked().since(before));
    }
    if let Some(AfterAnswer(messages)) = response.extensions_mut().remove::<AfterAnswer>() {
        let env = env.clone();
        context.wait_until(async move { send(&env, messages).await });
    }
    if let Some(Chores(chores)) = response.extensions_mut().remove::<Chores>() {
        let app = app.clone();
        context.wait_until(async move { known::do_chores(&app, chores).await });
    }
    if !app.owed.is_empty() {
        context.wait_until(async move { nudge_if_owed(&app, &env).await });
    }
    if response.headers().contains_key(CONTENT_ENCODING) {
        // It was compressed when it was built; by default the runtime would do it again.
        response.extensions_mut().insert(EncodeBody::Manual);
    }
    written(response).await
}

/// The request as the routes take it. Its body is read here where its length is told and bounded; else it stays a stream.
async fn read(request: web_sys::Request) -> worker::Result<axum::extract::Request> {
    let mut read = http::Request::builder().method(&*request.method()).uri(request.url()).body(Body::empty())?;
    for pair in request.headers().entries().into_iter() {
        let pair: js_sys::Array = pair?.into();
        if let (Some(name), Some(value)) = (pair.get(0).as_string(), pair.get(1).as_string()) {
            // One that no header can be is as good as not sent.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
            {
                read.headers_mut().append(name, value);
            }
        }
    }
    let length = read.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length <= WHOLE_BYTES_MAX => {
            let buffer = JsFuture::from(request.array_buffer()?).await?;
            *read.body_mut() = Body::from(js_sys::Uint8Array::new(&buffer).to_vec());
        }
        _ => {
            if let Some(stream) = request.body() {
                *read.body_mut() = Body::new(worker::Body::new(stream));
            }
        }
    }
    if request.method() != "POST" {
        let accepted = accepted_encoding(&request);
        restore(read.headers_mut(), accepted);
    }
    Ok(read)
}

/// The answer as the runtime takes it: whole where it is known whole, else a stream.
async fn written(mut response: Response) -> worker::Result<web_sys::Response> {
    let length = response.body().size_hint().exact();
    if length.is_none_or(|length| length > WHOLE_BYTES_MAX) {
        return worker::response_to_wasm(response);
    }
    let headers = web_sys::Headers::new()?;
    for (name, value) in response.headers() {
        headers.append(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))?;
    }
    let mut builder =
        ResponseBuilder::new().with_status(response.status().as_u16()).with_headers(worker::Headers(headers));
    if let Some(encoded) = response.extensions_mut().remove::<EncodeBody>() {
        builder = builder.with_encode_body(encoded);
    }
    let bytes = response.into_body().collect().await.map_err(|error| worker::Error::RustError(error.to_string()))?;
    let bytes = bytes.to_bytes();
    Ok(if bytes.is_empty() { builder.empty() } else { builder.fixed(bytes.to_vec()) }.into())
}

/// What the caller wrote as `Accept-Encoding`, where the platform put its own in that place.
fn accepted_encoding(request: &web_sys::Request) -> Option<String> {
    let told = js_sys::Reflect::get(request, &"cf".into()).ok()?;
    js_sys::Reflect::get(&told, &"clientAcceptEncoding".into()).ok()?.as_string()
}

/// Writes it back. An empty one was not sent at all.
fn restore(headers: &mut HeaderMap, accepted: Option<String>) {
    let Some(accepted) = accepted else { return };
    headers.remove(ACCEPT_ENCODING);
    if let Ok(value) = HeaderValue::from_str(&accepted)
        && !accepted.is_empty()
    {
        headers.insert(ACCEPT_ENCODING, value);
    }
}

#[event(queue)]
async fn queue(batch: MessageBatch<Message>, env: Env, _context: Context) -> worker::Result<()> {
    // An `Err` from here would panic the isolate: every message is answered by itself.
    let Ok((app, _router)) = running(&env) else {
        batch.retry_all();
        return Ok(());
    };
    let (mut messages, mut raws) = (Vec::new(), Vec::new());
    for raw in batch.raw_iter() {
        match worker::d1::serde_wasm_bindgen::from_value::<Message>(raw.body()) {
            Ok(message) => {
                messages.push(message);
                raws.push(raw);
            }
            // Not ours to read: trying again would not help, and the sweep finds whatever it was for.
            Err(error) => {
                crate::log(&format!("queue: unreadable message: {error}"));
                raw.ack();
            }
        }
    }
    let handled = crate::jobs::handle(&app, messages).await;
    for (raw, done) in raws.iter().zip(handled.done) {
        if done { raw.ack() } else { raw.retry() }
    }
    nudge_if_owed(&app, &env).await;
    send(&env, handled.next).await;
    Ok(())
}

/// Tells the lanes if something may be owed; and goes on while more comes, so that many requests at once are one question to the
/// database.
async fn nudge_if_owed(app: &App, env: &Env) {
    let now = app.clock.now();
    if NUDGING_SINCE.get().is_some_and(|since| now.since_ms(since) < NUDGING_MS_MAX) {
        // It looks once more before it ends.
        return;
    }
    for _ in 0..NUDGES_IN_A_ROW {
        let scopes = app.owed.take();
        if scopes.is_empty() {
            break;
        }
        let now = app.clock.now();
        NUDGING_SINCE.set(Some(now));
        // What is beyond the bound is found by the sweep.
        let owed = scopes.iter().take(SCOPES_AT_ONCE).map(|scope| webhooks::due_endpoints_of(scope, now));
        nudge(env, app.db.batch_by_home(owed.collect()).await.map(|rows| rows.concat())).await;
    }
    NUDGING_SINCE.set(None);
}

/// Tells the lanes of these endpoints. Losing it only costs time: a sweep finds them.
async fn nudge(env: &Env, owed: Result<Vec<Row>, DbError>) {
    match owed.and_then(|rows| rows.iter().map(|row| row.text("id")).collect::<Result<Vec<_>, _>>()) {
        Ok(endpoint_ids) => webhook_lane::nudge(env, &endpoint_ids).await,
        Err(error) => crate::log(&format!("webhooks owed: {error}")),
    }
}

/// Queues what follows from messages. Losing it only costs time: a sweep finds it. Clicks have a queue of their own, which waits longer
/// for a batch to fill: a batch is a row or two.
async fn send(env: &Env, messages: Vec<Message>) {
    let (clicks, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(|one| !one.clicks().is_empty());
    if !others.is_empty() {
        // What was for nothing is found by the sweep.
        put(env, "QUEUE", others).await;
    }
    if !clicks.is_empty() {
        gather(env, clicks.iter().flat_map(|one| one.clicks().iter().cloned())).await;
    }
}

/// Sends clicks with those that come to this isolate a moment later: a queue costs by the message. Should the isolate end meanwhile,
/// their records are lost; what they are credited for is not.
async fn gather(env: &Env, records: impl Iterator<Item = ClickRecord>) {
    GATHERED.with_borrow_mut(|gathered| gathered.extend(records));
    let now = now();
    if GATHERING_SINCE.get().is_some_and(|since| (0..GATHERING_MS_MAX).contains(&now.since_ms(since))) {
        // Another request sends them with its own.
        return;
    }
    GATHERING_SINCE.set(Some(now));
    Delay::from(GATHERING).await;
    GATHERING_SINCE.set(None);
    let refused = put(env, "CLICKS", messages_of(GATHERED.take())).await;
    // With the next ones, unless there are too many already.
    GATHERED.with_borrow_mut(|gathered| {
        let room = GATHERED_MAX.saturating_sub(gathered.len());
        gathered.extend(refused.iter().flat_map(|message| message.clicks().iter().cloned()).take(room));
    });
}

/// Sends messages, and gives back those that the queue did not take.
async fn put(env: &Env, binding: &str, messages: Vec<Message>) -> Vec<Message> {
    let mut refused = Vec::new();
    for batch in batches_of(messages) {
        let sent = async { env.queue(binding)?.send_batch(batch.clone()).await };
        if let Err(error) = sent.await {
            crate::log(&format!("queue refused: {error}"));
            refused.extend(batch);
        }
    }
    refused
}

#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let Ok((app, _router)) = running(&env) else { return };
    // First, and whatever was noticed: this is what makes it certain that nothing owed is forgotten.
    let owed = app.db.rows(webhooks::due_endpoints(app.clock.now(), NUDGED_BY_SWEEP)).await;
    nudge(&env, owed).await;
    // Handled here and now: a sweep does not depend on the queue that lost them.
    let messages = crate::jobs::sweep(&app).await;
    let handled = crate::jobs::handle(&app, messages).await;
    send(&env, handled.next).await;
    nudge_if_owed(&app, &env).await;
}
