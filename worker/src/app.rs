//! The application: its ports, its table of routes, and what is done around every request.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use domain::ids::{Id, Kind, WorkspaceId};
use domain::time::Instant;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use tower_service::Service;

use crate::assets::Assets;
use crate::auth::KeyMemory;
use crate::auth::clicks::Leases;
use crate::call::{self, Call, Chores, Peer};
use crate::connections::ConnectionMemory;
use crate::error::ApiError;
use crate::idempotency;
use crate::known::Known;
use crate::limiter::Limiter;
use crate::mail::Mail;
use crate::pages;
use crate::routes;
use crate::secrets::Secrets;
use crate::shelf::Shelf;
use crate::store::databases::Databases;
use crate::store::owing::Owed;
use crate::stripe_api::StripeApi;
use crate::webhooks::Receivers;

/// Tells the time. Two run: the platform's, and one moved by hand in tests.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Instant;
}

/// Draws random bytes. Two run: the platform's, and a seeded one in tests.
pub trait Random: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// Everything a handler can reach.
pub struct App {
    /// The databases.
    pub db: Arc<Databases>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// The rate limiter.
    pub limiter: Arc<dyn Limiter>,
    /// Stripe's API.
    pub stripe_api: Arc<dyn StripeApi>,
    /// How mail leaves.
    pub mail: Arc<dyn Mail>,
    /// Where webhooks go.
    pub receivers: Arc<dyn Receivers>,
    /// Whose webhooks may be owed since somebody last looked.
    pub owed: Owed,
    /// Built files.
    pub assets: Arc<dyn Assets>,
    /// The shelf nearby.
    pub shelf: Arc<dyn Shelf>,
    /// What this isolate remembers of public keys and links.
    pub known: Known,
    /// What is lent to this isolate.
    pub leases: Leases,
    /// What this isolate remembers of secret keys and of hosts.
    pub keys: KeyMemory,
    /// What this isolate remembers of Stripe connections.
    pub connections: ConnectionMemory,
    /// Tells clicks of one millisecond apart: a random start per isolate, then counting.
    pub nonce: AtomicU32,
    /// The deployment's secrets.
    pub secrets: Secrets,
    /// The domains of throw-away addresses.
    pub disposable: crate::addresses::Disposable,
    /// Settings.
    pub config: Config,
}

impl App {
    /// A new id of any kind.
    pub fn fresh<K: Kind>(&self, now: Instant) -> Id<K> {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        Id::make(now, random)
    }

    /// A new workspace's id, which says in which database it lies.
    pub fn fresh_workspace(&self, database: u8, now: Instant) -> WorkspaceId {
        let mut random = [0; 10];
        self.random.fill(&mut random);
        Id::make_in(database, now, random)
    }
}

/// What the deployment says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Path prefixes under which the browser paths work too, such as `/_s`.
    pub mounts: Vec<String>,
    /// `cargo xtask dev` runs this.
    pub dev: bool,
    /// `https://host` where the pages are, for letters that no request causes; without it they name no address.
    pub public_url: Option<String>,
    /// Webhooks may go to this machine: there is a binding that leads there, which only the local server can have.
    pub loopback_webhooks: bool,
    /// Who sees the operator's page: addresses, lower case.
    pub operator_emails: Vec<String>,
    /// Bindings that the Worker uses and that are not there.
    pub unbound: Vec<&'static str>,
    /// Mail leaves, or is kept where a local server shows it.
    pub sends_mail: bool,
}

impl Config {
    /// Whether whoever signs in with this address runs the deployment.
    pub fn is_operator(&self, email: &str) -> bool {
        self.operator_emails.iter().any(|one| one == email)
    }
}

/// The paths that a visitor's browser uses; these work under a mount too.
pub const BROWSER_PATHS: [&str; 5] = ["/v1/", "/trac.js", "/trac-fallback.js", "/r/", TRACK];

/// Traaaction's surface, whose refusals have a shape of their own.
const TRACK: &str = "/api/track/";

