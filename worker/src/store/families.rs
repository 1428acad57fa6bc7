//! `families`, `family_keys` and `facts`: everything that one booking looks at, in one batch.

use domain::ids::{FactId, FamilyId, StripeEventId};
use domain::sale::Report;
use domain::sale::family::ReportedRefund;
use domain::time::Instant;
use serde::{Deserialize, Serialize};

use super::{DbError, Row, Scope, Statement};

/// A fact as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StoredFact {
    /// What Stripe said; tagged by its kind.
    Stripe(Box<domain::fact::StripeFact>),
    /// What the merchant gave back of a reported conversion.
    Refund(ReportedRefund),
    /// What the merchant reported.
    Report(Report),
}

/// What a fact names, so that a query finds it without knowing facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mentions {
    /// Numbers of the links whose clicks it names.
    pub links: Vec<u32>,
    /// Promo codes, folded.
    pub codes: Vec<String>,
    /// Stripe's `promo_…` ids.
    pub promotion_codes: Vec<String>,
}

/// The families that any of these keys names. `?1` the workspace, `?2` the mode, `?3` the keys as a JSON list.
macro_rules! roots {
    () => {
        "(SELECT family_id FROM family_keys WHERE workspace_id = ?1 AND mode = ?2 AND key IN \
         (SELECT value FROM json_each(?3)))"
    };
}

/// Those, and what was merged into them.
macro_rules! all {
    () => {
        concat!(
            "(SELECT id FROM families WHERE id IN ",
            roots!(),
            " UNION SELECT id FROM families WHERE merged_into IN ",
            roots!(),
            ")"
        )
    };
}

/// The links whose clicks the new facts (`?4`, mentions) or the stored ones name.
macro_rules! links {
    () => {
        concat!(
            "(SELECT value FROM json_each(?4, '$.links') UNION SELECT j.value FROM facts f, \
             json_each(f.mentions, '$.links') j WHERE f.family_id IN ",
            all!(),
            ")"
        )
    };
}

/// The promo codes that the new facts or the stored ones name, of either mode, as a condition on `c`.
macro_rules! codes {
    () => {
        concat!(
            "c.workspace_id = ?1 AND (c.code_folded IN (SELECT value FROM json_each(?4, '$.codes') UNION \
             SELECT j.value FROM facts f, json_each(f.mentions, '$.codes') j WHERE f.family_id IN ",
            all!(),
            ") OR c.stripe_promotion_code_id IN (SELECT value FROM json_each(?4, '$.promotion_codes') UNION \
             SELECT j.value FROM facts f, json_each(f.mentions, '$.promotion_codes') j WHERE f.family_id IN ",
            all!(),
            "))"
        )
    };
}

/// Whom a link or a code belongs to, as columns.
macro_rules! standing {
    () => {
        "p.id AS participant_id, p.status AS participant_status, g.id AS program_id, g.status AS program_status, \
         g.attribution_window_days"
    };
}

/// The reads of one booking, in the order in which [`crate::booking`] takes them up: families, keys, facts, conversions,
/// decisions, commissions, links, promo codes, rewards.
pub fn load(scope: &Scope, keys: &[String], mentions: &Mentions) -> Result<Vec<Statement>, DbError> {
    let keys = super::to_json(&keys)?;
    let mentions = super::to_json(mentions)?;
    let of_families = |sql| Statement::new(sql).bind(scope.workspace_id.as_str()).bind(scope.mode).bind(&keys);
    let with_mentions = |sql| of_families(sql).bind(&mentions);
    Ok(vec![
        of_families(concat!("SELECT id, revision, parked FROM families WHERE id IN ", roots!(), " ORDER BY id")),
        of_families(concat!("SELECT key FROM family_keys WHERE family_id IN ", roots!())),
        of_families(concat!(
            "SELECT source, said_at, body, stripe_event_id FROM facts WHERE family_id IN ",
            all!(),
            " ORDER BY source"
        )),
        of_families(concat!(
            "SELECT *, NULL AS commission_id FROM conversions WHERE family_id IN ",
            all!(),
            " ORDER BY id"
        )),
        of_families(concat!(
            "SELECT d.id, d.inputs, d.verdict FROM decisions d JOIN conversions c ON c.decision_id = d.id \
             WHERE c.family_id IN ",
            all!()
        )),
        of_families(concat!(
            "SELECT m.id, m.conversion_id, m.participant_id, m.currency, m.state, m.disputed, \
             (SELECT COALESCE(SUM(e.amount_cents), 0) FROM entries e WHERE e.commission_id = m.id) AS amount_cents \
             FROM commissions m JOIN conversions c ON c.id = m.conversion_id WHERE c.family_id IN ",
            all!(),
            " ORDER BY m.id"
        )),
        with_mentions(concat!(
            "SELECT l.number, l.id AS link_id, l.workspace_id, l.mode, ",
            standing!(),
            " FROM links l JOIN participants p ON p.id = l.participant_id JOIN programs g ON g.id = p.program_id \
             WHERE l.number IN ",
            links!()
        )),
        with_mentions(concat!(
            "SELECT c.code_folded, c.stripe_promotion_code_id, c.mode, ",
            standing!(),
            " FROM promo_codes c JOIN participants p ON p.id = c.participant_id JOIN programs g ON g.id = p.program_id \
             WHERE ",
            codes!()
        )),
        with_mentions(concat!(
            "SELECT v.body FROM reward_versions v WHERE v.workspace_id = ?1 AND v.mode = ?2 AND v.program_id IN (\
             SELECT p.program_id FROM links l JOIN participants p ON p.id = l.participant_id WHERE l.number IN ",
            links!(),
            " UNION SELECT p.program_id FROM promo_codes c JOIN participants p ON p.id = c.participant_id WHERE ",
            codes!(),
            ") ORDER BY v.reward_id, v.version"
        )),
    ])
}

