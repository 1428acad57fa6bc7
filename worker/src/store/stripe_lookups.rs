//! `stripe_lookups`: what Stripe's API is to be asked, and what came of it.

use domain::ids::{ConnectionId, Id, StripeLookupId, WorkspaceId};
use domain::status::{LookupKind, LookupState};
use domain::time::Instant;
use serde::Serialize;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// The subject of the one reconciliation that a connection has at a time.
const UNDELIVERED: &str = "undelivered";

/// Something that Stripe's API is asked.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Its id.
    pub id: StripeLookupId,
    /// Whose.
    pub scope: Scope,
    /// With whose key.
    pub connection_id: ConnectionId,
    /// What.
    pub kind: LookupKind,
    /// `txn_…`, `pi_…`, or a word.
    pub subject: String,
    /// How far it has come.
    pub state: LookupState,
    /// Where a list goes on.
    pub cursor: Option<String>,
    /// What was told.
    pub found: i64,
    /// How much of it was news.
    pub new: i64,
    /// How often it was tried since it last got on.
    pub attempts: i64,
    /// Why it did not get on, the last time that it did not.
    pub last_error: Option<String>,
    /// When it began.
    pub started_at: Instant,
    /// When it ended.
    pub finished_at: Option<Instant>,
}

/// Something to be asked, caused by a booking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// An id for it.
    pub id: StripeLookupId,
    /// What.
    pub kind: LookupKind,
    /// `txn_…` or `pi_…`.
    pub subject: String,
    /// The Stripe event that brought the cause: its connection's key is asked with.
    pub event: String,
    /// Not before, in ms.
    pub not_before: Instant,
}

/// Writes what is wanted, where the connection has a key and was not asked before; gives the id of each that is new
/// and may be asked at once.
pub fn insert_all(wanted: &[Wanted], now: Instant) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO stripe_lookups (id, workspace_id, mode, connection_id, kind, subject, state, next_attempt_at, \
         started_at) SELECT w.value ->> 'id', c.workspace_id, c.mode, c.id, w.value ->> 'kind', w.value ->> 'subject', \
         'pending', w.value ->> 'not_before', ? FROM json_each(?) w JOIN stripe_events e ON e.id = w.value ->> 'event' \
         JOIN stripe_connections c ON c.id = e.connection_id WHERE c.restricted_key IS NOT NULL \
         ON CONFLICT (connection_id, kind, subject) DO NOTHING \
         RETURNING CASE WHEN next_attempt_at <= started_at THEN id END AS lookup_id",
    )
    .bind(now)
    .bind(super::to_json(&wanted)?))
}

/// Begins a reconciliation, unless one is going on. Its first page is to be asked now.
pub fn begin_reconcile(scope: &Scope, connection: &ConnectionId, id: &StripeLookupId, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO stripe_lookups (id, workspace_id, mode, connection_id, kind, subject, state, next_attempt_at, \
         started_at) VALUES (?1, ?2, ?3, ?4, 'reconcile', ?5, 'pending', ?6, ?6) \
         ON CONFLICT (connection_id, kind, subject) DO UPDATE SET state = 'pending', cursor = NULL, found = 0, new = 0, \
         attempts = 0, next_attempt_at = excluded.next_attempt_at, last_error = NULL, started_at = excluded.started_at, \
         finished_at = NULL WHERE state <> 'pending'",
    )
    .bind(id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(connection.as_str())
    .bind(UNDELIVERED)
    .bind(now)
}

/// Takes a lookup that is due, for so long; gives it where nobody else has it. Who dies with it leaves it to the sweep.
pub fn claim(id: &str, now: Instant, until: Instant) -> Statement {
    Statement::somewhere(
        "UPDATE stripe_lookups SET attempts = attempts + 1, next_attempt_at = ?1 \
         WHERE id = ?2 AND state = 'pending' AND next_attempt_at <= ?3 RETURNING *",
    )
    .bind(until)
    .bind(id)
    .bind(now)
}

/// The connection that a lookup is asked with.
pub fn connection_of(id: &str) -> Statement {
    Statement::somewhere(
        "SELECT * FROM stripe_connections WHERE id = (SELECT connection_id FROM stripe_lookups WHERE id = ?)",
    )
    .bind(id)
}

/// It is answered.
pub fn done(id: &StripeLookupId, found: i64, now: Instant) -> Statement {
    Statement::somewhere(
        "UPDATE stripe_lookups SET state = 'done', found = ?, next_attempt_at = NULL, last_error = NULL, finished_at = ? \
         WHERE id = ? AND state = 'pending'",
    )
    .bind(found)
    .bind(now)
    .bind(id.as_str())
}

