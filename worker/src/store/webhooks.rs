//! `webhook_endpoints`, `webhook_deliveries`, `webhook_attempts`. What is owed is written by a trigger on `events`.

use domain::ids::{DeliveryId, EndpointId, Id, MailId, WorkspaceId};
use domain::status::{DeliveryStatus, DisabledReason, EndpointStatus};
use domain::time::Instant;
use domain::webhook::{ENDPOINTS_MAX, PING};
use serde_json::Value as Json;

use super::page::Page;
use super::{DbError, Row, Scope, Statement, events};

/// Where a merchant wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose.
    pub scope: Scope,
    /// Where.
    pub url: String,
    /// Of what; `*` is everything.
    pub events: Vec<String>,
    /// Whether it is told.
    pub status: EndpointStatus,
    /// Why it is not.
    pub disabled_reason: Option<DisabledReason>,
    /// Its signing secret, sealed.
    pub secret: String,
    /// The one before it, sealed, and until when it signs too.
    pub previous: Option<(String, Instant)>,
    /// Its first failure since its last success.
    pub failing_since: Option<Instant>,
    /// `https://host` where it was made.
    pub origin: Option<String>,
    /// When it was made.
    pub created_at: Instant,
}

/// Adds an endpoint, unless there are as many as there may be; gives its id where it was added.
pub fn insert(endpoint: &Endpoint) -> Result<Statement, DbError> {
    let Scope { workspace_id, mode } = &endpoint.scope;
    Ok(Statement::new(
        "INSERT INTO webhook_endpoints (id, workspace_id, mode, url, events, status, secret, created_at, origin) \
         SELECT ?1, ?2, ?3, ?4, ?5, 'enabled', ?6, ?7, ?9 WHERE (SELECT count(*) FROM webhook_endpoints \
         WHERE workspace_id = ?2 AND mode = ?3 AND deleted_at IS NULL) < ?8 RETURNING id",
    )
    .bind(endpoint.id.as_str())
    .bind_workspace(workspace_id)
    .bind(*mode)
    .bind(&endpoint.url)
    .bind(super::to_json(&endpoint.events)?)
    .bind(&endpoint.secret)
    .bind(endpoint.created_at)
    .bind(ENDPOINTS_MAX)
    .bind(endpoint.origin.as_ref()))
}

/// A page of endpoints.
pub fn list(scope: &Scope, page: &Page) -> Statement {
    let statement = scope.bound(Statement::new("SELECT * FROM webhook_endpoints "));
    page.bound(statement.push(" AND deleted_at IS NULL"))
}

/// One endpoint.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new("SELECT * FROM webhook_endpoints ")).push(" AND deleted_at IS NULL AND id = ?").bind(id)
}

/// Reads an endpoint.
pub fn decode(row: &Row) -> Result<Endpoint, DbError> {
    let reason = row.text_opt("disabled_reason")?;
    Ok(Endpoint {
        id: row.parsed("id", Id::parse, "an endpoint's id")?,
        scope: Scope {
            workspace_id: row.parsed("workspace_id", WorkspaceId::parse, "a workspace's id")?,
            mode: row.mode("mode")?,
        },
        url: row.text("url")?,
        events: row.json("events")?,
        status: row.parsed("status", EndpointStatus::parse, "an endpoint's status")?,
        disabled_reason: reason.and_then(|reason| DisabledReason::parse(&reason)),
        secret: row.text("secret")?,
        previous: row.text_opt("previous_secret")?.zip(row.instant_opt("previous_until")?),
        failing_since: row.instant_opt("failing_since")?,
        origin: row.text_opt("origin")?,
        created_at: row.instant("created_at")?,
    })
}

/// Changes where and of what it is told. At another URL it has never failed.
pub fn change(scope: &Scope, id: &EndpointId, url: &str, events: &[String]) -> Result<Statement, DbError> {
    let statement = Statement::new(
        "UPDATE webhook_endpoints SET url = ?1, events = ?2, failing_since = CASE WHEN url = ?1 THEN failing_since END ",
    );
    let statement = statement.bind(url).bind(super::to_json(&events)?);
    Ok(scope.bound(statement).push(" AND deleted_at IS NULL AND id = ?").bind(id.as_str()))
}

