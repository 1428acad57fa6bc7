//! `conversions` and `decisions`.

use domain::attribution::{Inputs, Method, Reason, Verdict};
use domain::ids::{ConversionId, DecisionId, FamilyId, Id};
use domain::money::Currency;
use domain::sale::{ConversionStatus, Source, StripeIds};
use domain::time::Instant;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::page::Page;
use super::{DbError, Row, Scope, Statement, Value};

/// What the merchant reported beside the money.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reported {
    /// The merchant's transaction id.
    pub external_transaction_id: Option<String>,
    /// The click named.
    pub click_id: Option<String>,
    /// The code named.
    pub promo_code: Option<String>,
    /// The merchant's customer id.
    pub customer_external_id: Option<String>,
    /// Whatever the merchant added.
    pub metadata: Option<Json>,
}

/// A conversion.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// Its id.
    pub id: ConversionId,
    /// One key of its sale.
    pub anchor: String,
    /// Where it came from.
    pub source: Source,
    /// Its status.
    pub status: ConversionStatus,
    /// What the merchant reported.
    pub reported: Reported,
    /// Free text.
    pub event_type: String,
    /// In the minor unit.
    pub amount_cents: i64,
    /// Absent only with an amount of 0.
    pub currency: Option<Currency>,
    /// Given back.
    pub refunded_cents: i64,
    /// When it happened.
    pub occurred_at: Instant,
    /// Stripe's ids.
    pub stripe: StripeIds,
    /// The decision in force.
    pub decision_id: DecisionId,
    /// Its method, when attributed.
    pub method: Option<Method>,
    /// Its reason.
    pub reason: Reason,
    /// The winning click.
    pub attributed_click_id: Option<String>,
    /// The winning code.
    pub attributed_promo_code: Option<String>,
    /// The program credited.
    pub program_id: Option<String>,
    /// The participant credited.
    pub participant_id: Option<String>,
    /// Who bought, where that is known.
    pub customer_id: Option<String>,
    /// When it was recorded.
    pub created_at: Instant,
}

/// Writes a conversion.
pub fn insert(
    scope: &Scope,
    family: &FamilyId,
    conversion: &Conversion,
    request_id: Option<&str>,
) -> Result<Statement, DbError> {
    let reported = &conversion.reported;
    let metadata = reported.metadata.as_ref().map(super::to_json).transpose()?;
    Ok(Statement::new(
        "INSERT INTO conversions (id, workspace_id, mode, family_id, anchor, source, status, external_transaction_id, event_type, \
         amount_cents, currency, refunded_cents, occurred_at, click_id, promo_code, customer_external_id, metadata, stripe, \
         decision_id, attribution_method, attribution_reason, attributed_click_id, attributed_promo_code, program_id, \
         participant_id, customer_id, request_id, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(conversion.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(family.as_str())
    .bind(&conversion.anchor)
    .bind(conversion.source.as_str())
    .bind(conversion.status.as_str())
    .bind(reported.external_transaction_id.as_ref())
    .bind(&conversion.event_type)
    .bind(conversion.amount_cents)
    .bind(conversion.currency.map(String::from))
    .bind(conversion.refunded_cents)
    .bind(conversion.occurred_at)
    .bind(reported.click_id.as_ref())
    .bind(reported.promo_code.as_ref())
    .bind(reported.customer_external_id.as_ref())
    .bind(metadata)
    .bind(super::to_json(&conversion.stripe)?)
    .bind(conversion.decision_id.as_str())
    .bind(conversion.method.map(Method::as_str))
    .bind(conversion.reason.as_str())
    .bind(conversion.attributed_click_id.as_ref())
    .bind(conversion.attributed_promo_code.as_ref())
    .bind(conversion.program_id.as_ref())
    .bind(conversion.participant_id.as_ref())
    .bind(conversion.customer_id.as_ref())
    .bind(request_id)
    .bind(conversion.created_at))
}

/// Brings a conversion up to what its sale has come to.
pub fn update(conversion: &Conversion) -> Result<Statement, DbError> {
    let reported = &conversion.reported;
    let metadata = reported.metadata.as_ref().map(super::to_json).transpose()?;
    Ok(Statement::new(
        "UPDATE conversions SET source = ?, status = ?, external_transaction_id = ?, event_type = ?, click_id = ?, \
         promo_code = ?, customer_external_id = ?, metadata = ?, amount_cents = ?, currency = ?, refunded_cents = ?, \
         occurred_at = ?, stripe = ?, decision_id = ?, attribution_method = ?, attribution_reason = ?, attributed_click_id = ?, \
         attributed_promo_code = ?, program_id = ?, participant_id = ?, customer_id = ? WHERE id = ?",
    )
    .bind(conversion.source.as_str())
    .bind(conversion.status.as_str())
    .bind(reported.external_transaction_id.as_ref())
    .bind(&conversion.event_type)
    .bind(reported.click_id.as_ref())
    .bind(reported.promo_code.as_ref())
    .bind(reported.customer_external_id.as_ref())
    .bind(metadata)
    .bind(conversion.amount_cents)
    .bind(conversion.currency.map(String::from))
    .bind(conversion.refunded_cents)
    .bind(conversion.occurred_at)
    .bind(super::to_json(&conversion.stripe)?)
    .bind(conversion.decision_id.as_str())
    .bind(conversion.method.map(Method::as_str))
    .bind(conversion.reason.as_str())
    .bind(conversion.attributed_click_id.as_ref())
    .bind(conversion.attributed_promo_code.as_ref())
    .bind(conversion.program_id.as_ref())
    .bind(conversion.participant_id.as_ref())
    .bind(conversion.customer_id.as_ref())
    .bind(conversion.id.as_str()))
}

/// With the id of the commission that is not reversed, newest first; that column is not in the table.
const COLUMNS: &str = "SELECT *, (SELECT m.id FROM commissions m WHERE m.conversion_id = conversions.id \
     ORDER BY m.state = 'reversed', m.id DESC LIMIT 1) AS commission_id FROM conversions ";

/// One conversion.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// What a list of conversions is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Credited to one participant.
    pub participant_id: Option<String>,
    /// Credited in one program.
    pub program_id: Option<String>,
    /// Of one status.
    pub status: Option<String>,
    /// Of one source.
    pub source: Option<String>,
    /// One transaction.
    pub external_transaction_id: Option<String>,
    /// Not recorded before.
    pub from: Option<Instant>,
    /// Recorded before.
    pub to: Option<Instant>,
}