/// The table of routes.
pub fn router(app: Arc<App>) -> Router {
    use axum::routing::{get, post};
    use routes as r;
    let management = Router::new()
        .route("/api-keys", post(r::api_keys::create).get(r::api_keys::list))
        .route("/api-keys/{id}", get(r::api_keys::read).delete(r::api_keys::revoke))
        .route("/attribution-audit", get(r::audit::list))
        .route("/attribution-audit/{conversion_id}", get(r::audit::read))
        .route("/clicks", get(r::clicks::list))
        .route("/clicks/{id}", get(r::clicks::read))
        .route("/commissions", get(r::commissions::list))
        .route("/commissions/{id}", get(r::commissions::read))
        .route("/commissions/{id}/bonus", post(r::commissions::add_bonus))
        .route("/commissions/{id}/{verb}", post(r::commissions::act))
        .route("/conversions", post(r::conversions::report).get(r::conversions::list))
        .route("/conversions/{id}", get(r::conversions::read))
        .route("/conversions/{id}/attribute", post(r::conversions::attribute))
        .route("/conversions/{id}/refunds", post(r::refunds::create))
        .route("/customers", get(r::customers::list))
        .route("/customers/{id}", get(r::customers::read))
        .route("/events", get(r::events::list))
        .route("/events/{id}", get(r::events::read))
        .route("/exports", post(r::exports::create).get(r::exports::list))
        .route("/exports/{id}", get(r::exports::read))
        .route("/exports/{id}/pages/{cursor}", get(r::exports::page))
        .route("/exports/{id}/verify", get(r::exports::verify))
        .route("/fraud-alerts", get(r::fraud_alerts::list))
        .route("/fraud-alerts/{id}", get(r::fraud_alerts::read))
        .route("/fraud-alerts/{id}/dismiss", post(r::fraud_alerts::dismiss))
        .route("/hosts", post(r::hosts::create).get(r::hosts::list))
        .route("/hosts/{id}", get(r::hosts::read).delete(r::hosts::delete))
        .route("/imports", post(r::imports::create))
        .route("/invites", post(r::invites::create).get(r::invites::list))
        .route("/invites/{id}", get(r::invites::read).delete(r::invites::revoke))
        .route("/links", post(r::links::create).get(r::links::list))
        .route("/links/{id}", get(r::links::read).patch(r::links::change))
        .route("/links/{id}/{verb}", post(r::links::act))
        .route("/members", post(r::members::create).get(r::members::list))
        .route("/members/{id}", get(r::members::read).patch(r::members::change).delete(r::members::delete))
        .route("/participants", post(r::participants::create).get(r::participants::list))
        .route("/participants/{id}", get(r::participants::read))
        .route("/participants/{id}/{verb}", post(r::participants::act))
        .route("/partners", post(r::partners::create).get(r::partners::list))
        .route("/partners/{id}", get(r::partners::read).patch(r::partners::change))
        .route("/partners/{id}/erase", post(r::partners::erase))
        .route("/partners/{id}/payout-details", get(r::partners::payout_details))
        .route("/payouts", post(r::payouts::drafts::create).get(r::payouts::list))
        .route("/payouts/balances", get(r::payouts::balances))
        .route("/payouts/csv", get(r::payouts::csv::list))
        .route("/payouts/{id}", get(r::payouts::read))
        .route("/payouts/{id}/csv", get(r::payouts::csv::read))
        .route("/payouts/{id}/{verb}", post(r::payouts::act))
        .route("/programs", post(r::programs::create).get(r::programs::list))
        .route("/programs/{id}", get(r::programs::read).patch(r::programs::change))
        .route("/programs/{id}/{verb}", post(r::programs::act))
        .route("/promo-codes", post(r::promo_codes::create).get(r::promo_codes::list))
        .route("/promo-codes/{id}", get(r::promo_codes::read).patch(r::promo_codes::change))
        .route("/questions", get(r::questions::list))
        .route("/questions/{id}", get(r::questions::read))
        .route("/questions/{id}/answer", post(r::questions::answer))
        .route("/refunds", get(r::refunds::list))
        .route("/refunds/{id}", get(r::refunds::read))
        .route("/refunds/{id}/match", post(r::refunds::match_by_hand))
        .route("/rewards", post(r::rewards::create).get(r::rewards::list))
        .route("/rewards/{id}", get(r::rewards::read))
        .route("/rewards/{id}/{verb}", post(r::rewards::act))
        .route("/stripe-connections", post(r::stripe_connections::create).get(r::stripe_connections::list))
        .route("/stripe-connections/{id}", get(r::stripe_connections::read).delete(r::stripe_connections::delete))
        .route("/stripe-connections/{id}/lookups", get(r::stripe_connections::lookups))
        .route("/stripe-connections/{id}/reconcile", post(r::stripe_connections::reconcile))
        .route("/stripe-connections/{id}/restricted-key", post(r::stripe_connections::set_restricted_key))
        .route("/stripe-connections/{id}/signing-secret", post(r::stripe_connections::roll_signing_secret))
        .route("/stripe-events", get(r::stripe_events::list))
        .route("/stripe-events/{id}", get(r::stripe_events::read))
        .route("/stripe-events/{id}/replay", post(r::stripe_events::replay))
        .route("/webhook-deliveries", get(r::webhook_deliveries::list))
        .route("/webhook-deliveries/{id}", get(r::webhook_deliveries::read))
        .route("/webhook-deliveries/{id}/resend", post(r::webhook_deliveries::resend))
        .route("/webhook-endpoints", post(r::webhook_endpoints::create).get(r::webhook_endpoints::list))
        .route(
            "/webhook-endpoints/{id}",
            get(r::webhook_endpoints::read).patch(r::webhook_endpoints::change).delete(r::webhook_endpoints::delete),
        )
        .route("/webhook-endpoints/{id}/ping", post(r::webhook_endpoints::ping))
        .route("/webhook-endpoints/{id}/resend", post(r::webhook_endpoints::resend))
        .route("/webhook-endpoints/{id}/rotate", post(r::webhook_endpoints::rotate))
        .route("/webhook-endpoints/{id}/{verb}", post(r::webhook_endpoints::act))
        .route("/workspace", get(r::workspace::read).patch(r::workspace::change))
        .route("/workspace/checklist", get(r::figures::checklist))
        .route("/workspace/rewards-reviewed", post(r::workspace::note_review))
        .route("/workspace/search", get(r::figures::search))
        .route("/workspace/totals", get(r::figures::of_days))
        .route("/workspace/wipe-test-data", post(r::workspace::wipe_test_data));
    // Not there at all in a deployment, so that nothing of it can be asked for.
    let demo = if app.config.dev { pages::demo::router().merge(pages::dev::router()) } else { Router::new() };
    Router::new()
        .route("/healthz", get(r::health::check))
        .route("/openapi.json", get(r::files::description))
        .route("/llms.txt", get(r::files::index))
        .route("/v1/{file}", get(r::files::script))
        .route("/trac.js", get(r::files::trac))
        .route("/trac-fallback.js", get(r::files::trac_fallback))
        .route("/r/{slug}", get(r::short_links::follow))
        .route("/static/{*file}", get(r::files::fixed))
        .route("/docs", get(r::files::guides))
        .route("/docs/", get(r::files::guides))
        .route("/docs/{name}", get(r::files::guide))
        .route("/v1/clicks", post(r::clicks::register).options(r::clicks::preflight))
        .route("/api/track/lead", post(r::track::lead).options(r::track::preflight))
        .route("/api/track/conversion", post(r::track::conversion).options(r::track::preflight))
        .route("/webhooks/stripe/{connection_id}", post(r::stripe_ingress::receive))
        .route("/api/webhooks/{connection_id}", post(r::stripe_ingress::receive))
        .route("/operator/v1/replay", post(r::operator::replay))
        .route("/operator/v1/health", get(r::operator::health::show))
        .route("/operator/v1/workspaces", post(r::operator::create_workspace).get(r::operator::workspaces::list))
        .route(
            "/operator/v1/workspaces/{id}",
            get(r::operator::workspaces::read).patch(r::operator::workspaces::change),
        )
        .route("/operator/v1/workspaces/{id}/owners", post(r::operator::add_owner))
        .route("/", get(pages::sign_in::home))
        .route("/sign-in", get(pages::sign_in::ask).post(pages::sign_in::send))
        .route("/sign-in/{token}", get(pages::sign_in::confirm).post(pages::sign_in::spend))
        .route("/sign-out", post(pages::sign_in::end))
        .route("/app", get(pages::here::app))
        .route("/app/", get(pages::here::app))
        .route("/join/{slug}", get(pages::join::ask).post(pages::join::send))
        .route("/app/operator", get(pages::operator::show))
        .merge(pages::dashboard::router())
        .nest("/api/v1", management)
        .merge(pages::portal::router())
        .merge(demo)
        .fallback(pages::here::elsewhere)
        .with_state(app)
}

