//! Keys, and pages that send none: who is calling, in which workspace and mode, and whether there is room for one more
//! call in this minute.

pub mod clicks;
pub mod people;
pub mod track;

use std::collections::HashMap;
use std::sync::Mutex;

use domain::ids::WorkspaceId;
use domain::key::{ApiKey, KeyKind, Need};
use domain::limit::Admission;
use domain::mode::Mode;
use domain::time::{Instant, SECOND_MS};
use http::{HeaderMap, header};

use self::clicks::Caller;
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::known;
use crate::limiter::{Bucket, Unreachable};
use crate::memory::Memory;
use crate::store::keys::{self, KeyRow};
use crate::store::links::{self, Owner};
use crate::store::workspaces::Tracking;
use crate::store::{DbError, Row};

/// How long an isolate believes a key, or a host's owner, without asking again. Revocation must hold everywhere within 60 s.
const KEY_BELIEVED_MS: i64 = 30 * SECOND_MS;
/// Keys that an isolate remembers, and as many hosts.
const KEYS_REMEMBERED_MAX: usize = 4_096;

/// Addresses that an isolate remembers to be a stranger's who comes too often, and for how long.
const STRANGERS_MAX: usize = 4_096;
const STRANGER_MS: i64 = 5 * SECOND_MS;

/// The refusal of a key that nobody knows, or nobody any more.
const UNKNOWN_KEY: ApiError = ApiError::InvalidApiKey("The key is unknown or revoked, or its workspace is suspended.");
/// The refusal of whoever is known, in a workspace that is suspended.
const SUSPENDED: &str = "This workspace is suspended: whoever runs this deployment can say why.";

/// A call that is let in.
#[derive(Clone, Debug)]
pub struct Access {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The mode, by the key.
    pub mode: Mode,
    /// The limiter could not answer, and the call was let in without it.
    pub unmetered: bool,
}

/// Which limit a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// The Conversion API, per secret key.
    Conversions,
    /// Every other `/api/…` path, per address.
    Other,
}

/// By name, and until when it is believed.
type Remembered<T> = HashMap<String, (T, Instant)>;

/// What an isolate remembers of secret keys, hosts and strangers between requests.
pub struct KeyMemory {
    known: Mutex<Remembered<KeyRow>>,
    /// By host.
    owners: Mutex<Remembered<Owner>>,
    /// By host, or by their own id: workspaces that leads and sales come to without a key.
    tracking: Mutex<Remembered<Tracking>>,
    /// By address: until when it is refused what nobody remembers.
    strangers: Memory<String, Instant>,
}

impl Default for KeyMemory {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            owners: Mutex::default(),
            tracking: Mutex::default(),
            strangers: Memory::of(STRANGERS_MAX),
        }
    }
}

/// The key of the Authorization header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Lets in the bearer of a secret key: 401, then 429, then 403 for one that is not for this, or whose workspace is suspended.
pub async fn secret(app: &App, call: &Call, headers: &HeaderMap, zone: Zone, need: Need) -> Result<Access, ApiError> {
    let Some(token) = bearer(headers) else {
        return Err(ApiError::InvalidApiKey("Send a secret key (sk_…) as Authorization: Bearer."));
    };
    let row = known_secret(app, call, token).await?;
    let (is_met, is_suspended) = (need.is_met_by(&row.scopes), row.is_suspended);
    let access = admit(app, call, row, zone).await?;
    not_suspended(is_suspended)?;
    match is_met {
        true => Ok(access),
        false => {
            let any_of: Vec<&str> = need.any_of().iter().map(|scope| scope.as_str()).collect();
            Err(ApiError::Forbidden(format!("This key lacks the scope: this takes {}.", any_of.join(" or "))))
        }
    }
}

/// 403 where the workspace is suspended.
fn not_suspended(is_suspended: bool) -> Result<(), ApiError> {
    if is_suspended { Err(ApiError::Forbidden(SUSPENDED.to_owned())) } else { Ok(()) }
}