/// It is given up, for a reason.
pub fn give_up(id: &StripeLookupId, why: &str, now: Instant) -> Statement {
    Statement::somewhere(
        "UPDATE stripe_lookups SET state = 'failed', next_attempt_at = NULL, last_error = ?, finished_at = ? \
         WHERE id = ? AND state = 'pending'",
    )
    .bind(why)
    .bind(now)
    .bind(id.as_str())
}

/// It is to be tried again later, for a reason.
pub fn put_off(id: &StripeLookupId, why: &str, until: Instant) -> Statement {
    Statement::somewhere(
        "UPDATE stripe_lookups SET next_attempt_at = ?, last_error = ? WHERE id = ? AND state = 'pending'",
    )
    .bind(until)
    .bind(why)
    .bind(id.as_str())
}

/// A page of a list was taken: it goes on from there at once, or is over.
pub fn advance(lookup: &Lookup, found: i64, new: i64, next: Option<&String>, now: Instant) -> Statement {
    Statement::new(
        "UPDATE stripe_lookups SET state = CASE WHEN ?1 IS NULL THEN 'done' ELSE state END, cursor = COALESCE(?1, cursor), \
         found = found + ?2, new = new + ?3, attempts = 0, last_error = NULL, \
         next_attempt_at = CASE WHEN ?1 IS NULL THEN NULL ELSE next_attempt_at END, \
         finished_at = CASE WHEN ?1 IS NULL THEN ?4 ELSE NULL END WHERE id = ?5 AND state = 'pending' AND cursor IS ?6",
    )
    .bind(next)
    .bind(found)
    .bind(new)
    .bind(now)
    .bind(lookup.id.as_str())
    .bind(lookup.cursor.as_ref())
}

/// A list of which a part was taken may go on at once.
pub fn release(id: &StripeLookupId, now: Instant) -> Statement {
    Statement::somewhere("UPDATE stripe_lookups SET next_attempt_at = ? WHERE id = ? AND state = 'pending'")
        .bind(now)
        .bind(id.as_str())
}

/// Takes up again what was given up, since the connection has another key.
pub fn revive(connection: &ConnectionId, now: Instant) -> Statement {
    Statement::new(
        "UPDATE stripe_lookups SET state = 'pending', attempts = 0, next_attempt_at = ?, finished_at = NULL \
         WHERE connection_id = ? AND state = 'failed'",
    )
    .bind(now)
    .bind(connection.as_str())
}

/// Lookups whose message was lost, or that were put off.
pub fn due(now: Instant, limit: i64) -> Statement {
    Statement::somewhere("SELECT id FROM stripe_lookups WHERE next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?")
        .bind(now)
        .bind(limit)
}

/// The reconciliation of a connection, if there was one.
pub fn reconcile_of(connection: &ConnectionId) -> Statement {
    Statement::new("SELECT * FROM stripe_lookups WHERE connection_id = ? AND kind = 'reconcile' AND subject = ?")
        .bind(connection.as_str())
        .bind(UNDELIVERED)
}

/// How many look-ups of a connection are pending and given up, and the last error of one that is given up.
pub fn counts(connection: &ConnectionId) -> Statement {
    Statement::new(
        "SELECT COUNT(*) FILTER (WHERE state = 'pending') AS pending, COUNT(*) FILTER (WHERE state = 'failed') AS failed, \
         (SELECT last_error FROM stripe_lookups l WHERE l.connection_id = ?1 AND l.kind <> 'reconcile' AND \
         l.state = 'failed' ORDER BY l.finished_at DESC LIMIT 1) AS last_error \
         FROM stripe_lookups WHERE connection_id = ?1 AND kind <> 'reconcile'",
    )
    .bind(connection.as_str())
}

/// A page of the look-ups of a connection.
pub fn list(scope: &Scope, connection: &ConnectionId, state: Option<&String>, page: &Page) -> Statement {
    let of_connection = scope
        .bound(Statement::new("SELECT * FROM stripe_lookups "))
        .push(" AND connection_id = ?")
        .bind(connection.as_str());
    page.bound(of_connection.push_if(" AND state = ?", state))
}

/// Reads a lookup.
pub fn decode(row: &Row) -> Result<Lookup, DbError> {
    Ok(Lookup {
        id: row.parsed("id", Id::parse, "a lookup id")?,
        scope: Scope {
            workspace_id: row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?,
            mode: row.mode("mode")?,
        },
        connection_id: row.parsed("connection_id", Id::parse, "a connection id")?,
        kind: row.parsed("kind", LookupKind::parse, "a kind of lookup")?,
        subject: row.text("subject")?,
        state: row.parsed("state", LookupState::parse, "a lookup's state")?,
        cursor: row.text_opt("cursor")?,
        found: row.integer("found")?,
        new: row.integer("new")?,
        attempts: row.integer("attempts")?,
        last_error: row.text_opt("last_error")?,
        started_at: row.instant("started_at")?,
        finished_at: row.instant_opt("finished_at")?,
    })
}
