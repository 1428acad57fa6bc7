//! What is looked up on a visitor's way: public keys, links by their ref and by their slug. First in the isolate's memory, then on the
//! shelf nearby, then in the database.
//!
//! How old an answer may be: whether a key is valid and when a link was changed last comes with every lease (`lending`), so that
//! what is revoked or changed is so everywhere as soon as leases end, 20 seconds. Besides, a link is asked for again behind the
//! answer when it was asked for longer ago than that. What is known holds for a day, and on the shelf as long: a write there costs
//! as much as five written rows.

use domain::time::{Instant, SECOND_MS};
use futures_util::future::join_all;

use crate::app::App;
use crate::error::ApiError;
use crate::limiter::Bucket;
use crate::memory::Memory;
use crate::shelf::{self, Fact, Named};
use crate::store::links::{Link, Owner, ShortLink};
use crate::store::{DbError, Scope, Statement, keys, links};

/// Entries that an isolate remembers; and, apart from them, names of nothing.
const FACTS_MAX: usize = 8_192;
const NOTHINGS_MAX: usize = 4_096;
/// How long a link need not be asked for again.
pub const FRESH_MS: i64 = 20 * SECOND_MS;
/// How long nobody else asks for what is being asked for.
const ASKING_MS: i64 = 5 * SECOND_MS;
/// How long a name of nothing is believed to be one.
const NOTHING_MS: i64 = 5 * SECOND_MS;
/// Public keys of a workspace and mode that are told when a link is changed.
const KEYS_TOLD_MAX: i64 = 20;

/// What an isolate remembers.
pub struct Known {
    facts: Memory<Named, Held>,
    nothings: Memory<Named, Instant>,
}

impl Default for Known {
    fn default() -> Self {
        Self { facts: Memory::of(FACTS_MAX), nothings: Memory::of(NOTHINGS_MAX) }
    }
}

#[derive(Clone)]
struct Held {
    fact: Fact,
    /// When the database said so.
    at: Instant,
    /// Until when it need not be asked for again.
    fresh_until: Instant,
}

/// Something that is done after the answer. Losing it costs time only.
#[derive(Clone, Debug, PartialEq)]
pub enum Chore {
    /// A link is asked for again.
    Refresh(Named),
    /// What the database said is put on the shelf.
    Shelve(Named, Fact, Instant),
}

/// What was found under a name.
pub struct Found<T> {
    /// What.
    pub what: T,
    /// When the database said so.
    pub at: Instant,
    /// What is to be done for it later.
    pub chore: Option<Chore>,
}

impl Found<Fact> {
    fn narrowed<T>(self, to: impl FnOnce(Fact) -> Option<T>) -> Option<Found<T>> {
        Some(Found { what: to(self.what)?, at: self.at, chore: self.chore })
    }
}

/// Whose a public key is, if it was valid when the database was last asked.
pub async fn key(app: &App, now: Instant, digest: &str) -> Result<Option<Found<Owner>>, ApiError> {
    let found = look(app, now, Named::Key(digest.to_owned())).await?;
    Ok(found.and_then(|found| found.narrowed(Fact::owner)))
}

/// Whether an isolate remembers a key, so that nobody need be asked.
pub fn remembers_key(app: &App, digest: &str) -> bool {
    app.known.facts.get(&Named::Key(digest.to_owned())).is_some()
}

/// Whether the database says now that a key is valid.
pub async fn is_still_valid(app: &App, now: Instant, digest: &str) -> Result<bool, DbError> {
    Ok(asked(app, now, &Named::Key(digest.to_owned())).await?.is_some())
}

/// The number of the active link with this ref.
pub async fn link(app: &App, now: Instant, scope: &Scope, link_ref: &str) -> Result<Option<Found<u32>>, ApiError> {
    let found = look(app, now, Named::Link(scope.clone(), link_ref.to_owned())).await?;
    Ok(found.and_then(|found| found.narrowed(Fact::number)))
}

/// The same, asked for now: what is known does not hold any more.
pub async fn link_anew(app: &App, now: Instant, scope: &Scope, link_ref: &str) -> Result<Option<u32>, DbError> {
    let fact = asked(app, now, &Named::Link(scope.clone(), link_ref.to_owned())).await?;
    Ok(fact.and_then(Fact::number))
}

/// The active link with this slug, asked for now.
pub async fn short_link_anew(app: &App, now: Instant, slug: &str) -> Result<Option<ShortLink>, DbError> {
    let fact = asked(app, now, &Named::Slug(slug.to_owned())).await?;
    Ok(fact.and_then(Fact::short))
}

/// The active link with this slug.
pub async fn short_link(app: &App, now: Instant, slug: &str) -> Result<Option<Found<ShortLink>>, ApiError> {
    let found = look(app, now, Named::Slug(slug.to_owned())).await?;
    Ok(found.and_then(|found| found.narrowed(Fact::short)))
}

