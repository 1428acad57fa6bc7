//! `sales`, `sale_keys` and `facts`: everything that one booking looks at, in one batch.

use domain::ids::{FactId, SaleId};
use domain::sale::Report;
use domain::time::Instant;
use serde::{Deserialize, Serialize};

use super::{DbError, Row, Scope, Statement};

/// A fact as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StoredFact {
    /// What Stripe said; tagged by its kind.
    Stripe(Box<domain::fact::StripeFact>),
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

/// The sales that any of these keys names. `?1` the workspace, `?2` the mode, `?3` the keys as a JSON list.
macro_rules! the_sales {
    () => {
        "(SELECT sale_id FROM sale_keys WHERE workspace_id = ?1 AND mode = ?2 AND key IN (SELECT value FROM json_each(?3)))"
    };
}

/// The reads of one booking, in the order in which [`crate::booking`] takes them up:
/// sales, facts, conversions, decisions, commissions, links, promo codes, rewards.
pub fn load(scope: &Scope, keys: &[String], mentions: &Mentions) -> Result<Vec<Statement>, DbError> {
    let keys = super::to_json(&keys)?;
    let mentions = super::to_json(mentions)?;
    let of_sales = |sql| {
        Statement::new(sql)
            .bind(scope.workspace_id.as_str())
            .bind(scope.mode)
            .bind(&keys)
    };
    let with_mentions = |sql| of_sales(sql).bind(&mentions);
    Ok(vec![
        of_sales(concat!(
            "SELECT id, revision FROM sales WHERE id IN ",
            the_sales!(),
            " ORDER BY id"
        )),
        of_sales(concat!(
            "SELECT source, said_at, body FROM facts WHERE sale_id IN ",
            the_sales!(),
            " ORDER BY source"
        )),
        of_sales(concat!(
            "SELECT *, NULL AS commission_id FROM conversions WHERE sale_id IN ",
            the_sales!()
        )),
        of_sales(concat!(
            "SELECT d.inputs, d.verdict FROM decisions d JOIN conversions c ON c.decision_id = d.id WHERE c.sale_id IN ",
            the_sales!()
        )),
        of_sales(concat!(
            "SELECT m.id, m.participant_id, m.currency, m.state, (SELECT COALESCE(SUM(e.amount_cents), 0) FROM entries e \
             WHERE e.commission_id = m.id) AS amount_cents FROM commissions m JOIN conversions c \
             ON c.id = m.conversion_id WHERE c.sale_id IN ",
            the_sales!()
        )),
        with_mentions(concat!(
            "SELECT l.number, l.id AS link_id, l.workspace_id, l.mode, p.id AS participant_id, \
             p.status AS participant_status, g.id AS program_id, g.status AS program_status, g.attribution_window_days \
             FROM links l JOIN participants p ON p.id = l.participant_id JOIN programs g ON g.id = p.program_id \
             WHERE l.number IN (SELECT value FROM json_each(?4, '$.links') UNION SELECT j.value FROM facts f, \
             json_each(f.mentions, '$.links') j WHERE f.sale_id IN ",
            the_sales!(),
            ")"
        )),
        with_mentions(concat!(
            "SELECT c.code_folded, c.stripe_promotion_code_id, c.mode, p.id AS participant_id, \
             p.status AS participant_status, g.id AS program_id, g.status AS program_status, g.attribution_window_days \
             FROM promo_codes c JOIN participants p ON p.id = c.participant_id JOIN programs g ON g.id = p.program_id \
             WHERE c.workspace_id = ?1 AND (c.code_folded IN (SELECT value FROM json_each(?4, '$.codes') UNION \
             SELECT j.value FROM facts f, json_each(f.mentions, '$.codes') j WHERE f.sale_id IN ",
            the_sales!(),
            ") OR c.stripe_promotion_code_id IN (SELECT value FROM json_each(?4, '$.promotion_codes') UNION \
             SELECT j.value FROM facts f, json_each(f.mentions, '$.promotion_codes') j WHERE f.sale_id IN ",
            the_sales!(),
            "))"
        )),
        with_mentions(concat!(
            "SELECT v.body FROM reward_versions v WHERE v.workspace_id = ?1 AND v.mode = ?2 AND v.program_id IN (\
             SELECT p.program_id FROM links l JOIN participants p ON p.id = l.participant_id WHERE l.number IN (\
             SELECT value FROM json_each(?4, '$.links') UNION SELECT j.value FROM facts f, \
             json_each(f.mentions, '$.links') j WHERE f.sale_id IN ",
            the_sales!(),
            ") UNION SELECT p.program_id FROM promo_codes c JOIN participants p ON p.id = c.participant_id \
             WHERE c.workspace_id = ?1 AND (c.code_folded IN (SELECT value FROM json_each(?4, '$.codes') UNION \
             SELECT j.value FROM facts f, json_each(f.mentions, '$.codes') j WHERE f.sale_id IN ",
            the_sales!(),
            ") OR c.stripe_promotion_code_id IN (SELECT value FROM json_each(?4, '$.promotion_codes') UNION \
             SELECT j.value FROM facts f, json_each(f.mentions, '$.promotion_codes') j WHERE f.sale_id IN ",
            the_sales!(),
            "))) ORDER BY v.reward_id, v.version"
        )),
    ])
}

