//! `families`, `family_keys` and `facts`: everything that one booking looks at, in one batch.

use domain::ids::{FactId, FamilyId, StripeEventId};
use domain::sale::Report;
use domain::sale::family::{Joined, ReportedRefund};
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
    /// What a person joined.
    Joined(Joined),
}

impl StoredFact {
    /// Whether it tells of money that went back, or of what it belongs to.
    pub fn takes_back(&self) -> bool {
        use domain::fact::StripeFact as Fact;
        match self {
            Self::Stripe(fact) => matches!(**fact, Fact::Refund(_) | Fact::Charge(_) | Fact::Dispute(_)),
            Self::Refund(_) | Self::Joined(_) => true,
            Self::Report(_) => false,
        }
    }
}

/// What a fact names, so that a query finds it without knowing facts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mentions {
    /// Numbers of the links whose clicks it names.
    pub links: Vec<u32>,
    /// Promo codes, folded.
    pub codes: Vec<String>,
    /// Stripe's `promo_…` ids.
    pub promotion_codes: Vec<String>,
    /// Discounts whose promotion code it does not tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<String>,
    /// The customer's keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub customers: Vec<String>,
    /// The clicks themselves, and when they were: looked at when they are new, and not stored with the fact, which holds them.
    #[serde(skip)]
    pub clicks: Vec<(String, Instant)>,
}

