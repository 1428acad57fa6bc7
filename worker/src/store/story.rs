//! Everything that the dashboard tells of one conversion or one commission, in one batch each. A plus before a column keeps SQLite
//! from the index of the whole workspace where there is a narrower one.

use domain::sale::ConversionStatus;
use domain::time::Instant;
use serde::Deserialize;

use super::acts::{self, Listed as Act};
use super::commissions::{self, Commission};
use super::conversions::{self, Conversion, Decision};
use super::families::StoredFact;
use super::fraud_alerts::{self, Listed as Alert};
use super::refunds::{self, Refund};
use super::{DbError, Row, Scope, Statement};

/// Facts of a family that are looked at; a subscription of many years has more.
const FACTS_MAX: i64 = 500;
/// Rows of everything else.
const ROWS_MAX: i64 = 100;

/// A fact, and how it came in.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Its id.
    pub id: String,
    /// When it was said: Stripe's time, or the report's.
    pub said_at: Instant,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// What was said.
    pub body: StoredFact,
    /// The Stripe event that brought it.
    pub stripe_event_id: Option<String>,
    /// The request that brought it.
    pub request_id: Option<String>,
}

/// An event of the outbox, and where it went.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// Such as `conversion.created`.
    pub kind: String,
    /// When it happened.
    pub created_at: Instant,
    /// To each endpoint that wanted it.
    pub deliveries: Vec<Delivery>,
}

/// Where an event went.
#[derive(Clone, Debug, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// How far it has come.
    pub status: String,
    /// The endpoint's address.
    pub url: String,
}

/// That a payout settles entries of a commission.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The payout.
    pub payout_id: String,
    /// How far it is.
    pub status: String,
    /// The commission.
    pub commission_id: String,
    /// What the payout has of it.
    pub amount_cents: i64,
    /// Its currency.
    pub currency: String,
    /// When it was drafted.
    pub created_at: Instant,
    /// When it was paid.
    pub settled_at: Option<Instant>,
}

/// Another conversion of the same family.
#[derive(Clone, Debug)]
pub struct Kin {
    /// Its id.
    pub id: String,
    /// A key of its sale.
    pub anchor: String,
    /// Whether it was merged into another one.
    pub is_merged: bool,
}

/// One conversion with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Story {
    /// The conversion.
    pub conversion: Conversion,
    /// Its commission that is not reversed.
    pub commission_id: Option<String>,
    /// The request that brought it.
    pub request_id: Option<String>,
    /// Its decisions, the one in force first.
    pub decisions: Vec<Decision>,
    /// What people did.
    pub acts: Vec<Act>,
    /// The facts of its family, as they came in.
    pub facts: Vec<Fact>,
    /// Its family's other conversions.
    pub kin: Vec<Kin>,
    /// Its commissions.
    pub commissions: Vec<Commission>,
    /// The payouts that settle them.
    pub settled: Vec<Settled>,
    /// Its refunds and disputes.
    pub refunds: Vec<Refund>,
    /// Its alerts.
    pub alerts: Vec<Alert>,
    /// What was told of it.
    pub told: Vec<Told>,
}

/// The family that a conversion's was joined to, or its own. `?1` the workspace, `?2` the mode, `?3` the conversion.
macro_rules! root {
    () => {
        "(SELECT COALESCE(g.merged_into, g.id) FROM conversions c JOIN families g ON g.id = c.family_id \
         WHERE c.id = ?3 AND +c.workspace_id = ?1 AND +c.mode = ?2)"
    };
}

/// That family, and what was joined to it.
macro_rules! families {
    () => {
        concat!(
            "(SELECT id FROM families WHERE id = ",
            root!(),
            " UNION SELECT id FROM families WHERE merged_into = ",
            root!(),
            ")"
        )
    };
}

const FACT: &str = "SELECT f.id, f.said_at, f.recorded_at, f.body, f.stripe_event_id, f.request_id FROM facts f ";

/// Reads one conversion's story.
pub fn of_conversion(scope: &Scope, id: &str) -> Vec<Statement> {
    let bound = |statement: Statement| statement.bind_workspace(&scope.workspace_id).bind(scope.mode).bind(id);
    vec![
        conversions::by_id(scope, id),
        conversions::decisions_of(scope, id),
        acts::of_conversion(scope, id),
        bound(Statement::new(FACT).push(concat!(
            "WHERE f.family_id IN ",
            families!(),
            " ORDER BY f.recorded_at DESC, f.id DESC LIMIT ?4"
        )))
        .bind(FACTS_MAX),
        bound(Statement::new(concat!(
            "SELECT id, anchor, status FROM conversions WHERE family_id IN ",
            families!(),
            " AND id <> ?3 ORDER BY +id DESC LIMIT ?4"
        )))
        .bind(ROWS_MAX),
        bound(
            Statement::new(commissions::COLUMNS)
                .push("WHERE +workspace_id = ?1 AND +mode = ?2 AND conversion_id = ?3 ORDER BY +id LIMIT 20"),
        ),
        bound(
            Statement::new(SETTLED)
                .push("WHERE +m.workspace_id = ?1 AND +m.mode = ?2 AND m.conversion_id = ?3 GROUP BY o.id, m.id"),
        ),
        bound(
            Statement::new(refunds::COLUMNS)
                .push("WHERE +workspace_id = ?1 AND +mode = ?2 AND conversion_id = ?3 ORDER BY +id LIMIT ?4"),
        )
        .bind(ROWS_MAX),
        bound(
            Statement::new(fraud_alerts::COLUMNS)
                .push("WHERE +workspace_id = ?1 AND +mode = ?2 AND conversion_id = ?3 ORDER BY +id LIMIT ?4"),
        )
        .bind(ROWS_MAX),
        bound(Statement::new(
            "SELECT e.id, e.type, e.created_at, (SELECT json_group_array(json_object('id', d.id, 'status', d.status, \
             'url', w.url)) FROM webhook_deliveries d JOIN webhook_endpoints w ON w.id = d.endpoint_id \
             WHERE d.event_id = e.id) AS deliveries FROM events e WHERE +e.workspace_id = ?1 AND +e.mode = ?2 \
             AND e.subject IN (SELECT ?3 UNION SELECT m.id FROM commissions m WHERE m.conversion_id = ?3) \
             ORDER BY e.created_at, e.sequence LIMIT ?4",
        ))
        .bind(ROWS_MAX),
    ]
}