/// Enables it, or disables it for a reason. Enabled, it is taken for one that never failed.
pub fn set_status(scope: &Scope, id: &EndpointId, reason: Option<DisabledReason>) -> Statement {
    let status = if reason.is_none() { EndpointStatus::Enabled } else { EndpointStatus::Disabled };
    let statement =
        Statement::new("UPDATE webhook_endpoints SET status = ?, disabled_reason = ?, failing_since = NULL ")
            .bind(status.as_str())
            .bind(reason.map(DisabledReason::as_str));
    scope.bound(statement).push(" AND deleted_at IS NULL AND id = ?").bind(id.as_str())
}

/// Removes it, with its secrets. Its log stays until it is purged.
pub fn delete(scope: &Scope, id: &EndpointId, now: Instant) -> Statement {
    let statement = Statement::new(
        "UPDATE webhook_endpoints SET deleted_at = ?, status = 'disabled', disabled_reason = 'by_hand', url = '', secret = '', \
         previous_secret = NULL, previous_until = NULL ",
    );
    scope.bound(statement.bind(now)).push(" AND deleted_at IS NULL AND id = ?").bind(id.as_str())
}

/// Gives it a new secret; the old one signs too until then. Only if it is the one that was seen.
pub fn rotate(endpoint: &Endpoint, secret: &str, until: Instant) -> Statement {
    let statement =
        Statement::new("UPDATE webhook_endpoints SET previous_secret = secret, previous_until = ?, secret = ? ");
    let statement = endpoint.scope.bound(statement.bind(until).bind(secret));
    statement.push(" AND id = ?").bind(endpoint.id.as_str()).push(" AND secret = ? RETURNING id").bind(&endpoint.secret)
}

/// Lets the secret before the last rotation sign no more.
pub fn switch(scope: &Scope, id: &EndpointId) -> Statement {
    let statement = Statement::new("UPDATE webhook_endpoints SET previous_secret = NULL, previous_until = NULL ");
    scope.bound(statement).push(" AND id = ?").bind(id.as_str())
}

/// The endpoints of a workspace and mode that are owed something that is due: at most ten, whatever others are owed.
pub fn due_endpoints_of(scope: &Scope, now: Instant) -> Statement {
    Statement::new("SELECT id FROM webhook_endpoints e WHERE workspace_id = CAST(? AS TEXT) AND mode = CAST(? AS TEXT)")
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .push(
            " AND deleted_at IS NULL AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = e.id AND d.status = 'pending' \
             AND d.next_attempt_at <= ?)",
        )
        .bind(now)
}

/// Some of all endpoints that are owed something that is due, at random: those whose receivers hang are always due, and must not
/// keep the others from being found. It hops from endpoint to endpoint along the index of what is pending, however much one of
/// them is owed. For the sweep.
pub fn due_endpoints(now: Instant, limit: i64) -> Statement {
    Statement::somewhere(
        "SELECT id FROM (WITH RECURSIVE hop (id) AS (\
         SELECT (SELECT endpoint_id FROM webhook_deliveries WHERE status = 'pending' ORDER BY endpoint_id LIMIT 1) UNION ALL \
         SELECT (SELECT d.endpoint_id FROM webhook_deliveries d WHERE d.status = 'pending' AND d.endpoint_id > hop.id \
         ORDER BY d.endpoint_id LIMIT 1) FROM hop WHERE hop.id IS NOT NULL) \
         SELECT id, (SELECT d.next_attempt_at FROM webhook_deliveries d WHERE d.endpoint_id = hop.id AND d.status = 'pending' \
         ORDER BY d.next_attempt_at LIMIT 1) AS due FROM hop WHERE id IS NOT NULL) WHERE due <= ? ORDER BY random() LIMIT ?",
    )
    .bind(now)
    .bind(limit)
}

/// One endpoint, whosever and even if it was removed: for its lane.
pub fn of_lane(id: &str) -> Statement {
    Statement::somewhere("SELECT * FROM webhook_endpoints WHERE id = ?").bind(id)
}

/// What a lane is to send.
#[derive(Clone, Debug)]
pub struct Owed {
    /// The delivery.
    pub id: DeliveryId,
    /// Attempts ever.
    pub attempts: i64,
    /// Attempts of this run.
    pub run_attempts: i64,
    /// What to tell.
    pub event: events::Listed,
}

/// What an endpoint is owed and due, oldest first.
pub fn due(endpoint: &str, now: Instant, limit: i64) -> Statement {
    Statement::somewhere(
        "SELECT d.id AS delivery_id, d.attempts, d.run_attempts, e.id, e.type, e.subject, e.sequence, e.data, e.created_at \
         FROM webhook_deliveries d JOIN events e ON e.id = d.event_id WHERE d.endpoint_id = CAST(? AS TEXT) \
         AND d.status = 'pending' AND d.next_attempt_at <= ? ORDER BY d.next_attempt_at, d.id LIMIT CAST(? AS INTEGER)",
    )
    .bind(endpoint)
    .bind(now)
    .bind(limit)
}

