//! What the partner portal reads: across workspaces and modes, but never of anybody else than one address.

use domain::ids::{Id, ParticipantId, PartnerId, ProgramId};
use domain::mode::Mode;
use domain::money::Currency;
use domain::partner::Applications;
use domain::status::{ParticipantStatus, ProgramStatus};
use domain::time::Instant;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{DbError, Row, Scope, Statement};

/// Memberships of one address that are looked at.
const MEMBERSHIPS_MAX: i64 = 200;
/// Days of clicks that are looked at.
pub const CLICK_DAYS_MAX: i64 = 400;

/// What somebody is in one place: a partner of a workspace in one mode, and, where they are in one, of a program.
#[derive(Clone, Debug)]
pub struct Place {
    /// The workspace and mode.
    pub scope: Scope,
    /// The workspace's name.
    pub workspace_name: String,
    /// The partner there.
    pub partner_id: PartnerId,
    /// What the partner is called there.
    pub partner_name: String,
    /// The program that they are in, or none yet.
    pub membership: Option<Membership>,
}

/// A membership of a program.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The participant.
    pub participant_id: ParticipantId,
    /// How they stand.
    pub status: ParticipantStatus,
    /// Since when.
    pub created_at: Instant,
    /// The program.
    pub program_id: ProgramId,
    /// What it is called.
    pub program_name: String,
    /// How it stands.
    pub program_status: ProgramStatus,
    /// What a payout must reach.
    pub minimum_payout_cents: i64,
}

/// Every place of an address, oldest first.
pub fn places(email: &str) -> Statement {
    Statement::each(
        "SELECT p.id AS partner_id, p.name AS partner_name, p.workspace_id, p.mode, w.name AS workspace_name, \
         m.id AS participant_id, m.status, m.created_at, m.program_id, g.name AS program_name, g.status AS program_status, \
         g.minimum_payout_cents FROM partners p JOIN workspaces w ON w.id = p.workspace_id \
         LEFT JOIN participants m ON m.workspace_id = p.workspace_id AND m.mode = p.mode AND m.partner_id = p.id \
         LEFT JOIN programs g ON g.id = m.program_id WHERE p.email = ? AND p.erased_at IS NULL \
         ORDER BY p.mode, p.id, m.id LIMIT ?",
    )
    .bind(email)
    .bind(MEMBERSHIPS_MAX)
}

/// Reads a place.
pub fn decode_place(row: &Row) -> Result<Place, DbError> {
    let membership = match row.text_opt("participant_id")? {
        None => None,
        Some(_) => Some(Membership {
            participant_id: row.parsed("participant_id", Id::parse, "a participant id")?,
            status: row.parsed("status", ParticipantStatus::parse, "a participant's status")?,
            created_at: row.instant("created_at")?,
            program_id: row.parsed("program_id", Id::parse, "a program id")?,
            program_name: row.text("program_name")?,
            program_status: row.parsed("program_status", ProgramStatus::parse, "a program's status")?,
            minimum_payout_cents: row.integer("minimum_payout_cents")?,
        }),
    };
    Ok(Place {
        scope: Scope {
            workspace_id: row.parsed("workspace_id", Id::parse, "a workspace id")?,
            mode: row.mode("mode")?,
        },
        workspace_name: row.text("workspace_name")?,
        partner_id: row.parsed("partner_id", Id::parse, "a partner id")?,
        partner_name: row.text("partner_name")?,
        membership,
    })
}

/// What a participant has come to in one currency, in the minor unit.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Whose.
    pub participant_id: String,
    /// In which currency.
    pub currency: Currency,
    /// Not approved yet.
    pub pending_cents: i64,
    /// Approved, and in no payout: what the next payout may hold; negative after refunds of what was paid.
    pub due_cents: i64,
    /// Stopped by a dispute.
    pub disputed_cents: i64,
    /// In payouts that are made and not paid yet.
    pub drafted_cents: i64,
    /// In paid payouts.
    pub paid_cents: i64,
}

/// The sums of all these memberships: a row per participant and currency.
pub fn sums(places: &[Place]) -> Result<Statement, DbError> {
    let whose: Vec<_> = places
        .iter()
        .filter_map(|place| {
            let id = place.membership.as_ref()?.participant_id.as_str();
            Some(json!([place.scope.workspace_id, place.scope.mode, id]))
        })
        .collect();
    Ok(Statement::each(
        "SELECT b.participant_id, b.currency, b.pending_cents AS pending, b.due_cents AS due, b.disputed_cents AS disputed, \
         b.drafted_cents AS drafted, b.paid_cents AS paid FROM json_each(?) j CROSS JOIN balances b ON b.workspace_id = j.value ->> 0 \
         AND b.mode = j.value ->> 1 AND b.participant_id = j.value ->> 2 ORDER BY b.participant_id, b.currency",
    )
    .bind(super::to_json(&whose)?))
}

