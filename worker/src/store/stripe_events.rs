//! `stripe_connections`, `stripe_events` and `stripe_bodies`.

use domain::ids::{ConnectionId, Id, StripeEventId, WorkspaceId};
use domain::mode::Mode;
use domain::status::StripeOutcome;
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its id, which is in its URL.
    pub id: ConnectionId,
    /// Its workspace and mode.
    pub scope: Scope,
    /// The signing secret, sealed.
    pub signing_secret: String,
    /// The one before it, sealed, and until when it is still accepted.
    pub previous: Option<(String, Instant)>,
    /// The merchant's key to Stripe's API, sealed.
    pub restricted_key: Option<String>,
    /// When it was made.
    pub created_at: Instant,
}

/// A new connection.
pub fn insert_connection(connection: &Connection) -> Statement {
    Statement::new(
        "INSERT INTO stripe_connections (id, workspace_id, mode, signing_secret, restricted_key, created_at) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(connection.id.as_str())
    .bind_workspace(&connection.scope.workspace_id)
    .bind(connection.scope.mode)
    .bind(&connection.signing_secret)
    .bind(connection.restricted_key.as_ref())
    .bind(connection.created_at)
}

const CONNECTION_COLUMNS: &str = "SELECT id, workspace_id, mode, signing_secret, previous_signing_secret, \
     previous_accepted_until, restricted_key, created_at FROM stripe_connections ";

/// The connection that a URL names, whosever it is.
pub fn connection(id: &str) -> Statement {
    Statement::somewhere(CONNECTION_COLUMNS).push("WHERE id = ?").bind(id)
}

/// A workspace's connection.
pub fn connection_of(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(CONNECTION_COLUMNS)).push(" AND id = ?").bind(id)
}

/// Gives a connection its key to Stripe's API, or takes it away.
pub fn set_restricted_key(scope: &Scope, id: &ConnectionId, sealed: Option<&String>) -> Statement {
    let update = Statement::new("UPDATE stripe_connections SET restricted_key = ? ").bind(sealed);
    scope.bound(update).push(" AND id = ?").bind(id.as_str())
}

/// Takes the next signing secret; the one until now is accepted until then.
pub fn roll_signing_secret(scope: &Scope, id: &ConnectionId, sealed: &str, until: Instant) -> Statement {
    let update = Statement::new(
        "UPDATE stripe_connections SET previous_signing_secret = signing_secret, previous_accepted_until = ?, \
         signing_secret = ? ",
    )
    .bind(until)
    .bind(sealed);
    scope.bound(update).push(" AND id = ?").bind(id.as_str())
}

/// Deletes a connection that no event has come by, and what was asked with its key; the last statement gives its id.
pub fn delete_connection(scope: &Scope, id: &str) -> Vec<Statement> {
    let asked = scope.bound(Statement::new("DELETE FROM stripe_lookups ")).push(" AND connection_id = ?").bind(id);
    let connection = scope.bound(Statement::new("DELETE FROM stripe_connections ")).push(" AND id = ?").bind(id);
    let unused = " AND NOT EXISTS (SELECT 1 FROM stripe_events e WHERE e.connection_id = ?)";
    vec![asked.push(unused).bind(id), connection.push(unused).bind(id).push(" RETURNING id")]
}

/// A page of connections.
pub fn list_connections(scope: &Scope, page: &Page) -> Statement {
    page.bound(scope.bound(Statement::new(CONNECTION_COLUMNS)))
}

/// Reads a connection.
pub fn decode_connection(row: &Row) -> Result<Connection, DbError> {
    Ok(Connection {
        id: row.parsed("id", Id::parse, "a connection id")?,
        scope: Scope {
            workspace_id: row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?,
            mode: row.mode("mode")?,
        },
        signing_secret: row.text("signing_secret")?,
        previous: row.text_opt("previous_signing_secret")?.zip(row.instant_opt("previous_accepted_until")?),
        restricted_key: row.text_opt("restricted_key")?,
        created_at: row.instant("created_at")?,
    })
}

/// An event as it is stored before it is answered.
pub struct NewEvent<'a> {
    /// Our id.
    pub id: &'a StripeEventId,
    /// The connection it came by.
    pub connection: &'a Connection,
    /// `evt_…`.
    pub stripe_id: &'a str,
    /// `type`.
    pub kind: &'a str,
    /// What is known of its fate already.
    pub outcome: StripeOutcome,
    /// Why.
    pub reason: Option<&'a str>,
    /// The raw body, sealed; none when there is nothing to process.
    pub sealed_body: Option<String>,
    /// When the sweep is to take it up, should its message be lost.
    pub next_attempt_at: Option<Instant>,
}