/// Reads what is owed.
pub fn decode_owed(row: &Row) -> Result<Owed, DbError> {
    Ok(Owed {
        id: row.parsed("delivery_id", Id::parse, "a delivery's id")?,
        attempts: row.integer("attempts")?,
        run_attempts: row.integer("run_attempts")?,
        event: events::decode(row)?,
    })
}

/// When an endpoint is owed the next thing; no row where it is owed nothing.
pub fn next_due(endpoint: &str) -> Statement {
    Statement::somewhere(
        "SELECT next_attempt_at FROM webhook_deliveries WHERE endpoint_id = CAST(? AS TEXT) AND status = 'pending' \
         ORDER BY next_attempt_at LIMIT 1",
    )
    .bind(endpoint)
}

/// What one attempt was.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Counts from 1.
    pub number: i64,
    /// When it began.
    pub at: Instant,
    /// How long it took.
    pub duration_ms: i64,
    /// Where it went.
    pub url: String,
    /// The headers that were made for it.
    pub headers: Json,
    /// The answer's status.
    pub status: Option<i64>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// The answer's beginning.
    pub answer: Option<String>,
}

/// Where a delivery goes from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The receiver has it.
    Delivered,
    /// It is tried again then.
    Again(Instant),
    /// It is given up.
    DeadLetter,
}

/// Notes an attempt and what follows from it, once: only if it was neither noted nor owed anew since it was read.
pub fn record(owed: &Owed, attempt: &Attempt, after: After, now: Instant) -> Result<Vec<Statement>, DbError> {
    let (status, next) = match after {
        After::Delivered => (DeliveryStatus::Delivered, None),
        After::Again(at) => (DeliveryStatus::Pending, Some(at)),
        After::DeadLetter => (DeliveryStatus::DeadLetter, None),
    };
    let noted = Statement::new(
        "INSERT INTO webhook_attempts (delivery_id, number, at, duration_ms, url, headers, status, error, answer) \
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM webhook_deliveries WHERE id = ?1 AND status = 'pending' \
         AND attempts = ?2 - 1 AND run_attempts = ?10",
    )
    .bind(owed.id.as_str())
    .bind(attempt.number)
    .bind(attempt.at)
    .bind(attempt.duration_ms)
    .bind(&attempt.url)
    .bind(super::to_json(&attempt.headers)?)
    .bind(attempt.status)
    .bind(attempt.error.as_ref())
    .bind(attempt.answer.as_ref())
    .bind(owed.run_attempts);
    let moved = Statement::new(
        "UPDATE webhook_deliveries SET attempts = attempts + 1, run_attempts = run_attempts + 1, status = ?, \
         next_attempt_at = ?, finished_at = ? WHERE id = ? AND status = 'pending' AND attempts = ? \
         AND run_attempts = ?",
    )
    .bind(status.as_str())
    .bind(next)
    .bind(next.is_none().then_some(now))
    .bind(owed.id.as_str())
    .bind(attempt.number - 1)
    .bind(owed.run_attempts);
    Ok(vec![noted, moved])
}

/// The endpoint has taken something.
pub fn succeeded(endpoint: &EndpointId) -> Statement {
    Statement::new("UPDATE webhook_endpoints SET failing_since = NULL WHERE id = ? AND failing_since IS NOT NULL")
        .bind(endpoint.as_str())
}

/// The endpoint has failed.
pub fn failed(endpoint: &EndpointId, now: Instant) -> Statement {
    Statement::new(
        "UPDATE webhook_endpoints SET failing_since = ? WHERE id = ? AND status = 'enabled' AND failing_since IS NULL",
    )
    .bind(now)
    .bind(endpoint.as_str())
}

/// Why an endpoint disables itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisablesItself {
    /// It answered 410.
    Gone,
    /// It has done nothing but fail since this moment or longer.
    FailingSince(Instant),
}

impl DisablesItself {
    /// As it is stored and shown.
    pub const fn reason(self) -> DisabledReason {
        match self {
            Self::Gone => DisabledReason::Gone,
            Self::FailingSince(_) => DisabledReason::Failing,
        }
    }
}