/// A family as it was loaded.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its id.
    pub id: FamilyId,
    /// What a batch must find unchanged.
    pub revision: i64,
    /// Some of its facts speak of an unknown sale.
    pub parked: bool,
}

/// Reads a family.
pub fn decode(row: &Row) -> Result<Family, DbError> {
    Ok(Family {
        id: row.parsed("id", FamilyId::parse, "a family id")?,
        revision: row.integer("revision")?,
        parked: row.flag("parked")?,
    })
}

/// A new family.
pub fn insert(scope: &Scope, id: &FamilyId, due_at: Option<Instant>, parked: bool) -> Statement {
    Statement::new("INSERT INTO families (id, workspace_id, mode, revision, due_at, parked) VALUES (?, ?, ?, 0, ?, ?)")
        .bind(id.as_str())
        .bind(scope.workspace_id.as_str())
        .bind(scope.mode)
        .bind(due_at)
        .bind(parked)
}

/// Moves a family on from the revision that was loaded. Who comes second fails the CHECK, and the whole batch with it.
pub fn advance(family: &Family, due_at: Option<Instant>, parked: bool) -> Statement {
    Statement::new(
        "UPDATE families SET revision = CASE WHEN revision = ? AND merged_into IS NULL THEN revision + 1 ELSE -1 END, \
         due_at = ?, parked = ? WHERE id = ?",
    )
    .bind(family.revision)
    .bind(due_at)
    .bind(parked)
    .bind(family.id.as_str())
}

/// Joins a family to another: its keys lead there from now on, and so does whatever had been joined to it.
pub fn merge(family: &Family, into: &FamilyId) -> Vec<Statement> {
    vec![
        advance(family, None, false),
        Statement::new("UPDATE families SET merged_into = ?1 WHERE id = ?2 OR merged_into = ?2")
            .bind(into.as_str())
            .bind(family.id.as_str()),
        Statement::new("UPDATE family_keys SET family_id = ? WHERE family_id = ?")
            .bind(into.as_str())
            .bind(family.id.as_str()),
    ]
}

/// More ids of a family. One that belongs to another family by now fails the batch.
pub fn insert_keys(scope: &Scope, keys: &[&String], id: &FamilyId) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO family_keys (workspace_id, mode, key, family_id) SELECT ?1, ?2, value, ?3 FROM json_each(?4)",
    )
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(id.as_str())
    .bind(super::to_json(&keys)?))
}

/// A fact, kept as it came.
pub struct NewFact {
    /// Its id.
    pub id: FactId,
    /// What is told twice is one fact.
    pub source: String,
    /// When it was said.
    pub said_at: Instant,
    /// What was said.
    pub body: StoredFact,
    /// What it names.
    pub mentions: Mentions,
    /// The Stripe event that brought it.
    pub stripe_event_id: Option<StripeEventId>,
}

/// Writes a fact, unless it was told before.
pub fn insert_fact(
    scope: &Scope,
    family: &FamilyId,
    fact: &NewFact,
    now: Instant,
    request_id: Option<&str>,
) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO facts (id, workspace_id, mode, family_id, source, said_at, body, mentions, stripe_event_id, \
         recorded_at, request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (family_id, source) DO NOTHING",
    )
    .bind(fact.id.as_str())
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(family.as_str())
    .bind(&fact.source)
    .bind(fact.said_at)
    .bind(super::to_json(&fact.body)?)
    .bind(super::to_json(&fact.mentions)?)
    .bind(fact.stripe_event_id.as_ref().map(|id| id.as_str()))
    .bind(now)
    .bind(request_id))
}

/// A fact by its source, in whatever was joined to the family that the keys name.
pub fn fact_by_source(scope: &Scope, keys: &[String], source: &str) -> Result<Statement, DbError> {
    Ok(Statement::new(concat!(
        "SELECT id, body, recorded_at FROM facts WHERE family_id IN ",
        all!(),
        " AND source = ?4"
    ))
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(super::to_json(&keys)?)
    .bind(source))
}

/// Looks again, now, at every family with a commission whose fee is not known.
pub fn look_again_at_unknown_fees(scope: &Scope, now: Instant) -> Statement {
    Statement::new(
        "UPDATE families SET due_at = ?1 WHERE merged_into IS NULL AND id IN (SELECT COALESCE(f.merged_into, f.id) \
         FROM commissions m JOIN conversions c ON c.id = m.conversion_id JOIN families f ON f.id = c.family_id \
         WHERE m.workspace_id = ?2 AND m.mode = ?3 AND EXISTS \
         (SELECT 1 FROM json_each(m.needs_review) r WHERE r.value = 'fee_unknown'))",
    )
    .bind(now)
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
}

/// Families whose time has come: workspace, mode and any one key of each.
pub fn due(now: Instant, limit: i64) -> Statement {
    Statement::new(
        "SELECT f.workspace_id, f.mode, (SELECT key FROM family_keys k WHERE k.family_id = f.id LIMIT 1) AS key \
         FROM families f WHERE f.due_at <= ? ORDER BY f.due_at LIMIT ?",
    )
    .bind(now)
    .bind(limit)
}