/// Stores an event and its body, unless this connection has had it before; the last statement's row is the one that stands.
pub fn insert(event: &NewEvent<'_>, now: Instant, request_id: &str) -> Vec<Statement> {
    let scope = &event.connection.scope;
    let log = Statement::new(
        "INSERT INTO stripe_events (id, workspace_id, mode, connection_id, stripe_id, type, outcome, reason, \
         next_attempt_at, received_at, request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (connection_id, stripe_id) DO NOTHING",
    )
    .bind(event.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(event.connection.id.as_str())
    .bind(event.stripe_id)
    .bind(event.kind)
    .bind(event.outcome.as_str())
    .bind(event.reason)
    .bind(event.next_attempt_at)
    .bind(now)
    .bind(request_id);
    let mut statements = vec![log];
    statements.extend(event.sealed_body.as_ref().map(|sealed| {
        Statement::new(
            "INSERT INTO stripe_bodies (stripe_event_id, sealed, received_at) SELECT id, ?, received_at \
             FROM stripe_events WHERE id = ?",
        )
        .bind(sealed)
        .bind(event.id.as_str())
    }));
    statements.push(
        Statement::new("SELECT id, outcome, reason FROM stripe_events WHERE connection_id = ? AND stripe_id = ?")
            .bind(event.connection.id.as_str())
            .bind(event.stripe_id),
    );
    statements
}

/// Which of these events (a JSON list of `evt_…`) a connection has had.
pub fn had(connection: &ConnectionId, stripe_ids: &[&str]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT stripe_id FROM stripe_events WHERE connection_id = ? AND stripe_id IN (SELECT value FROM json_each(?))",
    )
    .bind(connection.as_str())
    .bind(super::to_json(&stripe_ids)?))
}

/// Takes up every parked event of a connection again.
pub fn take_up_parked(connection: &ConnectionId, now: Instant) -> Statement {
    Statement::new(
        "UPDATE stripe_events SET outcome = 'pending', reason = NULL, attempts = 0, next_attempt_at = ? \
         WHERE connection_id = ? AND outcome = 'parked' AND EXISTS \
         (SELECT 1 FROM stripe_bodies b WHERE b.stripe_event_id = stripe_events.id)",
    )
    .bind(now)
    .bind(connection.as_str())
}

/// An event that is to be processed, with its sealed body.
pub fn to_process(id: &str) -> Statement {
    Statement::somewhere(
        "SELECT e.id, e.workspace_id, e.mode, e.outcome, e.attempts, e.request_id, b.sealed FROM stripe_events e \
         LEFT JOIN stripe_bodies b ON b.stripe_event_id = e.id WHERE e.id = ?",
    )
    .bind(id)
}

/// What [`to_process`] gives.
#[derive(Clone, Debug)]
pub struct ToProcess {
    /// Our id.
    pub id: StripeEventId,
    /// Its workspace and mode.
    pub scope: Scope,
    /// Where it stands.
    pub outcome: StripeOutcome,
    /// How often it was tried.
    pub attempts: i64,
    /// The request that brought it.
    pub request_id: Option<String>,
    /// The raw body, sealed.
    pub sealed: Option<String>,
}

/// Reads a row of [`to_process`].
pub fn decode_to_process(row: &Row) -> Result<ToProcess, DbError> {
    Ok(ToProcess {
        id: row.parsed("id", Id::parse, "a Stripe event id of ours")?,
        scope: Scope {
            workspace_id: row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?,
            mode: row.mode("mode")?,
        },
        outcome: row.parsed("outcome", StripeOutcome::parse, "an outcome")?,
        attempts: row.integer("attempts")?,
        request_id: row.text_opt("request_id")?,
        sealed: row.text_opt("sealed")?,
    })
}

/// Gives a row if nothing has become of the event yet.
pub fn waits(id: &StripeEventId) -> Statement {
    Statement::somewhere("SELECT id FROM stripe_events WHERE id = ? AND outcome = 'pending'").bind(id.as_str())
}

/// Settles the fate of an event that waits. One that was settled meanwhile stays as it is.
pub fn conclude(id: &StripeEventId, outcome: StripeOutcome, reason: Option<&str>) -> Statement {
    Statement::somewhere(
        "UPDATE stripe_events SET outcome = ?, reason = ?, next_attempt_at = NULL WHERE id = ? AND outcome = 'pending'",
    )
    .bind(outcome.as_str())
    .bind(reason)
    .bind(id.as_str())
}