/// Disables an endpoint where it is told still, and notes which mail tells of it. Whoever sees the same later changes nothing.
pub fn disable(endpoint: &Endpoint, why: DisablesItself, mail: &MailId) -> Statement {
    let since = match why {
        DisablesItself::Gone => None,
        DisablesItself::FailingSince(since) => Some(since),
    };
    Statement::new("UPDATE webhook_endpoints SET status = 'disabled', disabled_reason = ?, disabled_mail_id = ?")
        .bind(why.reason().as_str())
        .bind(mail.as_str())
        .push(" WHERE id = ? AND url = ? AND status = 'enabled'")
        .bind(endpoint.id.as_str())
        .bind(&endpoint.url)
        .push_if(" AND failing_since <= ?", since)
}

/// Gives up what a disabled endpoint is owed, some of it at a time.
pub fn give_up(endpoint: &EndpointId, now: Instant, limit: i64) -> Statement {
    Statement::new(
        "UPDATE webhook_deliveries SET status = 'dead_letter', next_attempt_at = NULL, finished_at = ? WHERE id IN \
         (SELECT d.id FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id \
         WHERE d.endpoint_id = ? AND e.status = 'disabled' AND d.status = 'pending' LIMIT ?) RETURNING id",
    )
    .bind(now)
    .bind(endpoint.as_str())
    .bind(limit)
}

/// What deliveries are listed by.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The endpoint.
    pub endpoint_id: Option<String>,
    /// The event.
    pub event_id: Option<String>,
    /// How far they have come.
    pub status: Option<DeliveryStatus>,
}

/// A delivery's row with its event, up to its attempts; then the last of these as far as they are shown.
const DELIVERY: &str = "SELECT d.id, d.mode, d.endpoint_id, d.event_id, d.status, d.attempts, d.next_attempt_at, d.created_at, \
     d.finished_at, e.type, e.subject, e.sequence, e.data, e.created_at AS event_created_at, \
     (SELECT json_group_array(json_object('number', a.number, 'at', a.at, 'duration_ms', a.duration_ms, 'url', a.url, \
     'headers', json(a.headers), 'status', a.status, 'error', a.error, 'answer', ";
const OF_WHICH: &str = ")) FROM \
     (SELECT * FROM (SELECT * FROM webhook_attempts WHERE delivery_id = d.id ORDER BY number DESC LIMIT 20) ORDER BY number) a) \
     AS tries FROM webhook_deliveries d JOIN events e ON e.id = d.event_id ";

/// A page of deliveries. A page of whole answers would be many megabytes.
pub fn list_deliveries(scope: &Scope, filter: &Filter, page: &Page) -> Statement {
    let statement = Statement::new(DELIVERY).push("substr(a.answer, 1, 1000)").push(OF_WHICH);
    // The plus keeps SQLite from the index of the whole workspace where there is a narrower one.
    let is_narrow = filter.endpoint_id.is_some() || filter.event_id.is_some();
    let statement = if is_narrow {
        statement.push("WHERE +d.workspace_id = ? AND +d.mode = ?")
    } else {
        statement.push("WHERE d.workspace_id = ? AND d.mode = ?")
    };
    let statement = statement
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .push_if(" AND d.endpoint_id = ?", filter.endpoint_id.as_ref())
        .push_if(" AND d.event_id = ?", filter.event_id.as_ref());
    let statement = match filter.status {
        // In so many words: these have an index, which a bound value would not match.
        Some(DeliveryStatus::DeadLetter) => statement.push(" AND d.status = 'dead_letter'"),
        status => statement.push_if(" AND d.status = ?", status.map(DeliveryStatus::as_str)),
    };
    statement.push_if(" AND d.id < ?", page.after.as_ref()).push(" ORDER BY d.id DESC LIMIT ?").bind(page.limit + 1)
}

/// Deliveries with whole answers.
fn whole() -> Statement {
    Statement::new(DELIVERY).push("a.answer").push(OF_WHICH)
}

/// One delivery.
pub fn delivery(scope: &Scope, id: &str) -> Statement {
    whole()
        .push("WHERE d.workspace_id = ? AND d.mode = ? AND d.id = ?")
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(id)
}

/// The delivery of an event to an endpoint.
pub fn delivery_of(endpoint: &EndpointId, event: &str) -> Statement {
    whole().push("WHERE d.event_id = ? AND d.endpoint_id = ?").bind(event).bind(endpoint.as_str())
}

