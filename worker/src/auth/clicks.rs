//! Room for clicks: admitted out of a lease, without asking anybody; else by the one object that counts for the key, which lends.

use domain::ids::{Id, KeyId};
use domain::limit::{Admission, Lease, Returned, Window};
use domain::time::{Instant, MINUTE_MS, SECOND_MS};

use super::Access;
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::known;
use crate::limiter::{Ask, Bucket, Loan, Said};
use crate::memory::Memory;
use crate::store::links::Owner;

/// Keys for which an isolate holds a lease, or remembers that there is no room.
const LEASES_MAX: usize = 4_096;
/// Having been told that there is no room, an isolate asks no sooner again: a flood does not reach the object that counts.
const REFUSED_MS: i64 = SECOND_MS;
/// Clicks of one key that an isolate admits in a minute while the limiter cannot answer.
const UNMETERED_MAX: u32 = 20;
/// What the clocks of two places may be apart.
const CLOCKS_APART_MS: i64 = 2 * SECOND_MS;
/// While the limiter cannot answer, the database is asked about a key of which it was asked longer ago: what is revoked is refused
/// everywhere within 60 s.
const BELIEVED_MS: i64 = 30 * SECOND_MS;

/// What is lent to an isolate.
pub struct Leases {
    held: Memory<String, Held>,
    unmetered: Memory<String, Window>,
    /// When a link was changed last, as the counter said.
    links_changed: Memory<String, Instant>,
}

impl Default for Leases {
    fn default() -> Self {
        Self { held: Memory::of(LEASES_MAX), unmetered: Memory::of(LEASES_MAX), links_changed: Memory::of(LEASES_MAX) }
    }
}

#[derive(Clone, Copy)]
enum Held {
    Lease(Lease),
    /// There was no room, and nobody is asked before then.
    Refused(Admission, Instant),
}

/// Who registers a click.
pub struct Caller {
    /// Under whose name it counts.
    pub owner: Owner,
    /// The key that was sent; none where the click comes by a page's host or a short link.
    pub key: Option<Key>,
}

/// A public key that was sent.
pub struct Key {
    /// Its digest.
    pub digest: String,
    /// When the database said that it is valid.
    pub at: Instant,
}

impl Caller {
    /// Nobody's key was sent.
    pub const fn without_key(owner: Owner) -> Self {
        Self { owner, key: None }
    }

    fn bucket(&self) -> Bucket {
        Bucket::Clicks { key_id: self.owner.key_id.clone() }
    }

    /// Under what the isolate holds a lease. With a lease for clicks without a key nobody has said that the key is valid.
    fn lease(&self) -> String {
        let name = self.bucket().name();
        if self.key.is_some() { name } else { name + "/keyless" }
    }

    fn access(&self, unmetered: bool) -> Access {
        Access { workspace_id: self.owner.scope.workspace_id.clone(), mode: self.owner.scope.mode, unmetered }
    }
}

/// What the isolate says by itself: let in, or no room; `None` where it has to ask.
pub fn admit_at_once(app: &App, call: &Call, caller: &Caller) -> Option<Result<Access, ApiError>> {
    let admission = app.leases.admit(&caller.lease(), call.now)?;
    call.note_admission(admission);
    Some(said(admission, caller, false))
}

/// Asks for one click and a lease for more: 401 for a key that is revoked by now, 429 where there is no room.
pub async fn admit(app: &App, call: &Call, caller: &Caller) -> Result<Access, ApiError> {
    let (bucket, name) = (caller.bucket(), caller.lease());
    let ask = Ask {
        bucket,
        limit: caller.owner.clicks_per_minute,
        returned: app.leases.give_back(&name),
        key: caller.key.as_ref().and_then(|_| Id::parse(&caller.owner.key_id)) as Option<KeyId>,
        known_at: caller.key.as_ref().map_or(call.now, |key| key.at),
    };
    let admission = match app.limiter.lend(ask, call.now).await {
        Ok(Said::Lent(loan)) => app.leases.keep(caller, loan, call.now),
        Ok(Said::Revoked) => return Err(revoked(app, caller).await),
        Err(_) => return admit_unmetered(app, call, caller, &name).await,
    };
    call.note_admission(admission);
    said(admission, caller, false)
}

