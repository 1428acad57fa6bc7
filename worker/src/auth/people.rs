//! People who sign in: the cookie, the session behind it, and what its owner may do.

use domain::account::{self, Permission, Role, SEEN_EVERY_MS, SESSION_LIVES_MS, Token};
use domain::email::hash_email;
use domain::ids::PersonId;
use domain::mode::Mode;
use domain::time::Instant;
use http::{HeaderMap, HeaderValue, header};

use super::network;
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::limiter::Bucket;
use crate::store::accounts::{self, Address, Membership, Partnership, Standing};
use crate::store::{DbError, Scope, sessions};

/// Names the workspace of a management request that a session makes.
pub const WORKSPACE_HEADER: &str = "x-selgeo-workspace";
/// And its mode.
pub const MODE_HEADER: &str = "x-selgeo-mode";

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who.
    pub id: PersonId,
    /// Their name; may be empty.
    pub name: String,
    /// Their address, lower case.
    pub email: String,
    /// The same as it is kept.
    pub address: Address,
    /// Their memberships of workspaces. None: they are a partner at most.
    pub memberships: Vec<Membership>,
}

impl Person {
    /// Their membership of a workspace: 404 where they have none, 403 where their role may not.
    pub fn member(&self, workspace_id: &str, permission: Permission) -> Result<&Membership, ApiError> {
        let found = self.memberships.iter().find(|membership| membership.workspace_id.as_str() == workspace_id);
        let membership = found.ok_or(ApiError::NotFound("workspace"))?;
        allow(membership.role, permission)?;
        Ok(membership)
    }

    /// Everywhere where they are a partner.
    pub async fn partnerships(&self, app: &App) -> Result<Vec<Partnership>, ApiError> {
        let rows = app.db.rows(accounts::partnerships(&self.email)).await?;
        let mut all = rows.iter().map(accounts::decode_partnership).collect::<Result<Vec<_>, _>>()?;
        // Each database gave its own in this order.
        all.sort_by(|a, b| a.partner_id.cmp(&b.partner_id));
        Ok(all)
    }
}

/// 403 where a role may not.
pub fn allow(role: Role, permission: Permission) -> Result<(), ApiError> {
    match role.may(permission) {
        true => Ok(()),
        false => Err(ApiError::Forbidden(format!("A member who is {} may not do this.", role.as_str()))),
    }
}

/// Whoever is signed in, if anybody is.
pub async fn session(app: &App, call: &Call, headers: &HeaderMap) -> Result<Option<Person>, ApiError> {
    if let Some(person) = &call.inside {
        return Ok(Some(Person::clone(person)));
    }
    let Some(token) = cookie(call, headers) else { return Ok(None) };
    let digest = token.digest();
    let found = app.db.batch(vec![sessions::by_digest(&digest), accounts::memberships(&digest)]).await?;
    let [found, memberships] = found.as_slice() else {
        return Err(ApiError::Internal("a batch of two gave another number of results".to_owned()));
    };
    let Some(session) = found.first().map(sessions::decode).transpose()? else { return Ok(None) };
    if !account::session_lives(session.created_at, session.seen_at, call.now) {
        return Ok(None);
    }
    if call.now >= session.seen_at.plus_ms(SEEN_EVERY_MS) {
        app.db.batch(vec![sessions::seen(&digest, call.now)]).await?;
    }
    Ok(Some(Person {
        id: session.person_id,
        name: session.name,
        email: opened(app, &session.address)?,
        address: session.address,
        memberships: memberships.iter().map(accounts::decode_membership).collect::<Result<_, _>>()?,
    }))
}

/// A management request of a member: 401, 403 for a page of another origin, 400, 404, 429, 403 for a role that may not.
pub async fn member(app: &App, call: &Call, headers: &HeaderMap) -> Result<(Person, Membership, Scope), ApiError> {
    let Some(person) = session(app, call, headers).await? else {
        let why = "Send a secret key (sk_…) as Authorization: Bearer, or sign in: this session is over.";
        return Err(super::refused(app, call, ApiError::InvalidApiKey(why)).await);
    };
    let permission = if call.method.is_safe() { Permission::Read } else { Permission::Change };
    if permission != Permission::Read {
        must_be_own_page(call, headers)?;
    }
    let named = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(mode) = named(MODE_HEADER).and_then(Mode::parse) else {
        return Err(ApiError::field("X-Selgeo-Mode", "must be test or live, in a header, where a session asks"));
    };
    let Some(workspace_id) = named(WORKSPACE_HEADER) else {
        return Err(ApiError::field(
            "X-Selgeo-Workspace",
            "must name the workspace, in a header, where a session asks",
        ));
    };
    let membership = person.member(workspace_id, Permission::Read)?.clone();
    if call.inside.is_none() {
        count(app, call, &membership).await?;
    }
    super::not_suspended(membership.is_suspended)?;
    allow(membership.role, permission)?;
    let scope = Scope { workspace_id: membership.workspace_id.clone(), mode };
    if permission != Permission::Read && scope.workspace_id.database() != 0 {
        // What they do names them, in the workspace's own database.
        let own = accounts::copy_person(&person.id, &person.address, &person.name, call.now);
        app.db.batch(vec![own.in_home_of(&scope.workspace_id)]).await?;
    }
    Ok((person, membership, scope))
}

