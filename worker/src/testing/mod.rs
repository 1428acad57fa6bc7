//! The whole Worker minus the platform: requests as data through the real router and the real SQL, on SQLite in memory with
//! the migrations that D1 gets. The clock is moved by hand; writes are lost, or land unreported, when a test says so.

mod people;
mod ports;
mod receivers;
pub mod shop;
mod sqlite;
mod stripe;
mod stripe_api;
mod totals;

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use domain::time::Instant;
use expect_test::Expect;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};

pub use self::people::{ORIGIN, Visitor};
pub use self::ports::{FilesInMemory, Hand, ScriptedMail, Seeded, TableLimiter, TableShelf};
pub use self::receivers::{Does, Received, ScriptedReceivers};
pub use self::sqlite::{NextWrite, Sqlite};
pub use self::stripe::{
    charge, dispute, invoice_paid, invoice_payment, refund, session_completed, subscription_deleted,
};
pub use self::stripe_api::{Says, ScriptedStripe};
use crate::app::{self, App, Config};
use crate::call::{AfterAnswer, Chores, Peer};
use crate::error::ApiError;
use crate::jobs::{self, Message};
use crate::known;
use crate::secrets::Secrets;
use crate::store::databases::Databases;
use crate::store::owing::{Noticing, Owed};
use crate::store::webhooks;
use crate::webhooks::lane;

/// The operator's token in tests.
pub const OPERATOR_TOKEN: &str = "operator-token-of-the-tests";

/// Whoever sees the operator's page in tests.
pub const OPERATOR_EMAIL: &str = "operator@selgeo.test";

/// One answer.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Null where the answer is no JSON.
    pub body: Json,
    /// As it came.
    pub raw: String,
}

impl Answer {
    /// `409 CONVERSION_DUPLICATE`, or the status alone.
    pub fn summary(&self) -> String {
        let told = if self.body["success"] == false { &self.body } else { &self.body["error"] };
        match told["code"].as_str() {
            Some(code) => format!("{} {code}", self.status.as_u16()),
            None => self.status.as_u16().to_string(),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub fn text(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Json::as_str).unwrap_or("").to_owned()
    }
}

/// A deployment with one workspace, in which everything starts.
pub struct World {
    pub app: Arc<App>,
    shared: Shared,
    router: Router,
    queue: Mutex<Vec<Message>>,
    address: Mutex<String>,
    /// The keys of the first workspace.
    pub keys: Keys,
}

/// What every isolate of the deployment reaches.
#[derive(Clone)]
pub struct Shared {
    /// The first database, which is the directory.
    pub directory: Arc<Sqlite>,
    /// The second database, in which the workspaces lie.
    pub db: Arc<Sqlite>,
    pub clock: Arc<Hand>,
    pub limiter: Arc<TableLimiter>,
    pub shelf: Arc<TableShelf>,
    pub stripe_api: Arc<ScriptedStripe>,
    pub receivers: Arc<ScriptedReceivers>,
    pub mail: Arc<ScriptedMail>,
}

impl Shared {
    /// Round trips to the databases since this was last asked.
    pub fn round_trips(&self) -> u32 {
        self.directory.round_trips() + self.db.round_trips()
    }
}

impl Deref for World {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

#[derive(Clone, Debug)]
pub struct Keys {
    pub pk_test: String,
    pub sk_test: String,
    pub pk_live: String,
    pub sk_live: String,
}

impl Keys {
    fn of(made: &Answer) -> Self {
        let key = |name: &str| made.text(&format!("/keys/{name}"));
        Self { pk_test: key("pk_test"), sk_test: key("sk_test"), pk_live: key("pk_live"), sk_live: key("sk_live") }
    }
}

impl World {
    pub fn new() -> Self {
        Self::with_dev(false)
    }

    /// As under `cargo xtask dev`.
    pub fn dev() -> Self {
        Self::with_dev(true)
    }

    fn with_dev(dev: bool) -> Self {
        let (directory, db) = (Arc::new(Sqlite::migrated()), Arc::new(Sqlite::migrated()));
        let limiter = Arc::new(TableLimiter::default());
        let _ = limiter.db.set(Arc::new(Databases::new(directory.clone(), vec![db.clone()])));
        let none = String::new;
        let mut world = Self::isolate(
            dev,
            7,
            Shared {
                directory,
                db,
                clock: Arc::new(Hand::at("2026-06-01T12:00:00Z")),
                limiter,
                shelf: Arc::default(),
                stripe_api: Arc::default(),
                receivers: Arc::default(),
                mail: Arc::default(),
            },
            Keys { pk_test: none(), sk_test: none(), pk_live: none(), sk_live: none() },
        );
        world.keys = world.workspace("First");
        world
    }

    /// The same deployment in an isolate that remembers nothing yet.
    pub fn another_isolate(&self) -> Self {
        Self::isolate(self.app.config.dev, 8, self.shared.clone(), self.keys.clone())
    }

