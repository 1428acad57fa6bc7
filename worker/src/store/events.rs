//! `events`: the outbox. A row is written in the same batch as its cause.

use domain::ids::EventId;
use domain::time::Instant;
use serde_json::Value as Json;

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

/// Events that one statement writes, and bytes after which it takes no more. D1 binds at most 2 MB.
const PER_STATEMENT: usize = 200;
const BYTES_PER_STATEMENT: usize = 900_000;

/// Writes many events, in their order, each with the next sequence of its subject.
pub fn insert_all(scope: &Scope, events: &[Event], now: Instant) -> Result<Vec<Statement>, DbError> {
    let mut statements = Vec::new();
    let mut rows: Vec<(&str, String)> = Vec::new();
    let mut bytes = 0;
    for event in events {
        if rows.len() == PER_STATEMENT || bytes > BYTES_PER_STATEMENT {
            statements.push(insert_rows(scope, &std::mem::take(&mut rows), now));
            bytes = 0;
        }
        let of_subject = rows.iter().filter(|(subject, _)| *subject == event.subject).count();
        let row = super::to_json(&(event.id.as_str(), event.kind, &event.subject, 1 + of_subject, &event.data))?;
        bytes += row.len();
        rows.push((&event.subject, row));
    }
    if !rows.is_empty() {
        statements.push(insert_rows(scope, &rows, now));
    }
    Ok(statements)
}

/// A row is a JSON list: id, type, subject, how many after the newest of its subject, and what is told.
fn insert_rows(scope: &Scope, rows: &[(&str, String)], now: Instant) -> Statement {
    let rows: Vec<&str> = rows.iter().map(|(_, row)| row.as_str()).collect();
    Statement::new(
        "INSERT INTO events (id, workspace_id, mode, type, subject, sequence, data, created_at) \
         SELECT value ->> 0, ?1, ?2, value ->> 1, value ->> 2, (value ->> 3) + \
         (SELECT COALESCE(MAX(e.sequence), 0) FROM events e WHERE e.subject = value ->> 2), value -> 4, ?3 FROM json_each(?4)",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(now)
    .bind(format!("[{}]", rows.join(",")))
    .owing(scope)
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