async fn count(app: &App, call: &Call, membership: &Membership) -> Result<(), ApiError> {
    let bucket =
        Bucket::Other { workspace_id: membership.workspace_id.to_string(), address: network(&call.peer.address) };
    let admission = super::take(app, call, &bucket, membership.other_per_minute)
        .await
        .map_err(|why| ApiError::Unavailable(why.0))?;
    match admission.admitted {
        true => Ok(()),
        false => Err(ApiError::RateLimitExceeded { retry_after_s: admission.reset_s }),
    }
}

/// Refuses what a page of another origin sends. A browser says where a form comes from, in `Origin` or, where that is withheld,
/// in `Sec-Fetch-Site`; who says neither is not believed.
pub fn must_be_own_page(call: &Call, headers: &HeaderMap) -> Result<(), ApiError> {
    let named = |name: &'static str| headers.get(name).map(HeaderValue::as_bytes);
    let own = match named("origin") {
        Some(origin) if origin != b"null" => origin == call.origin.as_bytes(),
        _ => named("sec-fetch-site") == Some(b"same-origin"),
    };
    match own {
        true => Ok(()),
        false => Err(ApiError::Forbidden("This takes what Selgeo's own pages send, not another origin's.".to_owned())),
    }
}

/// Only over plain HTTP, which is answered on loopback alone, has the cookie no `Secure` and thus not the name that demands it.
fn cookie_name(call: &Call) -> &'static str {
    if is_secure(call) { "__Host-selgeo" } else { "selgeo_session" }
}

/// Whether cookies can be kept from plain HTTP.
pub fn is_secure(call: &Call) -> bool {
    call.origin.starts_with("https://")
}

/// The token of the session's cookie.
pub fn cookie(call: &Call, headers: &HeaderMap) -> Option<Token> {
    cookie_values(headers, cookie_name(call)).find_map(Token::parse)
}

/// What a request's cookies of a name hold; mostly one.
pub fn cookie_values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// The cookie that holds a session, or with no token the one that ends it.
pub fn set_cookie(call: &Call, token: Option<&Token>) -> Result<HeaderValue, ApiError> {
    let (value, age_s) = token.map_or(("", 0), |token| (token.as_str(), SESSION_LIVES_MS / 1_000));
    cookie_line(call, cookie_name(call), value, age_s)
}

/// A cookie of this host alone that no script reads.
pub fn cookie_line(call: &Call, name: &str, value: &str, age_s: i64) -> Result<HeaderValue, ApiError> {
    let secure = if is_secure(call) { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).map_err(|_| ApiError::Internal("the cookie is no header value".to_owned()))
}

/// A new token.
pub fn token(app: &App) -> Token {
    let mut random = [0; 32];
    app.random.fill(&mut random);
    Token::make(random)
}

/// Where a link to sign in leads.
pub fn link_url(origin: &str, token: &Token) -> String {
    format!("{origin}/sign-in/{}", token.as_str())
}

/// An address as it is written everywhere: without white space around it, lower case.
pub fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

/// An address in its normal form, as it is kept of somebody new; `None` when it is none.
pub fn address(app: &App, email: &str) -> Result<Option<Address>, ApiError> {
    match hashes(app, email).into_iter().next() {
        Some(hash) => sealed(app, email, hash).map(Some),
        None => Ok(None),
    }
}

/// The same as it is kept of whoever has it: under an older key of HASH_SECRETS, where they were first seen under that.
pub async fn kept_address(app: &App, email: &str) -> Result<Option<Address>, ApiError> {
    let mut hashes = hashes(app, email);
    if hashes.len() > 1
        && let Some(row) = app.db.rows(accounts::kept_under(&hashes)).await?.first()
    {
        hashes = vec![accounts::decode_kept_under(row)?];
    }
    match hashes.into_iter().next() {
        Some(hash) => sealed(app, email, hash).map(Some),
        None => Ok(None),
    }
}

/// The hashes of an address under every key, the current one first; none of what is no address.
fn hashes(app: &App, email: &str) -> Vec<String> {
    app.secrets.people_keys().filter_map(|key| hash_email(&key, email)).map(|hashes| hashes.exact).collect()
}

fn sealed(app: &App, email: &str, hash: String) -> Result<Address, ApiError> {
    let sealed = app.secrets.seal(&*app.random, &purpose(&hash), email.as_bytes())?;
    Ok(Address { hash, sealed })
}

/// How an address stands: as the directory has it, and where it is nobody's there, whether it is a partner's in another database.
pub async fn standing(app: &App, address: &Address, email: &str, now: Instant) -> Result<Standing, DbError> {
    let rows = app.db.rows(accounts::standing(&address.hash, email, now)).await?;
    let mut standing = accounts::decode_standing(&rows)?;
    standing.known = standing.known || !app.db.rows(accounts::is_partner(email)).await?.is_empty();
    Ok(standing)
}

/// The address that was sealed.
pub fn opened(app: &App, address: &Address) -> Result<String, ApiError> {
    app.secrets
        .open(&purpose(&address.hash), &address.sealed)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| ApiError::Internal("people: an e-mail address does not open".to_owned()))
}

fn purpose(email_hash: &str) -> String {
    format!("email {email_hash}")
}