/// A delivery as it is shown.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// Where it goes.
    pub endpoint_id: String,
    /// How far it has come.
    pub status: String,
    /// When it is tried next.
    pub next_attempt_at: Option<Instant>,
    /// When it was owed first.
    pub created_at: Instant,
    /// When it ended.
    pub finished_at: Option<Instant>,
    /// What is told.
    pub event: events::Listed,
    /// What was tried, in order.
    pub attempts: Vec<Attempt>,
}

/// Reads a delivery.
pub fn decode_delivery(row: &Row) -> Result<Delivery, DbError> {
    let tries: Vec<Json> = row.json("tries")?;
    let attempt = |shown: &Json| Attempt {
        number: shown["number"].as_i64().unwrap_or(0),
        at: Instant::from_ms(shown["at"].as_i64().unwrap_or(0)),
        duration_ms: shown["duration_ms"].as_i64().unwrap_or(0),
        url: shown["url"].as_str().unwrap_or_default().to_owned(),
        headers: shown["headers"].clone(),
        status: shown["status"].as_i64(),
        error: shown["error"].as_str().map(str::to_owned),
        answer: shown["answer"].as_str().map(str::to_owned),
    };
    Ok(Delivery {
        id: row.text("id")?,
        endpoint_id: row.text("endpoint_id")?,
        status: row.text("status")?,
        next_attempt_at: row.instant_opt("next_attempt_at")?,
        created_at: row.instant("created_at")?,
        finished_at: row.instant_opt("finished_at")?,
        event: events::Listed {
            id: row.text("event_id")?,
            kind: row.text("type")?,
            subject: row.text("subject")?,
            sequence: row.integer("sequence")?,
            data: row.json("data")?,
            created_at: row.instant("event_created_at")?,
        },
        attempts: tries.iter().map(attempt).collect(),
    })
}

/// Owes a delivery once more, from the schedule's beginning, if its endpoint is enabled; gives its id where it is.
pub fn resend(scope: &Scope, id: &str, now: Instant) -> Statement {
    let statement = Statement::new(
        "UPDATE webhook_deliveries SET status = 'pending', run_attempts = 0, next_attempt_at = ?, finished_at = NULL ",
    );
    scope
        .bound(statement.bind(now))
        .push(" AND id = ?")
        .bind(id)
        .push(" AND endpoint_id IN (SELECT id FROM webhook_endpoints WHERE status = 'enabled') RETURNING id")
        .owing(scope)
}

/// Owes again what an endpoint has failed at since that delivery's id, oldest first, some of it at a time; gives the ids.
pub fn resend_since(endpoint: &Endpoint, after: &DeliveryId, now: Instant, limit: i64) -> Statement {
    Statement::new(
        "UPDATE webhook_deliveries SET status = 'pending', run_attempts = 0, next_attempt_at = ?1, finished_at = NULL \
         WHERE id IN (SELECT id FROM webhook_deliveries WHERE +workspace_id = ?2 AND +mode = ?3 AND endpoint_id = ?4 \
         AND status = 'dead_letter' AND id >= ?5 ORDER BY id LIMIT ?6) RETURNING id",
    )
    .bind(now)
    .bind_workspace(&endpoint.scope.workspace_id)
    .bind(endpoint.scope.mode)
    .bind(endpoint.id.as_str())
    .bind(after.as_str())
    .bind(limit)
    .owing(&endpoint.scope)
}

/// Deletes some of the deliveries that ended, of events before that id's, with their attempts; and removed endpoints of which
/// nothing is left in the log.
pub fn purge(before: &DeliveryId, limit: i64) -> Vec<Statement> {
    let old = |statement: Statement| {
        statement
            .push("(SELECT id FROM webhook_deliveries WHERE id < ?")
            .bind(before.as_str())
            .push(" AND status <> 'pending' ORDER BY id LIMIT ?)")
            .bind(limit)
    };
    let removed = Statement::each(
        "DELETE FROM webhook_endpoints WHERE id IN (SELECT id FROM webhook_endpoints e WHERE e.deleted_at IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = e.id) LIMIT ?)",
    );
    vec![
        old(Statement::each("DELETE FROM webhook_attempts WHERE delivery_id IN ")),
        old(Statement::each("DELETE FROM webhook_deliveries WHERE id IN ")),
        removed.bind(limit),
    ]
}

/// What a ping is about: the endpoint itself.
pub fn ping(id: domain::ids::EventId, endpoint: &Endpoint) -> events::Event {
    let data = serde_json::json!({ "endpoint_id": endpoint.id });
    events::Event { id, kind: PING, subject: endpoint.id.to_string(), data }
}
