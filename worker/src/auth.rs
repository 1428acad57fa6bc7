//! Keys, and pages that send none: who is calling, in which workspace and mode, and whether there is room for one more
//! call in this minute.

pub mod people;

use std::collections::HashMap;
use std::sync::Mutex;

use domain::ids::WorkspaceId;
use domain::key::{ApiKey, KeyKind, Need};
use domain::limit::Admission;
use domain::mode::Mode;
use domain::time::{Instant, SECOND_MS};
use http::{HeaderMap, header};

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::limiter::{Bucket, Unreachable};
use crate::store::keys::{self, KeyRow};
use crate::store::links::{self, Owner};

/// How long an isolate believes a key, or a host's owner, without asking again. Revocation must hold everywhere within 60 s.
const KEY_BELIEVED_MS: i64 = 30 * SECOND_MS;
/// Keys that an isolate remembers, and as many hosts.
const KEYS_REMEMBERED_MAX: usize = 4_096;

/// Clicks of one key that an isolate admits in a minute while the limiter cannot answer.
const UNMETERED_CLICKS_MAX: u32 = 20;

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
    /// Clicks, per public key.
    Clicks,
    /// The Conversion API, per secret key.
    Conversions,
    /// Every other `/api/…` path, per address.
    Other,
}

/// By name, and until when it is believed.
type Remembered<T> = HashMap<String, (T, Instant)>;

/// What an isolate remembers of keys between requests.
#[derive(Default)]
pub struct KeyMemory {
    known: Mutex<Remembered<KeyRow>>,
    /// By host.
    owners: Mutex<Remembered<Owner>>,
    unmetered: Mutex<HashMap<String, domain::limit::Window>>,
}

/// The key of the Authorization header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Lets in the bearer of a secret key: 401, then 429, then 403 for one that is not for this.
pub async fn secret(app: &App, call: &Call, headers: &HeaderMap, zone: Zone, need: Need) -> Result<Access, ApiError> {
    let Some(token) = bearer(headers) else {
        return Err(ApiError::InvalidApiKey("Send a secret key (sk_…) as Authorization: Bearer."));
    };
    let row = known_key(app, call, token, KeyKind::Secret).await?;
    let is_met = need.is_met_by(&row.scopes);
    let access = admit(app, call, row, zone).await?;
    match is_met {
        true => Ok(access),
        false => {
            let any_of: Vec<&str> = need.any_of().iter().map(|scope| scope.as_str()).collect();
            Err(ApiError::Forbidden(format!("This key lacks the scope: this takes {}.", any_of.join(" or "))))
        }
    }
}

/// Lets in a public key: 401, then 429.
pub async fn public(app: &App, call: &Call, token: &str) -> Result<Access, ApiError> {
    let row = known_key(app, call, token, KeyKind::Public).await?;
    admit(app, call, row, Zone::Clicks).await
}

async fn known_key(app: &App, call: &Call, token: &str, kind: KeyKind) -> Result<KeyRow, ApiError> {
    let key = ApiKey::parse(token);
    let found = match &key {
        Some(key) if key.kind() == kind => lookup(app, call.now, key).await?,
        _ => None,
    };
    if let Some(row) = found {
        return Ok(row);
    }
    let why = match (kind, key) {
        (KeyKind::Secret, Some(key)) if key.kind() == KeyKind::Public => {
            "This is a public key (pk_…); this path takes a secret key (sk_…)."
        }
        (KeyKind::Public, Some(key)) if key.kind() == KeyKind::Secret => {
            "This is a secret key (sk_…) and must not be in a page; this path takes a public key (pk_…)."
        }
        (_, None) => "The key is malformed: pk_test_, pk_live_, sk_test_ or sk_live_ and 32 letters or digits.",
        _ => "The key is unknown or revoked.",
    };
    Err(refused(app, call, ApiError::InvalidApiKey(why)).await)
}

async fn lookup(app: &App, now: Instant, key: &ApiKey) -> Result<Option<KeyRow>, ApiError> {
    let digest = key.digest();
    let remembered = app.keys.known.lock().ok().and_then(|known| known.get(&digest).cloned());
    if let Some((row, until)) = remembered
        && now < until
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
    if app.limiter.stranger(&call.peer.address).await { why } else { ApiError::RateLimitExceeded { retry_after_s: 60 } }
}

