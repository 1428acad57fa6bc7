//! What the go-live checklist looks at: each read finds its row by an index, or among a few. `milestones` are written by triggers.

use domain::checklist::{Endpoint, Facts, Seen};
use domain::ids::WorkspaceId;

use super::accounts::Address;
use super::{DbError, Row, Statement};

/// The kind of the act that says that the rewards are right.
pub const REVIEWED: &str = "workspace.rewards_reviewed";

/// Packs of clicks, and clicks with a row of their own, among which the newest of a person is looked for.
const PACKS_MAX: i64 = 10;
const CLICKS_MAX: i64 = 200;
/// Stripe's events among which the newest is looked for that the newest connection took: one of the other mode, which is skipped, shows
/// nothing, nor does one of the connection before.
const STRIPE_EVENTS_MAX: i64 = 200;
/// Rewards among which one for renewals is looked for, newest first.
const REWARDS_MAX: i64 = 200;

/// The subject of a review's act: its own, so that it is found among all acts.
pub fn review_subject(workspace: &WorkspaceId) -> String {
    format!("rewards of {workspace}")
}

/// All that the list needs, as one batch. [`decode`] reads it.
pub fn reads(workspace: &WorkspaceId) -> Vec<Statement> {
    let of = |sql: &'static str| Statement::new(sql).bind_workspace(workspace);
    vec![
        of("SELECT click_id AS what, clicked_at AS at FROM (SELECT k.click_id, k.clicked_at, k.human FROM packed_clicks k \
            WHERE k.pack_id IN (SELECT p.id FROM click_packs p WHERE p.workspace_id = ?1 AND p.mode = 'live' \
            ORDER BY p.hour DESC, p.last_at DESC LIMIT ?2) UNION ALL SELECT * FROM (SELECT click_id, clicked_at, human FROM clicks \
            WHERE workspace_id = ?1 AND mode = 'live' ORDER BY clicked_at DESC, click_id DESC LIMIT ?3)) WHERE human = 1 \
            ORDER BY clicked_at DESC, click_id DESC LIMIT 1")
            .bind(PACKS_MAX)
            .bind(CLICKS_MAX),
        of("SELECT id AS what, created_at AS at FROM stripe_connections WHERE workspace_id = ? AND mode = 'live' ORDER BY id DESC LIMIT 1"),
        of("SELECT id AS what, received_at AS at FROM (SELECT id, received_at, outcome, connection_id FROM stripe_events WHERE workspace_id = ? \
            AND mode = 'live' ORDER BY id DESC LIMIT ?)")
            .bind(STRIPE_EVENTS_MAX)
            .push(
                " WHERE outcome <> 'skipped' AND connection_id = (SELECT id FROM stripe_connections WHERE workspace_id = ? \
                 AND mode = 'live' ORDER BY id DESC LIMIT 1) LIMIT 1",
            )
            .bind_workspace(workspace),
        of("SELECT name, subject AS what, detail, at FROM milestones WHERE workspace_id = ? AND (mode = 'live' OR name = 'test_run') \
            ORDER BY at, name"),
        of("SELECT id, url, status = 'enabled' AS is_enabled FROM webhook_endpoints WHERE workspace_id = ? AND mode = 'live' \
            AND deleted_at IS NULL ORDER BY id"),
        of("SELECT reward_id AS what, created_at AS at FROM reward_versions WHERE workspace_id = ? AND mode = 'live' ORDER BY id DESC LIMIT 1"),
        of("SELECT EXISTS (SELECT 1 FROM (SELECT body FROM reward_versions WHERE workspace_id = ? AND mode = 'live' ORDER BY id DESC LIMIT ?)")
            .bind(REWARDS_MAX)
            .push(" WHERE body->>'trigger' = 'recurring') AS promised"),
        Statement::new(
            "SELECT a.id, a.created_at AS at, p.email_hash, p.email FROM acts a LEFT JOIN people p ON p.id = a.detail->>'person_id' \
             WHERE a.subject = ? AND a.mode = 'live' ORDER BY a.id DESC LIMIT 1",
        )
        .bind(review_subject(workspace)),
        of("SELECT id AS what, created_at AS at FROM programs WHERE workspace_id = ? AND mode = 'live' AND status = 'active' \
            ORDER BY id DESC LIMIT 1"),
    ]
}

/// What [`reads`] found, but for who reviewed the rewards: their address, which only a secret opens, where a member did.
pub fn decode(results: &[Vec<Row>]) -> Result<(Facts, Option<Address>), DbError> {
    let rows = |place: usize| results.get(place).map(Vec::as_slice).unwrap_or_default();
    let first = |place: usize| rows(place).first().map(seen).transpose();
    let mut facts = Facts {
        click: first(0)?,
        connection: first(1)?,
        stripe_event: first(2)?,
        reward: first(5)?,
        promises_renewals: rows(6).first().map(|row| row.flag("promised")).transpose()?.unwrap_or(false),
        program: first(8)?,
        ..Facts::default()
    };
    for row in rows(4) {
        let (id, url) = (row.text("id")?, row.text("url")?);
        facts.endpoints.push(Endpoint { id, url, is_enabled: row.flag("is_enabled")?, ping: None });
    }
    for row in rows(3) {
        note(&mut facts, row)?;
    }
    let mut reviewer = None;
    if let Some(row) = rows(7).first() {
        facts.review = Some(Seen { what: row.text("id")?, at: row.instant("at")? });
        reviewer =
            row.text_opt("email_hash")?.zip(row.text_opt("email")?).map(|(hash, sealed)| Address { hash, sealed });
    }
    Ok((facts, reviewer))
}

/// Puts a milestone where it belongs.
fn note(facts: &mut Facts, row: &Row) -> Result<(), DbError> {
    let name = row.text("name")?;
    let seen = seen(row)?;
    match name.split_once(':') {
        Some(("stripe", kind)) => facts.stripe_types.push((kind.to_owned(), seen)),
        Some(("ping", endpoint)) => {
            if let Some(endpoint) = facts.endpoints.iter_mut().find(|one| one.id == endpoint) {
                endpoint.ping = Some((seen, row.text("detail")?));
            }
        }
        None if name == "test_run" => facts.test_run = Some(seen),
        None if name == "refunded_purchase" => facts.refunded_purchase = Some(seen),
        _ => return Err(DbError::Row { column: "name", expected: "a milestone's" }),
    }
    Ok(())
}

fn seen(row: &Row) -> Result<Seen, DbError> {
    Ok(Seen { what: row.text("what")?, at: row.instant("at")? })
}