/// A small fixed number of clicks while the limiter cannot answer: a partner's click is worth more than an exact count.
async fn admit_unmetered(app: &App, call: &Call, caller: &Caller, name: &str) -> Result<Access, ApiError> {
    if let Some(key) = caller.key.as_ref().filter(|key| call.now.since_ms(key.at) > BELIEVED_MS) {
        // While the database cannot be asked either, nothing can be revoked in it.
        if let Ok(false) = known::is_still_valid(app, call.now, &key.digest).await {
            return Err(revoked(app, caller).await);
        }
    }
    let admission = app.leases.unmetered(name, call.now);
    call.note_admission(admission);
    said(admission, caller, true)
}

async fn revoked(app: &App, caller: &Caller) -> ApiError {
    if let Some(key) = &caller.key {
        known::forget_key(app, &key.digest).await;
    }
    super::UNKNOWN_KEY
}

fn said(admission: Admission, caller: &Caller, unmetered: bool) -> Result<Access, ApiError> {
    match admission.admitted {
        true => Ok(caller.access(unmetered)),
        false => Err(ApiError::RateLimitExceeded { retry_after_s: admission.reset_s }),
    }
}

impl Leases {
    fn admit(&self, name: &str, now: Instant) -> Option<Admission> {
        self.held.change(name, |held| match held {
            Held::Lease(lease) => lease.spend(now),
            Held::Refused(admission, until) => {
                let left_ms = until.since_ms(now);
                (1..=REFUSED_MS).contains(&left_ms).then_some(*admission)
            }
        })?
    }

    /// What is to be told of a lease that is over. It is told once.
    fn give_back(&self, name: &str) -> Option<Returned> {
        match self.held.remove(&name.to_owned())? {
            Held::Lease(lease) => Some(lease.returned()),
            Held::Refused(..) => None,
        }
    }

    /// Keeps what was lent, and gives what is said to the click: what is left here is left, too.
    fn keep(&self, caller: &Caller, loan: Loan, now: Instant) -> Admission {
        let name = &caller.lease();
        if let Some(at) = loan.links_changed_at {
            // A clock elsewhere that is ahead spoils nothing for the time to come.
            self.links_changed.insert(caller.bucket().name(), at.min(now));
        }
        if !loan.admission.admitted {
            // Another request may have brought a lease meanwhile.
            if let Some(admission) = self.admit(name, now) {
                return admission;
            }
            // The next minute has room again.
            let left_ms = MINUTE_MS - now.ms().rem_euclid(MINUTE_MS);
            let until = now.plus_ms(REFUSED_MS.min(left_ms));
            self.held.insert(name.to_owned(), Held::Refused(loan.admission, until));
            return loan.admission;
        }
        let lease = Lease {
            minute: loan.minute,
            size: loan.size,
            spent: 0,
            until: now.plus_ms(loan.lasts_ms),
            limit: loan.admission.limit,
            remaining: loan.admission.remaining,
        };
        // Another request may have brought one meanwhile.
        let lease = match self.held.get(&name.to_owned()) {
            Some(Held::Lease(other)) => other.joined(lease),
            _ => lease,
        };
        self.held.insert(name.to_owned(), Held::Lease(lease));
        let remaining = loan.admission.remaining.saturating_add(lease.size.saturating_sub(lease.spent));
        Admission { remaining, ..loan.admission }
    }

    /// Whether what the database said of a link at this moment still holds: none was changed since, as far as the counter knew when it
    /// lent. Two clocks may differ a little.
    pub fn holds(&self, caller: &Caller, said_at: Instant) -> bool {
        let changed = self.links_changed.get(&caller.bucket().name());
        changed.is_none_or(|changed| said_at > changed.plus_ms(CLOCKS_APART_MS))
    }

    /// Forgets what is lent for a key.
    pub fn forget(&self, key_id: &KeyId) {
        self.held.remove(&Bucket::Clicks { key_id: key_id.to_string() }.name());
    }

    fn unmetered(&self, name: &str, now: Instant) -> Admission {
        let mut window = self.unmetered.get(&name.to_owned()).unwrap_or_default();
        let admission = window.take(UNMETERED_MAX, now);
        self.unmetered.insert(name.to_owned(), window);
        admission
    }
}