/// The table of routes, for a page that asks the API what it shows.
#[derive(Clone)]
pub struct Inside(pub Router);

/// Answers one request: request id, HTTPS, mount, route, headers.
pub async fn answer(app: &App, router: &Router, mut request: Request, peer: Peer) -> Response {
    let request_id = request_id(app, &request);
    let origin = format!(
        "{}://{}",
        request.uri().scheme_str().unwrap_or("https"),
        request.uri().authority().map_or("", |authority| authority.as_str())
    );
    let call = Call::new(request_id, app.clock.now(), request.method().clone(), peer, origin);
    unmount(&app.config, &mut request);
    let reader = match request.uri().path() {
        path if pages::is_page(path) => Reader::Person,
        path if path.starts_with(TRACK) => Reader::Tracker,
        _ => Reader::Program,
    };
    let mut response = if is_plain_http(request.uri()) {
        match reader {
            Reader::Tracker => ApiError::HttpsRequired.render_tracked(&call.request_id),
            Reader::Person | Reader::Program => ApiError::HttpsRequired.render(&call.request_id),
        }
    } else {
        request.extensions_mut().insert(Inside(router.clone()));
        if idempotency::is_keyed(&request) {
            idempotency::once(app, router, &call, request).await
        } else {
            request.extensions_mut().insert(call.clone());
            routed(router, request).await
        }
    };
    response = rendered(response, &call, reader);
    if let Ok(value) = HeaderValue::from_str(&call.request_id) {
        response.headers_mut().insert("x-request-id", value);
    }
    call.write_limit_headers(response.headers_mut());
    let chores = call.take_chores();
    if !chores.is_empty() {
        response.extensions_mut().insert(Chores(chores));
    }
    response
}