    fn isolate(dev: bool, seed: u64, shared: Shared, keys: Keys) -> Self {
        let secret = |byte: u8| hex::encode([byte; 32]);
        let owed = Owed::default();
        let app = Arc::new(App {
            db: Arc::new(Databases::new(
                Arc::new(Noticing::new(shared.directory.clone(), owed.clone())),
                vec![Arc::new(Noticing::new(shared.db.clone(), owed.clone()))],
            )),
            clock: shared.clock.clone(),
            random: Arc::new(Seeded::new(seed)),
            limiter: shared.limiter.clone(),
            stripe_api: shared.stripe_api.clone(),
            mail: shared.mail.clone(),
            receivers: shared.receivers.clone(),
            owed,
            assets: Arc::new(FilesInMemory),
            shelf: shared.shelf.clone(),
            known: Default::default(),
            leases: Default::default(),
            keys: Default::default(),
            disposable: Default::default(),
            connections: Default::default(),
            nonce: Default::default(),
            secrets: Secrets::read(&secret(1), &secret(2), &secret(3), OPERATOR_TOKEN).unwrap(),
            config: Config {
                mounts: vec!["/_s".to_owned()],
                dev,
                public_url: Some(ORIGIN.to_owned()),
                loopback_webhooks: dev,
                operator_emails: vec![OPERATOR_EMAIL.to_owned()],
            },
        });
        let router = app::router(app.clone());
        Self { app, router, queue: Mutex::default(), address: Mutex::new("192.0.2.7".to_owned()), keys, shared }
    }

    /// Makes another workspace.
    pub fn workspace(&self, name: &str) -> Keys {
        self.workspace_in(1, name).1
    }

    /// Makes one in a database; gives its id too.
    pub fn workspace_in(&self, database: u8, name: &str) -> (String, Keys) {
        let made = self.send(
            "POST /operator/v1/workspaces",
            &[("authorization", &format!("Bearer {OPERATOR_TOKEN}"))],
            json!({"name": name, "database": database}),
        );
        assert_eq!(made.status, 201, "{}", made.body);
        (made.text("/id"), Keys::of(&made))
    }

    /// Sends a JSON body (none for GET).
    pub fn send(&self, line: &str, headers: &[(&str, &str)], body: Json) -> Answer {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.send_bytes(line, headers, bytes)
    }