/// A page of conversions. A transaction is found by its sale's keys, and a time by the ids, which sort by it.
pub fn list(scope: &Scope, filter: &Filter, page: &Page) -> Statement {
    let least = |at: Instant| String::from(ConversionId::least(at));
    let mut statement = scope
        .bound(Statement::new(COLUMNS))
        .push_if(" AND participant_id = ?", filter.participant_id.as_ref())
        .push_if(" AND program_id = ?", filter.program_id.as_ref())
        .push_if(" AND status = ?", filter.status.as_ref())
        .push_if(" AND source = ?", filter.source.as_ref())
        .push_if(" AND id >= ?", filter.from.map(least))
        .push_if(" AND id < ?", filter.to.map(least));
    if let Some(transaction) = &filter.external_transaction_id {
        statement = statement
            .push(
                " AND id IN (SELECT c.id FROM family_keys k JOIN families f ON f.id = k.family_id \
                 OR f.merged_into = k.family_id JOIN conversions c ON c.family_id = f.id \
                 WHERE k.workspace_id = ? AND k.mode = ? AND k.key = ? AND c.external_transaction_id = k.key)",
            )
            .bind_workspace(&scope.workspace_id)
            .bind(scope.mode)
            .bind(transaction);
    }
    page.bound(statement)
}

/// Reads a conversion, and its commission's id.
pub fn decode(row: &Row) -> Result<(Conversion, Option<String>), DbError> {
    Ok((decode_alone(row)?, row.text_opt("commission_id")?))
}

/// Reads a conversion.
pub fn decode_alone(row: &Row) -> Result<Conversion, DbError> {
    let metadata = row.text_opt("metadata")?.and_then(|text| serde_json::from_str(&text).ok());
    let method = row.text_opt("attribution_method")?.as_deref().and_then(Method::parse);
    let currency = row.text_opt("currency")?.as_deref().and_then(|code| Currency::parse(code).ok());
    Ok(Conversion {
        id: row.parsed("id", Id::parse, "a conversion id")?,
        anchor: row.text("anchor")?,
        source: row.parsed("source", Source::parse, "a source")?,
        status: row.parsed("status", ConversionStatus::parse, "a conversion's status")?,
        reported: Reported {
            external_transaction_id: row.text_opt("external_transaction_id")?,
            click_id: row.text_opt("click_id")?,
            promo_code: row.text_opt("promo_code")?,
            customer_external_id: row.text_opt("customer_external_id")?,
            metadata,
        },
        event_type: row.text("event_type")?,
        amount_cents: row.integer("amount_cents")?,
        currency,
        refunded_cents: row.integer("refunded_cents")?,
        occurred_at: row.instant("occurred_at")?,
        stripe: row.json("stripe")?,
        decision_id: row.parsed("decision_id", Id::parse, "a decision id")?,
        method,
        reason: row.parsed("attribution_reason", Reason::parse, "a reason")?,
        attributed_click_id: row.text_opt("attributed_click_id")?,
        attributed_promo_code: row.text_opt("attributed_promo_code")?,
        program_id: row.text_opt("program_id")?,
        participant_id: row.text_opt("participant_id")?,
        customer_id: row.text_opt("customer_id")?,
        created_at: row.instant("created_at")?,
    })
}

/// The request that brought a conversion or a decision.
pub fn request_id(row: &Row) -> Result<Option<String>, DbError> {
    row.text_opt("request_id")
}

/// A recorded decision.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// The conversion, unless it was refused.
    pub conversion_id: Option<String>,
    /// The merchant's transaction id.
    pub external_transaction_id: Option<String>,
    /// The version of the rules that made it.
    pub rule_version: u32,
    /// What it looked at.
    pub inputs: Inputs,
    /// What came out.
    pub verdict: Verdict,
    /// The error code, when the conversion was refused.
    pub refused: Option<String>,
    /// When it was made.
    pub created_at: Instant,
}