/// The families that any of these keys names. `?1` the workspace, `?2` the mode, `?3` the keys as a JSON list.
macro_rules! roots {
    () => {
        "(SELECT family_id FROM family_keys WHERE workspace_id = CAST(?1 AS TEXT) AND mode = CAST(?2 AS TEXT) AND key IN \
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

/// The families that wait for any of the codes `?3`, or those that they were joined to.
macro_rules! waiting {
    () => {
        "(SELECT COALESCE(w.merged_into, w.id) FROM families w JOIN awaited_codes a ON a.family_id = w.id \
         WHERE a.workspace_id = CAST(?1 AS TEXT) AND a.mode = CAST(?2 AS TEXT) AND a.key IN (SELECT value FROM json_each(?3)))"
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

/// The discounts that the new facts or the stored ones name.
macro_rules! discounts {
    () => {
        concat!(
            "(SELECT value FROM json_each(?4, '$.discounts') UNION SELECT j.value FROM facts f, \
             json_each(f.mentions, '$.discounts') j WHERE f.family_id IN ",
            all!(),
            ")"
        )
    };
}

/// The promo codes that the new facts or the stored ones name, of either mode, as a condition on `c`.
macro_rules! codes {
    () => {
        concat!(
            "c.id IN (SELECT c.id FROM promo_codes c WHERE c.workspace_id = CAST(?1 AS TEXT) AND c.mode IN ('test', 'live') \
             AND c.code_folded IN (SELECT value FROM json_each(?4, '$.codes') UNION \
             SELECT j.value FROM facts f, json_each(f.mentions, '$.codes') j WHERE f.family_id IN ",
            all!(),
            ") UNION ALL SELECT c.id FROM promo_codes c WHERE c.workspace_id = CAST(?1 AS TEXT) AND c.mode IN ('test', 'live') \
             AND c.stripe_promotion_code_id IN (SELECT value FROM json_each(?4, '$.promotion_codes') UNION \
             SELECT j.value FROM facts f, json_each(f.mentions, '$.promotion_codes') j WHERE f.family_id IN ",
            all!(),
            " UNION SELECT d.promotion_code FROM stripe_discounts d WHERE d.workspace_id = CAST(?1 AS TEXT) AND d.mode = CAST(?2 AS TEXT) \
             AND d.discount IN ",
            discounts!(),
            "))"
        )
    };
}

/// The keys of the customers that the new facts or the stored ones name.
macro_rules! customers {
    () => {
        concat!(
            "(SELECT value FROM json_each(?4, '$.customers') UNION SELECT j.value FROM facts f, \
             json_each(f.mentions, '$.customers') j WHERE f.family_id IN ",
            all!(),
            ")"
        )
    };
}

/// Everybody who may be credited: by links, codes, bindings, standing conversions and a person's word (`?5`, ids as a JSON list).
macro_rules! people {
    () => {
        concat!(
            "(SELECT l.participant_id FROM links l WHERE l.number IN ",
            links!(),
            " UNION SELECT c.participant_id FROM promo_codes c WHERE ",
            codes!(),
            " UNION SELECT u.participant_id FROM customer_keys k JOIN customers u ON u.id = k.customer_id \
             WHERE k.workspace_id = CAST(?1 AS TEXT) AND k.mode = CAST(?2 AS TEXT) AND k.key IN ",
            customers!(),
            " UNION SELECT v.participant_id FROM conversions v WHERE v.family_id IN ",
            all!(),
            " UNION SELECT value FROM json_each(?5))"
        )
    };
}

/// The participant's newest conversions that a refund rate is taken of, as a scalar query's source.
macro_rules! newest {
    () => {
        "(SELECT v.status FROM conversions v WHERE v.workspace_id = CAST(?1 AS TEXT) AND v.mode = CAST(?2 AS TEXT) AND v.participant_id = p.id \
         ORDER BY v.id DESC LIMIT 50)"
    };
}

/// The reads of one booking, in the order in which [`crate::booking`] takes them up: families, keys, facts, conversions,
/// decisions, commissions, acts, links, promo codes, discounts, customers, people, bursts, rewards. `people` are participants
/// to be known of beside those that the facts name.
pub fn load(scope: &Scope, keys: &[String], mentions: &Mentions, people: &[&str]) -> Result<Vec<Statement>, DbError> {
    let keys = super::to_json(&keys)?;
    let clicks = super::to_json(&mentions.clicks)?;
    let mentions = super::to_json(mentions)?;
    let people = super::to_json(&people)?;
    let of_scope = |sql| Statement::new(sql).bind_workspace(&scope.workspace_id).bind(scope.mode);
    let of_families = |sql| of_scope(sql).bind(&keys);
    let with_mentions = |sql| of_families(sql).bind(&mentions);
    let with_people = |sql| with_mentions(sql).bind(&people);
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
            "SELECT m.id, m.conversion_id, m.participant_id, m.currency, m.state, m.disputed, m.reversed_from, \
             m.reward_version, m.needs_review, m.hold_until, m.auto_approve, \
             (SELECT COALESCE(SUM(e.amount_cents), 0) FROM entries e WHERE e.commission_id = m.id AND e.kind <> 'bonus') \
             AS amount_cents, \
             (SELECT COALESCE(SUM(e.amount_cents), 0) FROM entries e WHERE e.commission_id = m.id AND e.kind = 'bonus') \
             AS bonus_cents \
             FROM commissions m JOIN conversions c ON c.id = m.conversion_id WHERE c.family_id IN ",
            all!(),
            " ORDER BY m.id"
        )),
        of_families(concat!(
            "SELECT a.id, a.subject, a.detail FROM acts a JOIN conversions c ON c.id = a.subject \
             WHERE a.kind = 'conversion.attribute' AND c.family_id IN ",
            all!(),
            " ORDER BY a.id"
        )),
        with_mentions(concat!(
            "SELECT l.number, l.id AS link_id, l.workspace_id, l.mode, l.participant_id FROM links l WHERE l.number IN ",
            links!()
        )),
        with_mentions(concat!(
            "SELECT c.code_folded, c.stripe_promotion_code_id, c.mode, c.participant_id FROM promo_codes c WHERE ",
            codes!()
        )),
        with_mentions(concat!(
            "SELECT d.discount, d.promotion_code FROM stripe_discounts d WHERE d.workspace_id = CAST(?1 AS TEXT) AND d.mode = CAST(?2 AS TEXT) \
             AND d.discount IN ",
            discounts!()
        )),
        with_mentions(concat!(
            "SELECT k.key, u.id, u.participant_id, u.bound_by, u.purchases, u.unauthenticated FROM customer_keys k JOIN customers u ON u.id = k.customer_id \
             WHERE k.workspace_id = CAST(?1 AS TEXT) AND k.mode = CAST(?2 AS TEXT) AND k.key IN ",
            customers!(),
            " ORDER BY u.id"
        )),
        with_people(concat!(
            "SELECT p.id AS participant_id, p.status AS participant_status, g.id AS program_id, g.status AS program_status, \
             g.attribution_window_days, g.attribution_model, g.fraud, g.reverse_pending_on_end, a.email, \
             (SELECT json_array(COUNT(*), COALESCE(SUM(status = 'refunded'), 0)) FROM ",
            newest!(),
            ") AS recent \
             FROM participants p JOIN programs g ON g.id = p.program_id JOIN partners a ON a.id = p.partner_id \
             WHERE p.workspace_id = CAST(?1 AS TEXT) AND p.mode = CAST(?2 AS TEXT) AND p.id IN ",
            people!()
        )),
        of_scope(
            // Of the hour before a click the newest packs are looked through, a thousand clicks at the least where they come fast.
            "SELECT c.click_id, (SELECT COUNT(*) FROM packed_clicks o WHERE o.pack_id IN (SELECT p.id FROM click_packs p \
             WHERE p.workspace_id = CAST(?1 AS TEXT) AND p.mode = CAST(?2 AS TEXT) AND p.hour BETWEEN c.hour - 1 AND c.hour \
             AND p.first_at <= c.clicked_at AND p.last_at >= c.clicked_at - 3600000 ORDER BY p.hour DESC, p.last_at DESC LIMIT 10) \
             AND instr(o.records, c.address_hash) > 0 AND o.address_hash = c.address_hash \
             AND o.clicked_at BETWEEN c.clicked_at - 3600000 AND c.clicked_at) AS clicks \
             FROM json_each(?3) j CROSS JOIN packed_clicks c ON c.workspace_id = CAST(?1 AS TEXT) AND c.mode = CAST(?2 AS TEXT) \
             AND c.hour = (j.value ->> 1) / 3600000 AND c.first_at <= j.value ->> 1 AND c.last_at >= j.value ->> 1 \
             AND instr(c.records, j.value ->> 0) > 0 AND c.click_id = j.value ->> 0 WHERE c.address_hash IS NOT NULL UNION ALL \
             SELECT c.click_id, (SELECT COUNT(*) FROM (SELECT o.address_hash FROM clicks o WHERE o.workspace_id = CAST(?1 AS TEXT) \
             AND o.mode = CAST(?2 AS TEXT) AND o.clicked_at BETWEEN c.clicked_at - 3600000 AND c.clicked_at \
             ORDER BY o.clicked_at DESC LIMIT 1000) WHERE address_hash = c.address_hash) AS clicks \
             FROM clicks c WHERE +c.workspace_id = CAST(?1 AS TEXT) AND +c.mode = CAST(?2 AS TEXT) AND c.address_hash IS NOT NULL \
             AND c.click_id IN (SELECT value ->> 0 FROM json_each(?3))",
        )
        .bind(clicks),
        with_people(concat!(
            "SELECT v.body FROM reward_versions v WHERE +v.workspace_id = CAST(?1 AS TEXT) AND +v.mode = CAST(?2 AS TEXT) AND v.program_id IN \
             (SELECT p.program_id FROM participants p WHERE p.id IN ",
            people!(),
            ") AND (v.body->>'participant_id' IS NULL OR v.body->>'participant_id' IN ",
            people!(),
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
        .bind_workspace(&scope.workspace_id)
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
    .bind_workspace(&scope.workspace_id)
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
    .bind_workspace(&scope.workspace_id)
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
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(super::to_json(&keys)?)
    .bind(source))
}

/// Has the families that wait for a code, or for what was joined to them, decided again: gives workspace, mode and any one key
/// of each.
pub fn wake(scope: &Scope, awaited: &[&str], now: Instant) -> Result<Vec<Statement>, DbError> {
    let awaited = super::to_json(&awaited)?;
    let of_awaited =
        |statement: Statement| statement.bind_workspace(&scope.workspace_id).bind(scope.mode).bind(&awaited).bind(now);
    Ok(vec![
        of_awaited(Statement::new(concat!(
            "UPDATE families SET due_at = ?4, revision = revision + 1 WHERE id IN ",
            waiting!()
        ))),
        of_awaited(Statement::new(concat!(
            "SELECT ?1 AS workspace_id, ?2 AS mode, (SELECT key FROM family_keys k WHERE k.family_id = f.id LIMIT 1) AS key \
             FROM families f WHERE f.due_at <= ?4 AND f.id IN ",
            waiting!(),
            " LIMIT 100"
        ))),
    ])
}

/// Notes that a family waits for codes.
pub fn await_codes(scope: &Scope, family: &FamilyId, codes: &[&str]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO awaited_codes (workspace_id, mode, key, family_id) SELECT ?1, ?2, value, ?3 FROM json_each(?4) \
         WHERE true ON CONFLICT DO NOTHING",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(family.as_str())
    .bind(super::to_json(&codes)?))
}

/// Has a family decided again at once if one of the codes that it waits for was mapped while it was decided on.
pub fn wake_if_mapped(scope: &Scope, family: &FamilyId, codes: &[&str], now: Instant) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "UPDATE families SET due_at = ?1 WHERE id = ?2 AND (EXISTS (SELECT 1 FROM promo_codes c WHERE c.workspace_id = ?3 \
         AND c.mode = ?4 AND c.stripe_promotion_code_id IN (SELECT value FROM json_each(?5))) OR EXISTS (SELECT 1 \
         FROM stripe_discounts d WHERE d.workspace_id = ?3 AND d.mode = ?4 AND d.discount IN (SELECT value FROM json_each(?5))))",
    )
    .bind(now)
    .bind(family.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(super::to_json(&codes)?))
}

