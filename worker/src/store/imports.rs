//! What an import looks for and writes: many rows of a table with one statement each.

use domain::ids::{Id, ParticipantId, ProgramId};
use domain::time::Instant;
use serde_json::json;

use super::links::{Link, PromoCode, folded};
use super::partners::{Participant, Partner};
use super::{DbError, Row, Scope, Statement, to_json};

/// A program that a row names.
pub struct NamedProgram {
    /// Its id.
    pub id: ProgramId,
    /// Its slug.
    pub slug: String,
}

/// A participant whom a row names.
pub struct Member {
    /// Its id.
    pub id: ParticipantId,
    /// The program.
    pub program_id: String,
    /// The partner's address.
    pub email: String,
    /// Its status.
    pub status: String,
}

/// A link that is there.
pub struct There {
    /// Its id.
    pub id: String,
    /// Whose.
    pub participant_id: String,
    /// Its ref.
    pub link_ref: String,
    /// Its slug.
    pub slug: String,
    /// Where it leads.
    pub landing_url: String,
    /// What its owner calls it.
    pub name: String,
}

/// The programs that have one of these ids or slugs.
pub fn programs(scope: &Scope, words: &[&str]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT id, slug FROM programs WHERE workspace_id = ?1 AND mode = ?2 AND (id IN (SELECT value FROM json_each(?3)) \
         OR slug IN (SELECT value FROM json_each(?3)))",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(to_json(&words)?))
}

/// Reads a row of [`programs`].
pub fn decode_program(row: &Row) -> Result<NamedProgram, DbError> {
    Ok(NamedProgram { id: row.parsed("id", Id::parse, "a program id")?, slug: row.text("slug")? })
}

/// The partners of these addresses.
pub fn partners(scope: &Scope, emails: &[&str]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT p.id, p.name, p.email, p.erased_at, p.created_at FROM (SELECT DISTINCT value FROM json_each(?3)) j \
         CROSS JOIN partners p ON p.workspace_id = ?1 AND p.mode = ?2 AND p.email = j.value",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(to_json(&emails)?))
}

/// What the partners of these addresses take part in, and these participants.
pub fn participants(scope: &Scope, emails: &[&str], ids: &[&str]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT m.id, m.program_id, p.email, m.status FROM json_each(?3) j CROSS JOIN partners p ON p.workspace_id = ?1 \
         AND p.mode = ?2 AND p.email = j.value CROSS JOIN participants m ON m.workspace_id = p.workspace_id AND m.mode = p.mode \
         AND m.partner_id = p.id UNION SELECT m.id, m.program_id, p.email, m.status FROM json_each(?4) j CROSS JOIN participants m \
         ON m.id = j.value CROSS JOIN partners p ON p.id = m.partner_id WHERE m.workspace_id = ?1 AND m.mode = ?2",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(to_json(&emails)?)
    .bind(to_json(&ids)?))
}

/// Reads a row of [`participants`].
pub fn decode_member(row: &Row) -> Result<Member, DbError> {
    Ok(Member {
        id: row.parsed("id", ParticipantId::parse, "a participant id")?,
        program_id: row.text("program_id")?,
        email: row.text("email")?,
        status: row.text("status")?,
    })
}

/// The links of these refs.
pub fn links(scope: &Scope, refs: &[&str]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT l.id, l.participant_id, l.ref, l.slug, l.landing_url, l.name FROM (SELECT DISTINCT value FROM json_each(?3)) j \
         CROSS JOIN links l ON l.workspace_id = ?1 AND l.mode = ?2 AND l.ref = j.value",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(to_json(&refs)?))
}

/// Reads a row of [`links`].
pub fn decode_link(row: &Row) -> Result<There, DbError> {
    Ok(There {
        id: row.text("id")?,
        participant_id: row.text("participant_id")?,
        link_ref: row.text("ref")?,
        slug: row.text("slug")?,
        landing_url: row.text("landing_url")?,
        name: row.text("name")?,
    })
}

/// Those of these hosts that are registered.
pub fn hosts(scope: &Scope, hosts: &[&str]) -> Result<Statement, DbError> {
    let statement = scope.bound(Statement::new("SELECT host FROM hosts "));
    Ok(statement.push(" AND host IN (SELECT value FROM json_each(?))").bind(to_json(&hosts)?))
}