/// Events that were parked and whose sale is known now.
pub fn unpark(ids: &[&String]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "UPDATE stripe_events SET outcome = 'processed', reason = NULL WHERE outcome = 'parked' AND id IN \
         (SELECT value FROM json_each(?))",
    )
    .bind(super::to_json(&ids)?))
}

/// Takes an event up again; gives its id if its body is still kept.
pub fn replay(scope: &Scope, id: &str, now: Instant) -> Statement {
    let update = Statement::new(
        "UPDATE stripe_events SET outcome = 'pending', reason = NULL, attempts = 0, next_attempt_at = ? ",
    )
    .bind(now);
    scope
        .bound(update)
        .push(" AND id = ? AND EXISTS (SELECT 1 FROM stripe_bodies b WHERE b.stripe_event_id = stripe_events.id) RETURNING id")
        .bind(id)
}

/// Deletes bodies of events that came before this. Ids sort by when they were made, so the primary key finds them.
pub fn purge_bodies(before: Instant, limit: i64) -> Statement {
    Statement::each(
        "DELETE FROM stripe_bodies WHERE stripe_event_id IN (SELECT stripe_event_id FROM stripe_bodies \
         WHERE stripe_event_id < ? ORDER BY stripe_event_id LIMIT ?)",
    )
    .bind(StripeEventId::make(before, [0; 10]).as_str())
    .bind(limit)
}

/// Puts an event that waits off until later: one whose write landed unreported is settled, and not to be taken up again.
pub fn put_off(id: &StripeEventId, until: Instant) -> Statement {
    Statement::somewhere(
        "UPDATE stripe_events SET attempts = attempts + 1, next_attempt_at = ? WHERE id = ? AND outcome = 'pending'",
    )
    .bind(until)
    .bind(id.as_str())
}

/// Events whose message was lost, or that were put off.
pub fn due(now: Instant, limit: i64) -> Statement {
    Statement::somewhere("SELECT id FROM stripe_events WHERE next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?")
        .bind(now)
        .bind(limit)
}

/// An event as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Our id.
    pub id: String,
    /// The connection.
    pub connection_id: String,
    /// `evt_…`.
    pub stripe_id: String,
    /// `type`.
    pub kind: String,
    /// Its mode.
    pub mode: Mode,
    /// Its fate.
    pub outcome: StripeOutcome,
    /// Why.
    pub reason: Option<String>,
    /// When it came.
    pub received_at: Instant,
    /// The request that brought it.
    pub request_id: Option<String>,
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One type.
    pub kind: Option<String>,
    /// One outcome.
    pub outcome: Option<String>,
    /// One reason.
    pub reason: Option<String>,
    /// Not before.
    pub from: Option<Instant>,
    /// Before.
    pub to: Option<Instant>,
}

const COLUMNS: &str =
    "SELECT id, connection_id, stripe_id, type, mode, outcome, reason, received_at, request_id FROM stripe_events ";

/// One event.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// A page of events.
pub fn list(scope: &Scope, filter: &Filter, page: &Page) -> Statement {
    let statement = scope.bound(Statement::new(COLUMNS)).push_if(" AND type = ?", filter.kind.as_ref());
    let statement = match filter.outcome.as_deref() {
        // As the partial indexes say them.
        Some("failed") => statement.push(" AND outcome = 'failed'"),
        Some("parked") => statement.push(" AND outcome = 'parked'"),
        outcome => statement.push_if(" AND outcome = ?", outcome),
    };
    let statement = statement
        .push_if(" AND reason = ?", filter.reason.as_ref())
        .push_if(" AND received_at >= ?", filter.from)
        .push_if(" AND received_at < ?", filter.to);
    page.bound(statement)
}

/// Reads an event.
pub fn decode(row: &Row) -> Result<Listed, DbError> {
    Ok(Listed {
        id: row.text("id")?,
        connection_id: row.text("connection_id")?,
        stripe_id: row.text("stripe_id")?,
        kind: row.text("type")?,
        mode: row.mode("mode")?,
        outcome: row.parsed("outcome", StripeOutcome::parse, "an outcome")?,
        reason: row.text_opt("reason")?,
        received_at: row.instant("received_at")?,
        request_id: row.text_opt("request_id")?,
    })
}