/// Reads the results of [`of_conversion`]; none where there is no such conversion.
pub fn decode(results: Vec<Vec<Row>>) -> Result<Option<Story>, DbError> {
    let mut results = results.into_iter();
    let mut next = || results.next().unwrap_or_default();
    let found = next();
    let Some(row) = found.first() else { return Ok(None) };
    let (conversion, commission_id) = conversions::decode(row)?;
    Ok(Some(Story {
        conversion,
        commission_id,
        request_id: conversions::request_id(row)?,
        decisions: all(&next(), conversions::decode_decision)?,
        acts: all(&next(), acts::decode)?,
        facts: all(&next(), fact)?,
        kin: all(&next(), kin)?,
        commissions: all(&next(), commissions::decode)?,
        settled: all(&next(), settled)?,
        refunds: all(&next(), refunds::decode)?,
        alerts: all(&next(), fraud_alerts::decode)?,
        told: all(&next(), told)?,
    }))
}

/// One commission with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Earned {
    /// The commission.
    pub commission: Commission,
    /// What people did to it.
    pub acts: Vec<Act>,
    /// The facts that its entries were caused by.
    pub causes: Vec<Fact>,
    /// The payouts that settle it.
    pub settled: Vec<Settled>,
}

/// Reads one commission.
pub fn of_commission(scope: &Scope, id: &str) -> Vec<Statement> {
    let bound = |statement: Statement| statement.bind_workspace(&scope.workspace_id).bind(scope.mode).bind(id);
    vec![
        commissions::by_id(scope, id),
        acts::of_subject(scope, id),
        bound(Statement::new(FACT).push(
            "WHERE f.id IN (SELECT e.cause FROM entries e WHERE e.commission_id = ?3) AND +f.workspace_id = ?1 \
             AND +f.mode = ?2 LIMIT 100",
        )),
        bound(
            Statement::new(SETTLED)
                .push("WHERE +m.workspace_id = ?1 AND +m.mode = ?2 AND m.id = ?3 GROUP BY o.id, m.id"),
        ),
    ]
}

/// Reads the results of [`of_commission`]; none where there is no such commission.
pub fn decode_earned(results: Vec<Vec<Row>>) -> Result<Option<Earned>, DbError> {
    let mut results = results.into_iter();
    let mut next = || results.next().unwrap_or_default();
    let Some(commission) = next().first().map(commissions::decode).transpose()? else { return Ok(None) };
    Ok(Some(Earned {
        commission,
        acts: all(&next(), acts::decode)?,
        causes: all(&next(), fact)?,
        settled: all(&next(), settled)?,
    }))
}

/// Payouts that stand, by the entries that they settle.
const SETTLED: &str = "SELECT o.id AS payout_id, o.status, o.currency, o.created_at, o.settled_at, m.id AS commission_id, \
     SUM(e.amount_cents) AS amount_cents FROM commissions m JOIN entries e ON e.commission_id = m.id \
     JOIN payout_entries s ON s.entry_id = e.id AND s.released = 0 JOIN payouts o ON o.id = s.payout_id ";

fn all<T>(rows: &[Row], decode: impl Fn(&Row) -> Result<T, DbError>) -> Result<Vec<T>, DbError> {
    rows.iter().map(decode).collect()
}

fn fact(row: &Row) -> Result<Fact, DbError> {
    Ok(Fact {
        id: row.text("id")?,
        said_at: row.instant("said_at")?,
        recorded_at: row.instant("recorded_at")?,
        body: row.json("body")?,
        stripe_event_id: row.text_opt("stripe_event_id")?,
        request_id: row.text_opt("request_id")?,
    })
}

fn kin(row: &Row) -> Result<Kin, DbError> {
    let status = row.parsed("status", ConversionStatus::parse, "a conversion's status")?;
    Ok(Kin { id: row.text("id")?, anchor: row.text("anchor")?, is_merged: status == ConversionStatus::Merged })
}

fn settled(row: &Row) -> Result<Settled, DbError> {
    Ok(Settled {
        payout_id: row.text("payout_id")?,
        status: row.text("status")?,
        commission_id: row.text("commission_id")?,
        amount_cents: row.integer("amount_cents")?,
        currency: row.text("currency")?,
        created_at: row.instant("created_at")?,
        settled_at: row.instant_opt("settled_at")?,
    })
}

fn told(row: &Row) -> Result<Told, DbError> {
    Ok(Told {
        id: row.text("id")?,
        kind: row.text("type")?,
        created_at: row.instant("created_at")?,
        deliveries: row.json("deliveries")?,
    })
}