async fn look(app: &App, now: Instant, named: Named) -> Result<Option<Found<Fact>>, ApiError> {
    // A clock that jumps back makes nothing known.
    let holds = |at: Instant| (0..Named::KEPT_MS).contains(&now.since_ms(at));
    let held = app.known.facts.get(&named).filter(|held| holds(held.at));
    if let Some(held) = held {
        let is_old = now >= held.fresh_until;
        if is_old {
            // One asks for all who come meanwhile.
            app.known.facts.change(&named, |held| held.fresh_until = now.plus_ms(ASKING_MS));
        }
        let chore = is_old.then_some(Chore::Refresh(named));
        return Ok(Some(Found { what: held.fact, at: held.at, chore }));
    }
    if app.known.nothings.get(&named).is_some_and(|since| (0..NOTHING_MS).contains(&now.since_ms(since))) {
        return Ok(None);
    }
    if let Some((fact, at)) = app.shelf.get(named.on_shelf()).await.and_then(|text| shelf::read(&text))
        && holds(at)
    {
        let is_key = matches!(named, Named::Key(_));
        let fresh_until = if is_key { at.plus_ms(Named::KEPT_MS) } else { now.plus_ms(ASKING_MS) };
        app.known.facts.insert(named.clone(), Held { fact: fact.clone(), at, fresh_until });
        return Ok(Some(Found { what: fact, at, chore: (!is_key).then_some(Chore::Refresh(named)) }));
    }
    Ok(asked(app, now, &named).await?.map(|fact| {
        let chore = Some(Chore::Shelve(named, fact.clone(), now));
        Found { what: fact, at: now, chore }
    }))
}

/// Asks the database, and remembers what it says.
async fn asked(app: &App, now: Instant, named: &Named) -> Result<Option<Fact>, DbError> {
    let rows = app.db.rows(question(named)).await?;
    let fact = match (named, rows.first()) {
        (_, None) => None,
        (Named::Key(_), Some(row)) => Some(Fact::Owner(keys::decode_owner(row)?)),
        (Named::Link(..), Some(row)) => Some(Fact::Number(links::decode_number(row)?)),
        (Named::Slug(_), Some(row)) => Some(Fact::Short(links::decode_short(row)?)),
    };
    match &fact {
        Some(fact) => {
            let fresh_ms = if matches!(named, Named::Key(_)) { Named::KEPT_MS } else { FRESH_MS };
            let held = Held { fact: fact.clone(), at: now, fresh_until: now.plus_ms(fresh_ms) };
            app.known.nothings.remove(named);
            app.known.facts.insert(named.clone(), held);
        }
        None => {
            app.known.facts.remove(named);
            app.known.nothings.insert(named.clone(), now);
        }
    }
    Ok(fact)
}

fn question(named: &Named) -> Statement {
    match named {
        Named::Key(digest) => keys::owner_by_digest(digest),
        Named::Link(scope, link_ref) => links::number_by_ref(scope, link_ref),
        Named::Slug(slug) => links::by_slug(slug),
    }
}

/// Does what was left for after the answer.
pub async fn do_chores(app: &App, chores: Vec<Chore>) {
    for chore in chores {
        match chore {
            Chore::Shelve(named, fact, at) => {
                let kept_s = u64::try_from(Named::KEPT_MS / SECOND_MS).unwrap_or(60);
                app.shelf.put(named.on_shelf(), shelf::written(&fact, at), kept_s).await;
            }
            Chore::Refresh(named) => {
                // One that fails is tried again by whoever comes next.
                if let Err(error) = asked(app, app.clock.now(), &named).await {
                    crate::log(&format!("known: a link could not be asked for again: {error}"));
                }
            }
        }
    }
}

/// Forgets that there was no such link.
pub async fn forget_link(app: &App, scope: &Scope, link: &Link) {
    forget(app, Named::Link(scope.clone(), link.link_ref.clone())).await;
    forget(app, Named::Slug(link.slug.clone())).await;
}

/// Forgets a link that was changed, here at once, and has every isolate told with its next lease.
pub async fn link_changed(app: &App, now: Instant, scope: &Scope, link: &Link) {
    forget_link(app, scope, link).await;
    links_changed(app, now, scope).await;
}

/// Has every isolate told, with its next lease, that what it knows of the links of a workspace and mode does not hold any more.
pub async fn links_changed(app: &App, now: Instant, scope: &Scope) {
    let keys = app.db.rows(keys::public_ids(scope, KEYS_TOLD_MAX)).await.unwrap_or_default();
    let ids = keys.iter().filter_map(|row| row.text("id").ok());
    // Where clicks come without a key and there is none, they are counted under this name.
    let names = ids.chain([links::counted_under(scope)]);
    join_all(names.map(|key_id| {
        let bucket = Bucket::Clicks { key_id };
        async move { app.limiter.links_changed(&bucket, now).await }
    }))
    .await;
}

/// Forgets a public key.
pub async fn forget_key(app: &App, digest: &str) {
    forget(app, Named::Key(digest.to_owned())).await;
}

async fn forget(app: &App, named: Named) {
    app.known.facts.remove(&named);
    app.known.nothings.remove(&named);
    app.shelf.delete(named.on_shelf()).await;
}