/// Reads a row of [`sums`].
pub fn decode_sums(row: &Row) -> Result<Sums, DbError> {
    Ok(Sums {
        participant_id: row.text("participant_id")?,
        currency: row.parsed("currency", |code| Currency::parse(code).ok(), "a currency")?,
        pending_cents: row.integer("pending")?,
        due_cents: row.integer("due")?,
        disputed_cents: row.integer("disputed")?,
        drafted_cents: row.integer("drafted")?,
        paid_cents: row.integer("paid")?,
    })
}

/// Clicks of one day on a participant's links.
#[derive(Clone, Debug)]
pub struct ClickDay {
    /// Its first instant, in UTC.
    pub day: Instant,
    /// Counted.
    pub humans: i64,
    /// Left out of counts: crawlers, previews.
    pub machines: i64,
}

/// A participant's clicks by day, the newest first: the totals, and what is not in them yet.
pub fn click_days(scope: &Scope, participant_id: &str) -> Statement {
    Statement::new(
        "SELECT day * 86400000 AS day, SUM(humans) AS humans, SUM(machines) AS machines FROM (SELECT * FROM (SELECT t.day, t.humans, \
         t.machines FROM click_totals t WHERE t.workspace_id = ?1 AND t.mode = ?2 AND t.kind = 'participant' AND t.name = ?3 \
         ORDER BY t.day DESC LIMIT ?4) UNION ALL SELECT u.day, u.humans, u.machines FROM unsummed_clicks u CROSS JOIN links l \
         ON l.number = u.link_number WHERE u.workspace_id = ?1 AND u.mode = ?2 AND l.participant_id = ?3) d \
         GROUP BY d.day ORDER BY d.day DESC LIMIT ?4",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(participant_id)
    .bind(CLICK_DAYS_MAX)
}

/// Reads a row of [`click_days`].
pub fn decode_click_day(row: &Row) -> Result<ClickDay, DbError> {
    Ok(ClickDay { day: row.instant("day")?, humans: row.integer("humans")?, machines: row.integer("machines")? })
}

/// A program's page for whoever wants to join.
#[derive(Clone, Debug)]
pub struct Door {
    /// The workspace and mode.
    pub scope: Scope,
    /// The workspace's name.
    pub workspace_name: String,
    /// The program.
    pub program_id: ProgramId,
    /// What it is called.
    pub name: String,
    /// In the page's address.
    pub slug: String,
    /// How it stands.
    pub status: ProgramStatus,
    /// Whether anybody may apply.
    pub applications: Applications,
    /// What whoever joins accepts.
    pub terms: String,
    /// What a payout must reach.
    pub minimum_payout_cents: i64,
}

impl Door {
    /// SHA-256 of the terms, in hexadecimal: what whoever accepts them names, and what is kept of it.
    pub fn terms_sha256(&self) -> String {
        hex::encode(Sha256::digest(self.terms.as_bytes()))
    }
}

/// The program with this slug, of whatever workspace and mode.
pub fn door(slug: &str) -> Statement {
    Statement::somewhere(
        "SELECT g.workspace_id, g.mode, w.name AS workspace_name, g.id, g.name, g.slug, g.status, g.applications, g.terms, \
         g.minimum_payout_cents FROM programs g JOIN workspaces w ON w.id = g.workspace_id WHERE g.slug = ?",
    )
    .bind(slug)
}

/// Reads a row of [`door`].
pub fn decode_door(row: &Row) -> Result<Door, DbError> {
    Ok(Door {
        scope: Scope {
            workspace_id: row.parsed("workspace_id", Id::parse, "a workspace id")?,
            mode: row.mode("mode")?,
        },
        workspace_name: row.text("workspace_name")?,
        program_id: row.parsed("id", Id::parse, "a program id")?,
        name: row.text("name")?,
        slug: row.text("slug")?,
        status: row.parsed("status", ProgramStatus::parse, "a program's status")?,
        applications: row.parsed("applications", Applications::parse, "open or closed")?,
        terms: row.text("terms")?,
        minimum_payout_cents: row.integer("minimum_payout_cents")?,
    })
}

impl Place {
    /// Whether money is real here.
    pub fn is_live(&self) -> bool {
        self.scope.mode == Mode::Live
    }
}

/// Whose a link is.
pub fn owner_of_link(id: &str) -> Statement {
    Statement::somewhere("SELECT participant_id FROM links WHERE id = ?").bind(id)
}

/// Whose a commission is.
pub fn owner_of_commission(id: &str) -> Statement {
    Statement::somewhere("SELECT participant_id FROM commissions WHERE id = ?").bind(id)
}

/// To whom a payout goes.
pub fn owner_of_payout(id: &str) -> Statement {
    Statement::somewhere("SELECT participant_id FROM payouts WHERE id = ?").bind(id)
}

/// A conversion that is credited to a participant, or that they have a commission of: its id, if it is.
pub fn own_conversion(scope: &Scope, participant_id: &str, id: &str) -> Statement {
    scope
        .bound(Statement::new("SELECT id FROM conversions "))
        .push(" AND id = ? AND (participant_id = ? OR EXISTS (SELECT 1 FROM commissions m WHERE m.conversion_id = conversions.id AND m.participant_id = ?))")
        .bind(id)
        .bind(participant_id)
        .bind(participant_id)
}