/// Keeps what promotion code a discount was made of.
pub fn insert_discount(scope: &Scope, discount: &str, promotion_code: &str, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO stripe_discounts (workspace_id, mode, discount, promotion_code, recorded_at) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT DO NOTHING",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(discount)
    .bind(promotion_code)
    .bind(now)
}

/// Looks again, now, at every family with a commission whose fee is not known.
pub fn look_again_at_unknown_fees(scope: &Scope, now: Instant) -> Statement {
    Statement::new(
        "UPDATE families SET due_at = ?1, revision = revision + 1 WHERE merged_into IS NULL AND id IN (SELECT COALESCE(f.merged_into, f.id) \
         FROM commissions m JOIN conversions c ON c.id = m.conversion_id JOIN families f ON f.id = c.family_id \
         WHERE m.workspace_id = ?2 AND m.mode = ?3 AND EXISTS \
         (SELECT 1 FROM json_each(m.needs_review) r WHERE r.value = 'fee_unknown'))",
    )
    .bind(now)
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
}

/// Families whose time has come: workspace, mode and any one key of each.
pub fn due(now: Instant, limit: i64) -> Statement {
    Statement::somewhere(
        "SELECT f.workspace_id, f.mode, (SELECT key FROM family_keys k WHERE k.family_id = f.id LIMIT 1) AS key \
         FROM families f WHERE f.due_at <= ? ORDER BY f.due_at LIMIT ?",
    )
    .bind(now)
    .bind(limit)
}
