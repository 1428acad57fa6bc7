//! `commissions` and `entries`.

use domain::ids::{CommissionId, ConversionId, EntryId, Id};
use domain::ledger::{Due, EntryKind, Standing, Terms};
use domain::money::Currency;
use domain::status::CommissionState;
use domain::time::Instant;
use serde::Deserialize;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// A new commission.
pub fn insert(
    scope: &Scope,
    id: &CommissionId,
    conversion: &ConversionId,
    due: &Due,
    state: CommissionState,
    now: Instant,
) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO commissions (id, workspace_id, mode, conversion_id, participant_id, program_id, currency, state, \
         needs_review, auto_approve, hold_until, reward_version, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(conversion.as_str())
    .bind(due.participant_id.as_str())
    .bind(due.program_id.as_str())
    .bind(due.currency.code())
    .bind(state.as_str())
    .bind(super::to_json(&due.terms.needs_review)?)
    .bind(due.terms.auto_approve)
    .bind(due.terms.hold_until)
    .bind(due.terms.reward_version.as_str())
    .bind(now))
}

/// Other terms for a commission, as long as it is pending.
pub fn revise(id: &CommissionId, terms: &Terms) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "UPDATE commissions SET reward_version = ?, needs_review = ?, hold_until = ?, auto_approve = ? \
         WHERE id = ? AND state = 'pending'",
    )
    .bind(terms.reward_version.as_str())
    .bind(super::to_json(&terms.needs_review)?)
    .bind(terms.hold_until)
    .bind(terms.auto_approve)
    .bind(id.as_str()))
}

/// An entry.
pub struct NewEntry<'a> {
    /// Its id.
    pub id: EntryId,
    /// The commission.
    pub commission_id: &'a CommissionId,
    /// The signed amount.
    pub amount_cents: i64,
    /// Its currency.
    pub currency: Currency,
    /// Why.
    pub kind: EntryKind,
    /// The fact or act that caused it.
    pub cause: &'a str,
}

/// Appends an entry.
pub fn append(scope: &Scope, entry: &NewEntry<'_>, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO entries (id, workspace_id, mode, commission_id, amount_cents, currency, kind, cause, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(entry.commission_id.as_str())
    .bind(entry.amount_cents)
    .bind(entry.currency.code())
    .bind(entry.kind.as_str())
    .bind(entry.cause)
    .bind(now)
}

/// Moves a commission on from the state that the booking saw. Acts and approvals do not move the family's revision: if one of
/// them came between, the CHECK fails, and the batch with it. To be said with every entry, also where the state stays. One that
/// is reversed remembers where it goes back to.
pub fn move_by_booking(id: &CommissionId, from: CommissionState, to: CommissionState) -> Statement {
    Statement::new(
        "UPDATE commissions SET state = CASE WHEN state = ?1 THEN ?2 ELSE 'raced' END, \
         reversed_from = CASE WHEN ?2 <> 'reversed' THEN NULL WHEN ?1 = 'reversed' THEN reversed_from ELSE ?1 END WHERE id = ?3",
    )
    .bind(from.as_str())
    .bind(to.as_str())
    .bind(id.as_str())
}

/// Commissions whose hold is over and that nobody has to look at.
pub fn held_until(now: Instant, limit: i64) -> Statement {
    Statement::somewhere(COLUMNS)
        .push("WHERE state = 'pending' AND auto_approve = 1 AND disputed = 0 AND needs_review = '[]' AND hold_until <= ? ")
        .bind(now)
        .push("ORDER BY hold_until LIMIT ?")
        .bind(limit)
}

/// Approves a commission. If it is not pending any more, the CHECK fails, and the batch with it.
pub fn approve(id: &str) -> Statement {
    Statement::new(
        "UPDATE commissions SET state = CASE WHEN state = 'pending' AND disputed = 0 AND needs_review = '[]' THEN 'approved' \
         ELSE 'raced' END WHERE id = ?",
    )
    .bind(id)
}

/// A commission as a booking needs it.
#[derive(Clone, Debug)]
pub struct Held {
    /// Whose conversion's.
    pub conversion_id: String,
    /// What the ledger looks at.
    pub standing: Standing,
    /// The flag that stops approval and payout.
    pub disputed: bool,
}

/// Flags a commission, or takes the flag away.
pub fn set_disputed(id: &CommissionId, disputed: bool) -> Statement {
    Statement::new("UPDATE commissions SET disputed = ? WHERE id = ?").bind(disputed).bind(id.as_str())
}

/// Moves a commission on from where it was seen, by a person who has looked. If it stands elsewhere by now, or is disputed
/// or of nothing and to be approved, the CHECK fails, and the batch with it.
pub fn move_by_act(scope: &Scope, id: &str, from: CommissionState, to: CommissionState) -> Statement {
    let update = Statement::new(
        "UPDATE commissions SET state = CASE WHEN state = ?1 AND (?2 = 'rejected' OR disputed = 0 AND \
         (SELECT SUM(e.amount_cents) FROM entries e WHERE e.commission_id = ?5) <> 0) THEN ?2 ELSE 'raced' END, \
         needs_review = '[]' WHERE workspace_id = ?3 AND mode = ?4 AND id = ?5",
    );
    update.bind(from.as_str()).bind(to.as_str()).bind_workspace(&scope.workspace_id).bind(scope.mode).bind(id)
}

/// Reads a commission as a booking needs it.
pub fn decode_held(row: &Row) -> Result<Held, DbError> {
    Ok(Held {
        conversion_id: row.text("conversion_id")?,
        standing: decode_standing(row)?,
        disputed: row.flag("disputed")?,
    })
}