/// The promo codes of these texts, folded; and those of these promotion codes of Stripe's.
pub fn codes(scope: &Scope, codes: &[String], stripe_ids: &[&str]) -> Result<[Statement; 2], DbError> {
    let promo = || {
        scope.bound(Statement::new(
            "SELECT id, participant_id, code, stripe_promotion_code_id, created_at FROM promo_codes ",
        ))
    };
    Ok([
        promo().push(" AND code_folded IN (SELECT value FROM json_each(?))").bind(to_json(&codes)?),
        promo().push(" AND stripe_promotion_code_id IN (SELECT value FROM json_each(?))").bind(to_json(&stripe_ids)?),
    ])
}

/// New rows of a scope, of a list of objects.
fn insert_all(
    scope: &Scope,
    sql: &'static str,
    rows: &[serde_json::Value],
    now: Instant,
) -> Result<Statement, DbError> {
    Ok(Statement::new(sql).bind_workspace(&scope.workspace_id).bind(scope.mode).bind(now).bind(to_json(&rows)?))
}

/// New partners.
pub fn insert_partners(scope: &Scope, partners: &[Partner], now: Instant) -> Result<Statement, DbError> {
    let rows: Vec<_> =
        partners.iter().map(|one| json!({ "id": one.id, "name": one.name, "email": one.email })).collect();
    let sql = "INSERT INTO partners (id, workspace_id, mode, name, email, created_at) \
        SELECT value ->> 'id', ?1, ?2, value ->> 'name', value ->> 'email', ?3 FROM json_each(?4)";
    insert_all(scope, sql, &rows, now)
}

/// New participants. If a partner is erased by now, the CHECK fails, and the batch with it.
pub fn insert_participants(scope: &Scope, all: &[Participant], now: Instant) -> Result<Statement, DbError> {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            json!({ "id": one.id, "program": one.program_id, "partner": one.partner_id, "status": one.status.as_str() })
        })
        .collect();
    let sql = "INSERT INTO participants (id, workspace_id, mode, program_id, partner_id, status, created_at) \
        SELECT value ->> 'id', ?1, ?2, value ->> 'program', value ->> 'partner', iif(EXISTS (SELECT 1 FROM partners p \
        WHERE p.id = value ->> 'partner' AND p.erased_at IS NOT NULL), 'raced', value ->> 'status'), ?3 FROM json_each(?4)";
    insert_all(scope, sql, &rows, now)
}

/// New links.
pub fn insert_links(scope: &Scope, all: &[Link], now: Instant) -> Result<Statement, DbError> {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            json!({ "id": one.id, "participant": one.participant_id, "ref": one.link_ref, "slug": one.slug,
                "landing_url": one.landing_url, "name": one.name, "status": one.status.as_str() })
        })
        .collect();
    let sql = "INSERT INTO links (id, workspace_id, mode, participant_id, ref, slug, landing_url, name, status, created_at) \
        SELECT value ->> 'id', ?1, ?2, value ->> 'participant', value ->> 'ref', value ->> 'slug', value ->> 'landing_url', \
        value ->> 'name', value ->> 'status', ?3 FROM json_each(?4)";
    insert_all(scope, sql, &rows, now)
}

/// New promo codes.
pub fn insert_codes(scope: &Scope, all: &[PromoCode], now: Instant) -> Result<Statement, DbError> {
    let rows: Vec<_> = all
        .iter()
        .map(|one| {
            json!({ "id": one.id, "participant": one.participant_id, "code": one.code, "folded": folded(&one.code),
                "stripe": one.stripe_promotion_code_id })
        })
        .collect();
    let sql = "INSERT INTO promo_codes (id, workspace_id, mode, participant_id, code, code_folded, stripe_promotion_code_id, \
        created_at) SELECT value ->> 'id', ?1, ?2, value ->> 'participant', value ->> 'code', value ->> 'folded', \
        value ->> 'stripe', ?3 FROM json_each(?4)";
    insert_all(scope, sql, &rows, now)
}