/// Whose a public key is, or 401. A flood of keys that nobody knows ends at the isolate.
pub async fn public(app: &App, call: &Call, token: &str) -> Result<Caller, ApiError> {
    let key = ApiKey::parse(token).filter(|key| key.kind() == KeyKind::Public);
    let Some(key) = key else { return Err(refused(app, call, why_not(token, KeyKind::Public)).await) };
    let digest = key.digest();
    if !known::remembers_key(app, &digest) && is_blocked(app, call) {
        return Err(ApiError::RateLimitExceeded { retry_after_s: 60 });
    }
    let Some(found) = known::key(app, call.now, &digest).await? else {
        return Err(refused(app, call, UNKNOWN_KEY).await);
    };
    // The infix alone decides the mode; a row that disagrees would be ours to explain.
    if found.what.scope.mode != key.mode() {
        return Err(ApiError::Internal("api_keys: the mode is not the key's own".to_owned()));
    }
    call.leave(found.chore);
    Ok(Caller { owner: found.what, key: Some(clicks::Key { digest, at: found.at }) })
}

async fn known_secret(app: &App, call: &Call, token: &str) -> Result<KeyRow, ApiError> {
    let key = ApiKey::parse(token).filter(|key| key.kind() == KeyKind::Secret);
    let found = match &key {
        Some(key) => lookup(app, call.now, key).await?,
        None => None,
    };
    match found {
        Some(row) => Ok(row),
        None => Err(refused(app, call, why_not(token, KeyKind::Secret)).await),
    }
}

fn why_not(token: &str, wanted: KeyKind) -> ApiError {
    let given = ApiKey::parse(token).map(|key| key.kind());
    ApiError::InvalidApiKey(match (wanted, given) {
        (KeyKind::Secret, Some(KeyKind::Public)) => "This is a public key (pk_…); this path takes a secret key (sk_…).",
        (KeyKind::Public, Some(KeyKind::Secret)) => {
            "This is a secret key (sk_…) and must not be in a page; this path takes a public key (pk_…)."
        }
        (_, None) => "The key is malformed: pk_test_, pk_live_, sk_test_ or sk_live_ and 32 letters or digits.",
        _ => return UNKNOWN_KEY,
    })
}

