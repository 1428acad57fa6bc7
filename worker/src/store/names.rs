//! What the things behind ids are called, many at once: for pages, which show names. `CROSS JOIN` keeps SQLite at the order in
//! which they are written: it would rather go through the whole workspace than believe that the list of ids is short.

use std::collections::BTreeSet;

use super::{DbError, Row, Scope, Statement, to_json};

/// Who a participant is.
#[derive(Clone, Debug)]
pub struct ParticipantName {
    /// The partner's name.
    pub partner: String,
    /// The partner's id.
    pub partner_id: String,
    /// The program's name.
    pub program: String,
}

/// The names of participants.
pub fn participants(scope: &Scope, ids: &BTreeSet<String>) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT p.id, a.name AS partner, a.id AS partner_id, g.name AS program FROM json_each(?) j \
         CROSS JOIN participants p ON p.id = j.value CROSS JOIN partners a ON a.id = p.partner_id \
         CROSS JOIN programs g ON g.id = p.program_id \
         WHERE p.workspace_id = ? AND p.mode = ?",
    )
    .bind(to_json(ids)?)
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode))
}

/// The names of programs.
pub fn programs(scope: &Scope, ids: &BTreeSet<String>) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT p.id, p.name FROM json_each(?) j CROSS JOIN programs p ON p.id = j.value WHERE p.workspace_id = ? AND p.mode = ?",
    )
    .bind(to_json(ids)?)
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode))
}

/// The names of partners.
pub fn partners(scope: &Scope, ids: &BTreeSet<String>) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT p.id, p.name FROM json_each(?) j CROSS JOIN partners p ON p.id = j.value WHERE p.workspace_id = ? AND p.mode = ?",
    )
    .bind(to_json(ids)?)
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode))
}

/// Reads a row of [`participants`].
pub fn decode_participant(row: &Row) -> Result<(String, ParticipantName), DbError> {
    let name = ParticipantName {
        partner: row.text("partner")?,
        partner_id: row.text("partner_id")?,
        program: row.text("program")?,
    };
    Ok((row.text("id")?, name))
}

/// Reads a row of [`programs`] or [`partners`].
pub fn decode(row: &Row) -> Result<(String, String), DbError> {
    Ok((row.text("id")?, row.text("name")?))
}
