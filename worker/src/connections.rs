//! Stripe connections: which one a URL names, whether an event is signed with its secret, and how many that were not an
//! isolate lets fail in a minute. A delivery is never refused for its sender's address, nor a signed one for what others
//! send: only failures are counted.

use std::collections::HashMap;
use std::sync::Mutex;

use domain::limit::Admission;
use domain::time::{Instant, SECOND_MS};

use crate::app::App;
use crate::error::ApiError;
use crate::limiter::Bucket;
use crate::store::stripe_events::{self as table, Connection};

/// How long an isolate believes a connection without asking again. One that is deleted or whose secret is changed must be so
/// everywhere within 60 s.
const CONNECTION_BELIEVED_MS: i64 = 30 * SECOND_MS;
/// Connections that an isolate remembers.
const CONNECTIONS_REMEMBERED_MAX: usize = 1_024;
/// Signatures of one connection that fail in a minute and are told why.
pub const FAILURES_PER_MINUTE: u32 = 300;

/// What an isolate remembers of connections between requests. Only those that exist: a stranger's guesses fill nothing.
#[derive(Default)]
pub struct ConnectionMemory {
    known: Mutex<HashMap<String, Remembered>>,
}

#[derive(Clone)]
struct Remembered {
    /// As it is stored, its secret sealed.
    connection: Connection,
    until: Instant,
    /// More signatures failed than are counted, until this minute's end.
    flooded_until: Option<Instant>,
}

/// A connection, and where it is known from.
pub struct Known {
    /// The connection.
    pub connection: Connection,
    /// It was not asked for just now, so that it may have changed since.
    pub remembered: bool,
}

/// The connection that a URL names, remembered or asked for.
pub async fn find(app: &App, id: &str, now: Instant) -> Result<Known, ApiError> {
    let remembered = app.connections.known.lock().ok().and_then(|known| known.get(id).cloned());
    match remembered {
        Some(held) if now < held.until => Ok(Known { connection: held.connection, remembered: true }),
        _ => Ok(Known { connection: ask(app, id, now).await?, remembered: false }),
    }
}

/// The connection that a URL names, as it is stored now.
pub async fn ask(app: &App, id: &str, now: Instant) -> Result<Connection, ApiError> {
    let rows = app.db.rows(table::connection(id)).await?;
    let connection = rows.first().map(table::decode_connection).transpose()?;
    let Ok(mut known) = app.connections.known.lock() else {
        return connection.ok_or(ApiError::NotFound("Stripe connection"));
    };
    let Some(connection) = connection else {
        known.remove(id);
        return Err(ApiError::NotFound("Stripe connection"));
    };
    if known.len() >= CONNECTIONS_REMEMBERED_MAX && !known.contains_key(id) {
        known.clear();
    }
    let flooded_until = known.get(id).and_then(|held| held.flooded_until);
    let until = now.plus_ms(CONNECTION_BELIEVED_MS);
    known.insert(id.to_owned(), Remembered { connection: connection.clone(), until, flooded_until });
    Ok(connection)
}

/// Whether so many signatures of this connection failed in this minute that one more is not looked into.
pub fn flooded(app: &App, connection: &Connection, now: Instant) -> Option<Admission> {
    let known = app.connections.known.lock().ok()?;
    let until = known.get(connection.id.as_str())?.flooded_until.filter(|until| now < *until)?;
    let left_ms = until.ms() - now.ms();
    let reset_s = u32::try_from((left_ms + SECOND_MS - 1) / SECOND_MS).unwrap_or(60);
    Some(Admission { admitted: false, limit: FAILURES_PER_MINUTE, remaining: 0, reset_s })
}

/// Counts a signature that failed; `Some` where there were too many. Only failures come here, so that whatever a stranger
/// sends, what Stripe signed is taken. While the limiter cannot answer, a failure is only a failure.
pub async fn count_failure(app: &App, connection: &Connection, now: Instant) -> Option<Admission> {
    let bucket = Bucket::Signatures { connection_id: connection.id.to_string() };
    let admission = app.limiter.take(&bucket, FAILURES_PER_MINUTE, now).await.ok()?;
    if admission.admitted {
        return None;
    }
    // Until the minute is over, this isolate asks nobody.
    if let Ok(mut known) = app.connections.known.lock()
        && let Some(held) = known.get_mut(connection.id.as_str())
    {
        held.flooded_until = Some(now.plus_ms(i64::from(admission.reset_s) * SECOND_MS));
    }
    Some(admission)
}