async fn admit(app: &App, call: &Call, row: KeyRow, zone: Zone) -> Result<Access, ApiError> {
    let key_id = row.id.to_string();
    let (bucket, limit) = match zone {
        Zone::Clicks => (Bucket::Clicks { key_id }, row.clicks_per_minute),
        Zone::Conversions => (Bucket::Conversions { key_id }, row.conversions_per_minute),
        Zone::Other => {
            let workspace_id = row.workspace_id.to_string();
            (Bucket::Other { workspace_id, address: network(&call.peer.address) }, row.other_per_minute)
        }
    };
    let (admission, unmetered) = match zone {
        Zone::Clicks => take_click(app, call, &bucket, limit).await,
        _ => (take(app, call, &bucket, limit).await.map_err(|why| ApiError::Unavailable(why.0))?, false),
    };
    if !admission.admitted {
        return Err(ApiError::RateLimitExceeded { retry_after_s: admission.reset_s });
    }
    Ok(Access { workspace_id: row.workspace_id, mode: row.mode, unmetered })
}

/// Lets in a page that sends no key, as the owner of its host: 401, then 429.
pub async fn origin(app: &App, call: &Call, host: Option<&str>) -> Result<Access, ApiError> {
    const NO_KEY: ApiError =
        ApiError::InvalidApiKey("Send a public key (pk_…) as merchant, or register the page's host in live mode.");
    // What can be no host of anybody's costs nothing.
    let Some(host) = host else { return Err(NO_KEY) };
    let Some(owner) = owner(app, call.now, host).await? else {
        return Err(refused(app, call, NO_KEY).await);
    };
    let (admission, unmetered) = take_owners_click(app, call, &owner).await;
    if !admission.admitted {
        return Err(ApiError::RateLimitExceeded { retry_after_s: admission.reset_s });
    }
    Ok(Access { workspace_id: owner.scope.workspace_id, mode: owner.scope.mode, unmetered })
}

/// The one workspace that registered this host in live mode. Of two, neither: each could have named the other's.
async fn owner(app: &App, now: Instant, host: &str) -> Result<Option<Owner>, ApiError> {
    let remembered = app.keys.owners.lock().ok().and_then(|owners| owners.get(host).cloned());
    if let Some((owner, until)) = remembered
        && now < until
    {
        return Ok(Some(owner));
    }
    let rows = app.db.rows(links::owners_of_host(host)).await?;
    let [row] = rows.as_slice() else { return Ok(None) };
    let owner = links::decode_owner(row)?;
    remember(&app.keys.owners, host.to_owned(), owner.clone(), now);
    Ok(Some(owner))
}

/// Whether there is room for one more click of this owner's, where no key was sent: a short link's. `None` means no, else
/// whether the limiter could not answer.
pub async fn click(app: &App, call: &Call, owner: &Owner) -> Option<bool> {
    let (admission, unmetered) = take_owners_click(app, call, owner).await;
    admission.admitted.then_some(unmetered)
}

async fn take_owners_click(app: &App, call: &Call, owner: &Owner) -> (Admission, bool) {
    let bucket = Bucket::Clicks { key_id: owner.key_id.clone() };
    take_click(app, call, &bucket, owner.clicks_per_minute).await
}

/// Counts a click, and says whether that was without the limiter.
async fn take_click(app: &App, call: &Call, bucket: &Bucket, limit: u32) -> (Admission, bool) {
    match take(app, call, bucket, limit).await {
        Ok(admission) => (admission, false),
        Err(_) => {
            let admission = unmetered(app, bucket, call.now);
            call.note_admission(admission);
            (admission, true)
        }
    }
}

async fn take(app: &App, call: &Call, bucket: &Bucket, limit: u32) -> Result<Admission, Unreachable> {
    let admission = app.limiter.take(bucket, limit, call.now).await?;
    call.note_admission(admission);
    Ok(admission)
}

/// A small fixed number of clicks while the limiter cannot answer: a partner's click is worth more than an exact count.
fn unmetered(app: &App, bucket: &Bucket, now: Instant) -> Admission {
    match app.keys.unmetered.lock() {
        Ok(mut windows) => {
            if windows.len() >= KEYS_REMEMBERED_MAX {
                windows.clear();
            }
            windows.entry(bucket.name()).or_default().take(UNMETERED_CLICKS_MAX, now)
        }
        Err(_) => Admission { admitted: false, limit: UNMETERED_CLICKS_MAX, remaining: 0, reset_s: 60 },
    }
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