/// A new sale.
pub fn insert(scope: &Scope, id: &SaleId, due_at: Option<Instant>) -> Statement {
    Statement::new("INSERT INTO sales (id, workspace_id, mode, revision, due_at) VALUES (?, ?, ?, 0, ?)")
        .bind(id.as_str())
        .bind(scope.workspace_id.as_str())
        .bind(scope.mode)
        .bind(due_at)
}

/// Moves a sale on from the revision that was loaded. Who comes second fails the CHECK, and the whole batch with it.
pub fn advance(id: &SaleId, revision: i64, due_at: Option<Instant>) -> Statement {
    Statement::new(
        "UPDATE sales SET revision = CASE WHEN revision = ? THEN revision + 1 ELSE -1 END, due_at = ? WHERE id = ?",
    )
    .bind(revision)
    .bind(due_at)
    .bind(id.as_str())
}

/// Another id of a sale. An id that belongs to another sale fails the batch; one that is this sale's already is passed over.
pub fn insert_key(scope: &Scope, key: &str, id: &SaleId) -> Statement {
    Statement::new(
        "INSERT INTO sale_keys (workspace_id, mode, key, sale_id) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (\
         SELECT 1 FROM sale_keys WHERE workspace_id = ?1 AND mode = ?2 AND key = ?3 AND sale_id = ?4)",
    )
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(key)
    .bind(id.as_str())
}

/// A fact, kept as it came. One that was told before is passed over.
pub struct NewFact {
    /// Its id.
    pub id: FactId,
    /// `report`, or Stripe's event id and a place.
    pub source: String,
    /// When it was said.
    pub said_at: Instant,
    /// What was said.
    pub body: StoredFact,
    /// What it names.
    pub mentions: Mentions,
}

/// Writes a fact.
pub fn insert_fact(
    scope: &Scope,
    sale: &SaleId,
    fact: &NewFact,
    now: Instant,
    request_id: Option<&str>,
) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO facts (id, workspace_id, mode, sale_id, source, said_at, body, mentions, recorded_at, request_id) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (sale_id, source) DO NOTHING",
    )
    .bind(fact.id.as_str())
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(sale.as_str())
    .bind(&fact.source)
    .bind(fact.said_at)
    .bind(super::to_json(&fact.body)?)
    .bind(super::to_json(&fact.mentions)?)
    .bind(now)
    .bind(request_id))
}

/// Sales whose time has come: workspace, mode and any one key of each.
pub fn due(now: Instant, limit: i64) -> Statement {
    Statement::new(
        "SELECT s.workspace_id, s.mode, (SELECT key FROM sale_keys k WHERE k.sale_id = s.id LIMIT 1) AS key FROM sales s \
         WHERE s.due_at <= ? ORDER BY s.due_at LIMIT ?",
    )
    .bind(now)
    .bind(limit)
}

/// A sale's id and revision.
pub fn decode(row: &Row) -> Result<(SaleId, i64), DbError> {
    Ok((row.parsed("id", SaleId::parse, "a sale id")?, row.integer("revision")?))
}