/// The columns of a decision that its digest is taken over, in order.
const DECISION: [&str; 13] = [
    "id",
    "workspace_id",
    "mode",
    "conversion_id",
    "external_transaction_id",
    "rule_version",
    "inputs",
    "verdict",
    "reason",
    "participant_id",
    "refused",
    "request_id",
    "created_at",
];

/// Writes a decision. It is never changed; the digest beside it tells if it was.
pub fn insert_decision(scope: &Scope, decision: &Decision, request_id: Option<&str>) -> Result<Statement, DbError> {
    let cells: [Value; DECISION.len()] = [
        decision.id.as_str().into(),
        scope.workspace_id.as_str().into(),
        scope.mode.into(),
        decision.conversion_id.as_ref().into(),
        decision.external_transaction_id.as_ref().into(),
        decision.rule_version.into(),
        super::to_json(&decision.inputs)?.into(),
        super::to_json(&decision.verdict)?.into(),
        decision.verdict.reason.as_str().into(),
        decision.verdict.credit.as_ref().map(|credit| credit.participant_id.as_str()).into(),
        decision.refused.as_ref().into(),
        request_id.into(),
        decision.created_at.into(),
    ];
    let digest = digest(cells.iter().map(|cell| match cell {
        Value::Null => Json::Null,
        Value::Integer(whole) => Json::from(*whole),
        Value::Text(text) => Json::from(text.as_str()),
    }));
    let insert = Statement::new(
        "INSERT INTO decisions (id, workspace_id, mode, conversion_id, external_transaction_id, rule_version, inputs, \
         verdict, reason, participant_id, refused, request_id, created_at, digest) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    Ok(cells.into_iter().fold(insert, Statement::bind).bind(digest))
}

/// Whether a decision's row is the one that was written; one without a digest is taken as it is.
pub fn is_as_written(row: &Row) -> Result<bool, DbError> {
    let Some(written) = row.text_opt("digest")? else { return Ok(true) };
    let mut cells = Vec::with_capacity(DECISION.len());
    for column in DECISION {
        cells.push(match column {
            "rule_version" | "created_at" => Json::from(row.integer(column)?),
            _ => Json::from(row.text_opt(column)?),
        });
    }
    Ok(digest(cells.into_iter()) == written)
}

fn digest(cells: impl Iterator<Item = Json>) -> String {
    hex::encode(Sha256::digest(Json::from_iter(cells).to_string()))
}

/// What the audit is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// One conversion.
    pub conversion_id: Option<String>,
    /// One transaction.
    pub external_transaction_id: Option<String>,
    /// One participant.
    pub participant_id: Option<String>,
    /// One reason.
    pub reason: Option<String>,
    /// Not before.
    pub from: Option<Instant>,
    /// Before.
    pub to: Option<Instant>,
}

/// A page of decisions. Those of a transaction are found first: whatever order a page goes by, the index of all is not gone through.
pub fn audit(scope: &Scope, filter: &AuditFilter, page: &Page) -> Statement {
    let mut statement = scope
        .bound_unless(filter.conversion_id.is_some(), Statement::new("SELECT * FROM decisions "))
        .push_if(" AND conversion_id = ?", filter.conversion_id.as_ref())
        .push_if(" AND participant_id = ?", filter.participant_id.as_ref())
        .push_if(" AND reason = ?", filter.reason.as_ref())
        .push_if(" AND created_at >= ?", filter.from)
        .push_if(" AND created_at < ?", filter.to);
    if let Some(transaction) = &filter.external_transaction_id {
        statement = statement
            .push(
                " AND id IN (SELECT d.id FROM decisions d WHERE d.workspace_id = ? AND d.mode = ? \
                 AND d.external_transaction_id = ?)",
            )
            .bind_workspace(&scope.workspace_id)
            .bind(scope.mode)
            .bind(transaction);
    }
    page.bound(statement)
}

/// All decisions of one conversion: the one in force, then those before it, newest first.
pub fn decisions_of(scope: &Scope, conversion_id: &str) -> Statement {
    Statement::new(
        "SELECT d.* FROM decisions d JOIN conversions c ON c.id = d.conversion_id WHERE +d.workspace_id = ? AND +d.mode = ? \
         AND d.conversion_id = ? ORDER BY d.id = c.decision_id DESC, d.id DESC LIMIT 100",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(conversion_id)
}

/// Reads a decision.
pub fn decode_decision(row: &Row) -> Result<Decision, DbError> {
    Ok(Decision {
        id: row.parsed("id", Id::parse, "a decision id")?,
        conversion_id: row.text_opt("conversion_id")?,
        external_transaction_id: row.text_opt("external_transaction_id")?,
        rule_version: u32::try_from(row.integer("rule_version")?).unwrap_or(0),
        inputs: row.json("inputs")?,
        verdict: row.json("verdict")?,
        refused: row.text_opt("refused")?,
        created_at: row.instant("created_at")?,
    })
}
