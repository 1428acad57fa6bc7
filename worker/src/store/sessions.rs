//! `sessions`.

use domain::ids::{Id, PersonId};
use domain::time::Instant;

use super::accounts::Address;
use super::{DbError, Row, Statement};

/// A session with its person.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose it is.
    pub person_id: PersonId,
    /// Their name; may be empty.
    pub name: String,
    /// Their address.
    pub address: Address,
    /// When it began.
    pub created_at: Instant,
    /// When somebody last came with it, to the hour.
    pub seen_at: Instant,
}

/// The session with this digest.
pub fn by_digest(digest: &str) -> Statement {
    Statement::directory(
        "SELECT s.person_id, p.name, p.email_hash, p.email, s.created_at, s.seen_at FROM sessions s \
         JOIN people p ON p.id = s.person_id WHERE s.digest = ?",
    )
    .bind(digest)
}

/// Reads a row of [`by_digest`].
pub fn decode(row: &Row) -> Result<Session, DbError> {
    Ok(Session {
        person_id: row.parsed("person_id", Id::parse, "a person id")?,
        name: row.text("name")?,
        address: super::accounts::decode_address(row)?,
        created_at: row.instant("created_at")?,
        seen_at: row.instant("seen_at")?,
    })
}

/// Notes that somebody came.
pub fn seen(digest: &str, now: Instant) -> Statement {
    Statement::directory("UPDATE sessions SET seen_at = ? WHERE digest = ?").bind(now).bind(digest)
}

/// Ends a session.
pub fn end(digest: &str) -> Statement {
    Statement::directory("DELETE FROM sessions WHERE digest = ?").bind(digest)
}

/// Forgets sessions that ended before then.
pub fn purge(ended: Instant) -> Statement {
    Statement::directory("DELETE FROM sessions WHERE expires_at < ?").bind(ended)
}