/// What the table of routes says.
pub(crate) async fn routed(router: &Router, request: Request) -> Response {
    match router.clone().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The caller's id where it is 1 to 128 visible ASCII characters, else a new one.
fn request_id(app: &App, request: &Request) -> String {
    let given = request.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    match given {
        Some(id) if (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) => id.to_owned(),
        _ => {
            let mut bytes = [0; 16];
            app.random.fill(&mut bytes);
            format!("req_{}", hex::encode(bytes))
        }
    }
}

fn is_plain_http(uri: &Uri) -> bool {
    uri.scheme_str() == Some("http") && !uri.host().is_some_and(call::is_loopback)
}

/// Takes a mount's prefix off a browser path.
fn unmount(config: &Config, request: &mut Request) {
    let path = request.uri().path();
    let stripped = config
        .mounts
        .iter()
        .filter_map(|mount| path.strip_prefix(mount.as_str()))
        .find(|rest| BROWSER_PATHS.iter().any(|known| rest.starts_with(known)));
    let Some(rest) = stripped else { return };
    let rest = match request.uri().query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    if let Ok(path_and_query) = rest.parse::<PathAndQuery>() {
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

/// Who reads a refusal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// A person, with a browser.
    Person,
    /// A client of Traaaction's.
    Tracker,
    /// Any other client.
    Program,
}

/// As the router's own refusals are; ours are JSON or pages.
fn is_plain_text(response: &Response) -> bool {
    let media_type = response.headers().get(http::header::CONTENT_TYPE);
    media_type.is_some_and(|value| value.as_bytes().starts_with(b"text/plain"))
}

/// Turns a carried [`ApiError`] into its JSON, or into a page where people look, with the request id; so too what the router refuses by itself: a method
/// (405), and a path whose escapes are not UTF-8 (400 in its eyes; it names nothing of ours).
fn rendered(mut response: Response, call: &Call, reader: Reader) -> Response {
    let error = match (response.extensions_mut().remove::<ApiError>(), response.status()) {
        (Some(error), _) => error,
        (None, http::StatusCode::METHOD_NOT_ALLOWED) => ApiError::MethodNotAllowed,
        (None, http::StatusCode::BAD_REQUEST) if is_plain_text(&response) => ApiError::NotFound("path"),
        (None, _) => return response,
    };
    if let Some(detail) = error.log_detail() {
        crate::log(&format!("{} {detail}", call.request_id));
    }
    let mut answer = match reader {
        Reader::Tracker => error.render_tracked(&call.request_id),
        Reader::Person | Reader::Program => error.render(&call.request_id),
    };
    if reader == Reader::Person
        && let Ok(page) = pages::refusal(&error, &call.request_id)
    {
        answer = page;
    }
    // What the route already said stays: Allow of a 405, CORS of a click.
    for (name, value) in response.headers() {
        if name != http::header::CONTENT_LENGTH && name != http::header::CONTENT_TYPE {
            answer.headers_mut().entry(name).or_insert(value.clone());
        }
    }
    answer
}

#[cfg(test)]
pub(crate) mod matrix;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod two_databases;