    /// Sends bytes as they are. `line` is a method and a path.
    pub fn send_bytes(&self, line: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let request = request(line, headers, body);
        let peer = Peer { address: self.address.lock().unwrap().clone(), country: Some("DE".to_owned()) };
        let mut response = pollster::block_on(app::answer(&self.app, &self.router, request, peer));
        if let Some(AfterAnswer(messages)) = response.extensions_mut().remove::<AfterAnswer>() {
            self.queue.lock().unwrap().extend(messages);
        }
        if let Some(Chores(chores)) = response.extensions_mut().remove::<Chores>() {
            pollster::block_on(known::do_chores(&self.app, chores));
        }
        let (parts, body) = response.into_parts();
        let bytes = pollster::block_on(body.collect()).unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Json::Null);
        Answer { status: parts.status, headers: parts.headers, body, raw: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// The address from which the next requests come.
    pub fn come_from(&self, address: &str) {
        *self.address.lock().unwrap() = address.to_owned();
    }

    /// The next write is decided on, then this request of the same merchant is faster, and only then it is written.
    pub fn before_next_write(&self, line: &'static str, body: Json) {
        self.before_next_write_as(&self.keys.sk_test, line, body);
    }

    /// The same, with a secret key.
    pub fn before_next_write_as(&self, key: &str, line: &str, body: Json) {
        let (app, router, key, line) = (self.app.clone(), self.router.clone(), key.to_owned(), line.to_owned());
        self.db.before_next_write(move || {
            let bearer = format!("Bearer {key}");
            let request = request(&line, &[("authorization", &bearer)], body.to_string().into_bytes());
            let answer = pollster::block_on(app::answer(&app, &router, request, Peer::default()));
            assert!(answer.status().is_success(), "{}", answer.status());
        });
    }

    /// What waits on the queue.
    pub fn queued(&self) -> Vec<Message> {
        self.queue.lock().unwrap().clone()
    }

    /// Hands messages to the consumer; for each, whether it is done with. What follows from them is queued.
    pub fn handle(&self, messages: Vec<Message>) -> Vec<bool> {
        let handled = pollster::block_on(jobs::handle(&self.app, messages));
        self.queue.lock().unwrap().extend(handled.next);
        handled.done
    }

    /// Sends with the first workspace's test secret key.
    pub fn api(&self, line: &str, body: Json) -> Answer {
        self.api_as(&self.keys.sk_test, line, body)
    }

    /// Sends with a secret key.
    pub fn api_as(&self, key: &str, line: &str, body: Json) -> Answer {
        self.send(line, &[("authorization", &format!("Bearer {key}"))], body)
    }

    /// Sends with the first workspace's test key and holds the summary against what is expected.
    #[track_caller]
    pub fn check(&self, line: &str, body: Json, expected: Expect) {
        expected.assert_eq(&self.api(line, body).summary());
    }

    /// Makes an object over the API and gives its id.
    #[track_caller]
    pub fn make(&self, key: &str, path: &str, body: Json) -> String {
        let made = self.api_as(key, &format!("POST /api/v1/{path}"), body);
        assert_eq!(made.status, 201, "{path}: {}", made.body);
        made.text("/id")
    }

    /// A program at 20 % with an approved participant and a link, in the mode of `key`.
    pub fn program(&self, key: &str, link_ref: &str) -> Program {
        let rewards = json!([{"trigger": "sale", "percent_bps": 2000}, {"trigger": "recurring", "percent_bps": 2000}]);
        self.program_with(key, link_ref, json!({"rewards": rewards}))
    }

    /// A program of 30 days as described, with an approved participant and a link.
    pub fn program_with(&self, key: &str, link_ref: &str, described: Json) -> Program {
        let mut program = json!({"name": "Friends", "status": "active", "attribution_window_days": 30});
        program.as_object_mut().unwrap().extend(described.as_object().unwrap().clone());
        let program_id = self.make(key, "programs", program);
        let partner_id =
            self.make(key, "partners", json!({"name": "Anna", "email": format!("{link_ref}@partner.test")}));
        let participant_id = self.make(
            key,
            "participants",
            json!({"program_id": program_id, "partner_id": partner_id, "status": "approved"}),
        );
        let host = json!({"host": "shop.test"});
        self.api_as(key, "POST /api/v1/hosts", host);
        let link = json!({"participant_id": participant_id, "ref": link_ref, "landing_url": "https://shop.test/", "name": "x"});
        let link_id = self.make(key, "links", link);
        Program { program_id, participant_id, link_id }
    }

    /// Registers a click and gives its id.
    #[track_caller]
    pub fn click(&self, pk: &str, link_ref: &str) -> String {
        let answer = self.send("POST /v1/clicks", &[], json!({"merchant": pk, "ref": link_ref}));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("/click_id")
    }

    /// Delivers every queued message once, and what they queue in turn.
    pub fn deliver(&self) {
        loop {
            let batch = std::mem::take(&mut *self.queue.lock().unwrap());
            if batch.is_empty() {
                return;
            }
            let handled = self.handle(batch.clone());
            assert_eq!(handled.len(), batch.len());
        }
    }

    /// Throws queued messages away, as a machine that dies does.
    pub fn lose_queue(&self) -> usize {
        std::mem::take(&mut *self.queue.lock().unwrap()).len()
    }

    /// Runs the cron sweep.
    pub fn sweep(&self) {
        let messages = pollster::block_on(jobs::sweep(&self.app));
        self.queue.lock().unwrap().extend(messages);
        self.deliver();
    }

    /// Runs the lane of every endpoint that is owed something by now, as their Durable Objects do, until nothing is due.
    pub fn run_lanes(&self) {
        self.app.owed.take();
        loop {
            let due = webhooks::due_endpoints(self.now(), 100);
            let rows = pollster::block_on(self.app.db.rows(due)).unwrap();
            if rows.is_empty() {
                return;
            }
            for row in rows {
                self.run_lane(&row.text("id").unwrap()).unwrap();
            }
        }
    }

    /// Runs one endpoint's lane once; gives when it is to run again.
    pub fn run_lane(&self, endpoint_id: &str) -> Result<Option<Instant>, ApiError> {
        pollster::block_on(lane::run(&self.app, endpoint_id))
    }

    /// Moves the clock.
    pub fn pass_ms(&self, span_ms: i64) {
        self.clock.pass_ms(span_ms);
    }

    pub fn now(&self) -> Instant {
        app::Clock::now(&*self.clock)
    }

    /// Registers a Stripe connection and gives its id; the secret is `whsec_test`.
    pub fn stripe_connection(&self, key: &str) -> String {
        self.make(key, "stripe-connections", json!({"signing_secret": "whsec_test_0123456789"}))
    }

    /// Sends a correctly signed event.
    pub fn stripe(&self, connection: &str, event: &Json) -> Answer {
        let body = event.to_string();
        let header = ::stripe::signature::sign("whsec_test_0123456789", self.now().seconds(), body.as_bytes());
        self.send_bytes(
            &format!("POST /webhooks/stripe/{connection}"),
            &[("stripe-signature", &header), ("content-type", "application/json")],
            body.into_bytes(),
        )
    }
}

/// A request as data: `POST /path` at the API's host, or at a URL; JSON unless a header says otherwise.
fn request(line: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Request {
    let (method, path) = line.split_once(' ').unwrap();
    let uri = if path.starts_with("http") { path.to_owned() } else { format!("https://api.selgeo.test{path}") };
    let mut request = Request::builder().method(method).uri(uri);
    if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body)).unwrap()
}

/// What [`World::program`] made.
pub struct Program {
    pub program_id: String,
    pub participant_id: String,
    pub link_id: String,
}
