//! `events`: the outbox. A row is written in the same batch as its cause.

use domain::ids::EventId;
use domain::time::Instant;
use serde_json::{Value as Json, json};

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Such as `conversion.created`.
    pub kind: &'static str,
    /// The conversion, commission, participant or payout.
    pub subject: String,
    /// What a receiver is told.
    pub data: Json,
}

/// Writes an event; its sequence is the next one of its subject.
pub fn insert(scope: &Scope, event: &Event, now: Instant) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO events (id, workspace_id, mode, type, subject, sequence, data, created_at) \
         SELECT ?1, ?2, ?3, ?4, ?5, COALESCE(MAX(sequence), 0) + 1, ?6, ?7 FROM events WHERE subject = CAST(?5 AS TEXT)",
    )
    .bind(event.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(event.kind)
    .bind(&event.subject)
    .bind(super::to_json(&event.data)?)
    .bind(now)
    .owing(scope))
}

/// Events that one statement writes. D1 binds at most 2 MB.
const PER_STATEMENT: usize = 200;

/// Writes many events, each of another subject.
pub fn insert_all(scope: &Scope, events: &[Event], now: Instant) -> Result<Vec<Statement>, DbError> {
    let insert = |some: &[Event]| {
        let rows: Vec<Json> = some
            .iter()
            .map(|event| json!({"id": event.id, "type": event.kind, "subject": event.subject, "data": event.data}))
            .collect();
        Ok(Statement::new(
            "INSERT INTO events (id, workspace_id, mode, type, subject, sequence, data, created_at) \
             SELECT value->>'id', ?1, ?2, value->>'type', value->>'subject', \
             (SELECT COALESCE(MAX(e.sequence), 0) + 1 FROM events e WHERE e.subject = value->>'subject'), \
             value->'data', ?3 FROM json_each(?4)",
        )
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(now)
        .bind(super::to_json(&rows)?)
        .owing(scope))
    };
    events.chunks(PER_STATEMENT).map(insert).collect()
}

/// A page of events.
pub fn list(scope: &Scope, kind: Option<&String>, subject: Option<&String>, page: &Page) -> Statement {
    let statement = scope
        .bound_unless(
            subject.is_some(),
            Statement::new("SELECT id, mode, type, subject, sequence, data, created_at FROM events "),
        )
        .push_if(" AND type = ?", kind)
        .push_if(" AND subject = ?", subject);
    page.bound(statement)
}

/// An event as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Such as `conversion.created`.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// Counts from 1 per subject.
    pub sequence: i64,
    /// What a receiver is told.
    pub data: Json,
    /// When.
    pub created_at: Instant,
}

/// Reads an event.
pub fn decode(row: &Row) -> Result<Listed, DbError> {
    Ok(Listed {
        id: row.text("id")?,
        kind: row.text("type")?,
        subject: row.text("subject")?,
        sequence: row.integer("sequence")?,
        data: row.json("data")?,
        created_at: row.instant("created_at")?,
    })
}