fn decode_standing(row: &Row) -> Result<Standing, DbError> {
    Ok(Standing {
        id: row.parsed("id", Id::parse, "a commission id")?,
        participant_id: row.parsed("participant_id", Id::parse, "a participant id")?,
        amount_cents: row.integer("amount_cents")?,
        bonus_cents: row.integer("bonus_cents")?,
        currency: row.parsed("currency", |code| Currency::parse(code).ok(), "a currency")?,
        state: row.parsed("state", CommissionState::parse, "a commission's state")?,
        reversed_from: row.text_opt("reversed_from")?.as_deref().and_then(CommissionState::parse),
        terms: Terms {
            reward_version: row.parsed("reward_version", Id::parse, "a reward version's id")?,
            needs_review: row.json("needs_review")?,
            hold_until: row.instant("hold_until")?,
            auto_approve: row.flag("auto_approve")?,
        },
    })
}

/// One entry, as it is listed with its commission.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    /// The signed amount.
    pub amount_cents: i64,
    /// Why.
    pub kind: String,
    /// The fact or act that caused it.
    pub cause: String,
    /// When.
    pub created_at: i64,
}

/// A commission as it is listed.
#[derive(Clone, Debug)]
pub struct Commission {
    /// Its id.
    pub id: String,
    /// The conversion.
    pub conversion_id: String,
    /// Whose.
    pub participant_id: String,
    /// In which program.
    pub program_id: String,
    /// Its currency.
    pub currency: String,
    /// Its state.
    pub state: CommissionState,
    /// Why a person has to look.
    pub needs_review: Vec<String>,
    /// A dispute is open.
    pub disputed: bool,
    /// When the hold ends.
    pub hold_until: Instant,
    /// The version of the reward.
    pub reward_version: String,
    /// Its entries, oldest first.
    pub entries: Vec<Entry>,
    /// When it was made.
    pub created_at: Instant,
}

/// All of what is shown, and from where.
pub(super) const COLUMNS: &str = "SELECT id, workspace_id, mode, conversion_id, participant_id, program_id, currency, state, needs_review, disputed, \
     hold_until, reward_version, created_at, (SELECT json_group_array(json_object('amount_cents', e.amount_cents, 'kind', e.kind, \
     'cause', e.cause, 'created_at', e.created_at)) FROM (SELECT * FROM entries WHERE commission_id = commissions.id \
     ORDER BY created_at, rowid) e) AS entries FROM commissions ";

/// One commission.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One state.
    pub state: Option<String>,
    /// One participant.
    pub participant_id: Option<String>,
    /// One program.
    pub program_id: Option<String>,
    /// One conversion.
    pub conversion_id: Option<String>,
    /// Those that a person has to look at, or the others.
    pub needs_review: Option<bool>,
}

/// A page of commissions.
pub fn list(scope: &Scope, filter: &Filter, page: &Page) -> Statement {
    let statement = scope.bound_unless(filter.conversion_id.is_some(), Statement::new(COLUMNS));
    // Both as the partial index of the review queue says them.
    let statement = match filter.state.as_deref() {
        Some("pending") => statement.push(" AND state = 'pending'"),
        state => statement.push_if(" AND state = ?", state),
    };
    let statement = match filter.needs_review {
        None => statement,
        Some(true) => statement.push(" AND needs_review <> '[]'"),
        Some(false) => statement.push(" AND needs_review = '[]'"),
    };
    let statement = statement
        .push_if(" AND participant_id = ?", filter.participant_id.as_ref())
        .push_if(" AND program_id = ?", filter.program_id.as_ref())
        .push_if(" AND conversion_id = ?", filter.conversion_id.as_ref());
    page.bound(statement)
}

/// The commissions whose entries a payout settles.
pub fn of_payout(scope: &Scope, payout_id: &str) -> Statement {
    scope
        .bound(Statement::new(COLUMNS))
        .push(
            " AND id IN (SELECT e.commission_id FROM payout_entries s JOIN entries e ON e.id = s.entry_id \
             WHERE s.payout_id = ?) ORDER BY id",
        )
        .bind(payout_id)
}

/// Marks commissions as paid that were seen in one state. If one of them stands elsewhere by now, or is disputed, the CHECK
/// fails, and the batch with it.
pub fn pay(scope: &Scope, ids: &[&str], seen: CommissionState) -> Result<Statement, DbError> {
    let update = Statement::new(
        "UPDATE commissions SET state = CASE WHEN state = ? AND disputed = 0 THEN 'paid' ELSE 'raced' END ",
    )
    .bind(seen.as_str());
    Ok(scope.bound(update).push(" AND id IN (SELECT value FROM json_each(?))").bind(super::to_json(&ids)?))
}

/// Reads a commission.
pub fn decode(row: &Row) -> Result<Commission, DbError> {
    Ok(Commission {
        id: row.text("id")?,
        conversion_id: row.text("conversion_id")?,
        participant_id: row.text("participant_id")?,
        program_id: row.text("program_id")?,
        currency: row.text("currency")?,
        state: row.parsed("state", CommissionState::parse, "a commission's state")?,
        needs_review: row.json("needs_review")?,
        disputed: row.flag("disputed")?,
        hold_until: row.instant("hold_until")?,
        reward_version: row.text("reward_version")?,
        entries: row.json("entries")?,
        created_at: row.instant("created_at")?,
    })
}
