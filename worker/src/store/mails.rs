//! `mails`, the outbox of mail; and `dev_mailbox`, where a local server's mail ends.

use domain::ids::{EndpointId, Id, MailId};
use domain::time::Instant;

use super::{DbError, Row, Statement};
use crate::mail::Letter;

/// A mail to be sent at once. What it says is sealed.
pub fn insert(id: &MailId, content: &str, now: Instant) -> Statement {
    Statement::new("INSERT INTO mails (id, content, next_attempt_at, created_at) VALUES (?, ?, ?, ?)")
        .bind(id.as_str())
        .bind(content)
        .bind(now)
        .bind(now)
}

/// The mail that tells of an endpoint's disabling, if it is the one that was noted: so it follows `webhooks::disable` in a batch.
pub fn insert_of_disabling(id: &MailId, content: &str, endpoint: &EndpointId, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO mails (id, content, next_attempt_at, created_at) SELECT ?1, ?2, ?3, ?3 FROM webhook_endpoints \
         WHERE id = ?4 AND disabled_mail_id = ?1",
    )
    .bind(id.as_str())
    .bind(content)
    .bind(now)
    .bind(endpoint.as_str())
}

/// A mail that another one turns into, while that one waits: the batch that is through with it ends it.
pub fn insert_of_mail(id: &MailId, content: &str, other: &str, now: Instant) -> Statement {
    Statement::somewhere(
        "INSERT INTO mails (id, content, next_attempt_at, created_at) SELECT ?1, ?2, ?3, ?3 FROM mails \
         WHERE id = ?4 AND next_attempt_at IS NOT NULL",
    )
    .bind(id.as_str())
    .bind(content)
    .bind(now)
    .bind(other)
}

/// Mails whose time has come.
pub fn due(now: Instant, limit: i64) -> Statement {
    Statement::somewhere("SELECT id FROM mails WHERE next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?")
        .bind(now)
        .bind(limit)
}

/// A mail that is being sent.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Sealed.
    pub content: String,
    /// Attempts, this one counted.
    pub attempts: i64,
    /// Since when it waits.
    pub created_at: Instant,
}

/// Takes a mail for one attempt, so that nobody else makes it at the same time; gives it, if it is due.
pub fn claim(id: &str, now: Instant, until: Instant) -> Statement {
    Statement::somewhere(
        "UPDATE mails SET attempts = attempts + 1, next_attempt_at = ? WHERE id = ? AND next_attempt_at <= ? \
         RETURNING content, attempts, created_at",
    )
    .bind(until)
    .bind(id)
    .bind(now)
}

/// Reads a row of [`claim`].
pub fn decode_claimed(row: &Row) -> Result<Claimed, DbError> {
    Ok(Claimed {
        content: row.text("content")?,
        attempts: row.integer("attempts")?,
        created_at: row.instant("created_at")?,
    })
}

/// It is over: sent, or given up for a reason. What it said is forgotten.
pub fn finish(id: &str, error: Option<&str>) -> Statement {
    Statement::somewhere("UPDATE mails SET content = NULL, next_attempt_at = NULL, error = ? WHERE id = ?")
        .bind(error)
        .bind(id)
}

/// It is tried again.
pub fn postpone(id: &str, error: &str, until: Instant) -> Statement {
    Statement::somewhere("UPDATE mails SET next_attempt_at = ?, error = ? WHERE id = ? AND next_attempt_at IS NOT NULL")
        .bind(until)
        .bind(error)
        .bind(id)
}

/// Forgets mails that are over and older than this id.
pub fn purge(before: &MailId) -> Statement {
    Statement::each("DELETE FROM mails WHERE id < ? AND next_attempt_at IS NULL").bind(before.as_str())
}

/// Puts a letter into the local mailbox.
pub fn deliver_locally(id: &MailId, letter: &Letter, now: Instant) -> Statement {
    Statement::directory("INSERT INTO dev_mailbox (id, recipient, subject, body, created_at) VALUES (?, ?, ?, ?, ?)")
        .bind(id.as_str())
        .bind(&letter.to)
        .bind(&letter.subject)
        .bind(&letter.text)
        .bind(now)
}

/// A letter in the local mailbox.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its id.
    pub id: MailId,
    /// What it says.
    pub letter: Letter,
    /// When it came.
    pub created_at: Instant,
}

/// The newest letters in the local mailbox.
pub fn local(limit: i64) -> Statement {
    Statement::directory("SELECT id, recipient, subject, body, created_at FROM dev_mailbox ORDER BY id DESC LIMIT ?")
        .bind(limit)
}

/// Reads a row of [`local`].
pub fn decode_received(row: &Row) -> Result<Received, DbError> {
    Ok(Received {
        id: row.parsed("id", Id::parse, "a mail id")?,
        letter: Letter { to: row.text("recipient")?, subject: row.text("subject")?, text: row.text("body")? },
        created_at: row.instant("created_at")?,
    })
}