async fn lookup(app: &App, now: Instant, key: &ApiKey) -> Result<Option<KeyRow>, ApiError> {
    let digest = key.digest();
    let remembered = app.keys.known.lock().ok().and_then(|known| known.get(&digest).cloned());
    if let Some((row, until)) = remembered
        && (1..=KEY_BELIEVED_MS).contains(&until.since_ms(now))
    {
        return Ok(Some(row));
    }
    let rows = app.db.rows(keys::by_digest(&digest)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let row = keys::decode(row)?;
    // The infix alone decides the mode; a row that disagrees would be ours to explain.
    if row.mode != key.mode() || row.kind != key.kind() {
        return Err(ApiError::Internal("api_keys: mode or kind is not the key's own".to_owned()));
    }
    remember(&app.keys.known, digest, row.clone(), now);
    Ok(Some(row))
}

/// Whether something is remembered under this name, so that nobody need be asked.
fn remembers<T>(memory: &Mutex<Remembered<T>>, name: &str) -> bool {
    memory.lock().is_ok_and(|known| known.contains_key(name))
}

/// Remembers for as long as a key is believed.
fn remember<T>(memory: &Mutex<Remembered<T>>, name: String, what: T, now: Instant) {
    if let Ok(mut known) = memory.lock() {
        if known.len() >= KEYS_REMEMBERED_MAX {
            known.clear();
        }
        known.insert(name, (what, now.plus_ms(KEY_BELIEVED_MS)));
    }
}

/// The refusal of somebody whom nobody knows; who comes too often is told that instead.
async fn refused(app: &App, call: &Call, why: ApiError) -> ApiError {
    if !is_blocked(app, call) && app.limiter.stranger(&call.peer.address).await {
        return why;
    }
    app.keys.strangers.insert(network(&call.peer.address), call.now.plus_ms(STRANGER_MS));
    ApiError::RateLimitExceeded { retry_after_s: 60 }
}

fn is_blocked(app: &App, call: &Call) -> bool {
    let until = app.keys.strangers.get(&network(&call.peer.address));
    until.is_some_and(|until| (1..=STRANGER_MS).contains(&until.since_ms(call.now)))
}

async fn admit(app: &App, call: &Call, row: KeyRow, zone: Zone) -> Result<Access, ApiError> {
    let key_id = row.id.to_string();
    let (bucket, limit) = match zone {
        Zone::Conversions => (Bucket::Conversions { key_id }, row.conversions_per_minute),
        Zone::Other => (other(call, &row.workspace_id), row.other_per_minute),
    };
    count(app, call, &bucket, limit).await?;
    Ok(Access { workspace_id: row.workspace_id, mode: row.mode, unmetered: false })
}

/// Who counts together on every path but those of clicks and conversions.
fn other(call: &Call, workspace_id: &WorkspaceId) -> Bucket {
    Bucket::Other { workspace_id: workspace_id.to_string(), address: network(&call.peer.address) }
}

/// Counts one call, or refuses it.
async fn count(app: &App, call: &Call, bucket: &Bucket, limit: u32) -> Result<(), ApiError> {
    let admission = take(app, call, bucket, limit).await.map_err(|why| ApiError::Unavailable(why.0))?;
    if admission.admitted { Ok(()) } else { Err(ApiError::RateLimitExceeded { retry_after_s: admission.reset_s }) }
}

/// Whose a page is that sends no key: the owner of its host, or 401.
pub async fn origin(app: &App, call: &Call, host: Option<&str>) -> Result<Caller, ApiError> {
    const NO_KEY: ApiError =
        ApiError::InvalidApiKey("Send a public key (pk_…) as merchant, or register the page's host in live mode.");
    // What can be no host of anybody's costs nothing.
    let Some(host) = host else { return Err(NO_KEY) };
    match owner(app, call.now, host).await? {
        Some(owner) => Ok(Caller::without_key(owner)),
        None => Err(refused(app, call, NO_KEY).await),
    }
}

/// The one workspace among these. One that is suspended takes nothing from another.
fn only(rows: &[Row]) -> Result<Option<&Row>, DbError> {
    let mut going_on = Vec::new();
    for row in rows {
        if !links::is_suspended(row)? {
            going_on.push(row);
        }
    }
    Ok(match (going_on.as_slice(), rows) {
        ([one], _) => Some(*one),
        ([], [one]) => Some(one),
        _ => None,
    })
}

/// The one workspace that registered this host in live mode. Of two, neither: each could have named the other's.
async fn owner(app: &App, now: Instant, host: &str) -> Result<Option<Owner>, ApiError> {
    let remembered = app.keys.owners.lock().ok().and_then(|owners| owners.get(host).cloned());
    if let Some((owner, until)) = remembered
        && (1..=KEY_BELIEVED_MS).contains(&until.since_ms(now))
    {
        return Ok(Some(owner));
    }
    let rows = app.db.rows(links::owners_of_host(host)).await?;
    let Some(row) = only(&rows)? else { return Ok(None) };
    if links::is_suspended(row)? {
        return Ok(None);
    }
    let owner = links::decode_owner(row)?;
    remember(&app.keys.owners, host.to_owned(), owner.clone(), now);
    Ok(Some(owner))
}

async fn take(app: &App, call: &Call, bucket: &Bucket, limit: u32) -> Result<Admission, Unreachable> {
    let admission = app.limiter.take(bucket, limit, call.now).await?;
    call.note_admission(admission);
    Ok(admission)
}

/// Who counts together: an IPv4 address, or the /64 of an IPv6 address.
pub fn network(address: &str) -> String {
    match address.parse::<std::net::Ipv6Addr>() {
        Ok(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_counts_per_64() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network(""), "");
    }
}
