//! `payouts` and `payout_entries`: which entries were settled together, and what is still to be settled.

use domain::ids::{Id, ParticipantId, PayoutId, ProgramId};
use domain::money::Currency;
use domain::payout::{ENTRIES_MAX, PayoutStatus, Unsettled};
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// Commissions `m` and their entries `e` that may be paid out and that no standing payout has settled: what
/// [`domain::payout::is_payable`] says, as SQL. Continues a `WHERE`.
macro_rules! unsettled {
    () => {
        "m.workspace_id = ? AND m.mode = ? AND m.state IN ('approved', 'paid') AND m.disputed = 0 AND NOT EXISTS \
         (SELECT 1 FROM payout_entries s WHERE s.entry_id = e.id AND s.released = 0) "
    };
}

/// A participant and a currency in which something is due.
#[derive(Clone, Debug)]
pub struct DuePair {
    /// Whose.
    pub participant_id: ParticipantId,
    /// In which currency.
    pub currency: Currency,
}

/// Who is due, of one program or of all; each row tells also how many there are. Narrows down only: what is due is decided
/// by [`domain::payout::balance`]. Who is erased is not: nobody knows any more where to send it. (The planner, which knows no sizes,
/// would go through everybody's balances by the primary key.)
pub fn due(scope: &Scope, program_id: Option<&str>, limit: i64) -> Statement {
    Statement::new(
        "SELECT b.participant_id, b.currency, count(*) OVER () AS due FROM balances b INDEXED BY balances_due JOIN programs g ON g.id = b.program_id \
         JOIN participants p ON p.id = b.participant_id JOIN partners a ON a.id = p.partner_id \
         WHERE b.workspace_id = ? AND b.mode = ? AND b.due_cents > 0 AND b.due_cents >= g.minimum_payout_cents \
         AND a.erased_at IS NULL",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .push_if(" AND b.program_id = ?", program_id)
    .push(" ORDER BY b.participant_id, b.currency LIMIT ?")
    .bind(limit)
}

/// Reads a row of [`due`].
pub fn decode_due(row: &Row) -> Result<DuePair, DbError> {
    Ok(DuePair { participant_id: participant(row)?, currency: currency(row)? })
}

/// What one participant has unsettled in one currency: as much as one payout takes.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Whose.
    pub participant_id: ParticipantId,
    /// In which program.
    pub program_id: ProgramId,
    /// In which currency.
    pub currency: Currency,
    /// What a payout must reach.
    pub minimum_cents: i64,
    entries: Vec<(String, String, i64)>,
}

impl Standing {
    /// The entries, as the rule takes them.
    pub fn unsettled(&self) -> Vec<Unsettled<'_>> {
        self.entries
            .iter()
            .map(|(entry_id, _, amount_cents)| Unsettled { entry_id, amount_cents: *amount_cents })
            .collect()
    }

    /// Their commissions, each once.
    pub fn commission_ids(&self) -> Vec<String> {
        let ids: std::collections::BTreeSet<&String> =
            self.entries.iter().map(|(_, commission, _)| commission).collect();
        ids.into_iter().cloned().collect()
    }
}

/// What these participants have unsettled: a row per participant and currency.
pub fn unsettled(scope: &Scope, participant_ids: &[&str]) -> Result<Statement, DbError> {
    Ok(Statement::new(concat!(
        "SELECT u.participant_id, u.program_id, u.currency, g.minimum_payout_cents, \
         json_group_array(json_array(u.id, u.commission_id, u.amount_cents)) AS entries FROM (SELECT e.id, e.commission_id, \
         e.amount_cents, m.participant_id, m.program_id, m.currency, ROW_NUMBER() OVER (PARTITION BY m.participant_id, \
         m.currency ORDER BY e.amount_cents > 0, e.id) AS place FROM commissions m JOIN entries e ON e.commission_id = m.id \
         WHERE ",
        unsettled!(),
        " AND m.participant_id IN (SELECT value FROM json_each(?))) u JOIN programs g ON g.id = u.program_id \
         WHERE u.place <= ? GROUP BY u.participant_id, u.currency ORDER BY u.participant_id, u.currency"
    ))
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(super::to_json(&participant_ids)?)
    .bind(ENTRIES_MAX))
}

/// Reads a row of [`unsettled`].
pub fn decode_unsettled(row: &Row) -> Result<Standing, DbError> {
    let mut entries: Vec<(String, String, i64)> = row.json("entries")?;
    // As the statement that settles them orders them.
    entries.sort_by(|a, b| (a.2 > 0, &a.0).cmp(&(b.2 > 0, &b.0)));
    Ok(Standing {
        participant_id: participant(row)?,
        program_id: row.parsed("program_id", Id::parse, "a program id")?,
        currency: currency(row)?,
        minimum_cents: row.integer("minimum_payout_cents")?,
        entries,
    })
}

/// A payout.
#[derive(Clone, Debug)]
pub struct Payout {
    /// Its id.
    pub id: PayoutId,
    /// To whom.
    pub participant_id: ParticipantId,
    /// Of which program.
    pub program_id: ProgramId,
    /// Its currency.
    pub currency: Currency,
    /// In the minor unit, above 0.
    pub amount_cents: i64,
    /// Its status.
    pub status: PayoutStatus,
    /// How many entries it settles.
    pub entries: i64,
    /// Whose entries.
    pub commission_ids: Vec<String>,
    /// When it was made.
    pub created_at: Instant,
    /// When it was paid or canceled.
    pub settled_at: Option<Instant>,
}

/// A draft of exactly the entries that were seen. If any was added, settled or taken out of reach since, or whose they are is
/// erased, the CHECK fails, and the batch with it; two payouts of one entry are refused by the unique index besides.
pub fn insert(
    scope: &Scope,
    payout: &Payout,
    seen: &Standing,
    now: Instant,
    request_id: &str,
) -> Result<Vec<Statement>, DbError> {
    let ids: Vec<&String> = seen.entries.iter().map(|(entry, _, _)| entry).collect();
    let ids = super::to_json(&ids)?;
    let draft = Statement::new(concat!(
        "INSERT INTO payouts (amount_cents, id, workspace_id, mode, participant_id, program_id, currency, status, created_at, \
         request_id, entry_count, commission_ids) SELECT CASE WHEN (SELECT json_group_array(id) FROM (SELECT e.id FROM commissions m JOIN entries e \
         ON e.commission_id = m.id WHERE ",
        unsettled!(),
        " AND m.participant_id = ? AND m.currency = ? ORDER BY e.amount_cents > 0, e.id LIMIT ?)) = ? \
         AND NOT EXISTS (SELECT 1 FROM participants p JOIN partners a ON a.id = p.partner_id WHERE p.id = ? AND a.erased_at IS NOT NULL) \
         THEN ? ELSE -1 END, ?, ?, ?, ?, ?, ?, 'draft', ?, ?, ?, ?"
    ))
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(payout.participant_id.as_str())
    .bind(payout.currency.code())
    .bind(ENTRIES_MAX)
    .bind(&ids)
    .bind(payout.participant_id.as_str())
    .bind(payout.amount_cents)
    .bind(payout.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(payout.participant_id.as_str())
    .bind(payout.program_id.as_str())
    .bind(payout.currency.code())
    .bind(now)
    .bind(request_id)
    .bind(payout.entries)
    .bind(super::to_json(&payout.commission_ids)?);
    let settled = Statement::new("INSERT INTO payout_entries (payout_id, entry_id) SELECT ?, value FROM json_each(?)")
        .bind(payout.id.as_str())
        .bind(ids);
    Ok(vec![draft, settled])
}

/// Moves a payout on from where it was seen. If it stands elsewhere by now, the CHECK fails, and the batch with it.
pub fn move_by_act(scope: &Scope, payout: &Payout, to: PayoutStatus, now: Instant) -> Statement {
    let update =
        Statement::new("UPDATE payouts SET status = CASE WHEN status = ? THEN ? ELSE 'raced' END, settled_at = ? ")
            .bind(payout.status.as_str())
            .bind(to.as_str())
            .bind(now);
    scope.bound(update).push(" AND id = ?").bind(payout.id.as_str())
}

/// Frees the entries of a payout that was canceled in the same batch.
pub fn release(id: &PayoutId) -> Statement {
    Statement::new("UPDATE payout_entries SET released = 1 WHERE payout_id = ?").bind(id.as_str())
}

const COLUMNS: &str = "SELECT id, participant_id, program_id, currency, amount_cents, status, created_at, settled_at, \
     COALESCE(entry_count, (SELECT count(*) FROM payout_entries s WHERE s.payout_id = payouts.id)) AS entries, \
     COALESCE(commission_ids, (SELECT json_group_array(commission_id) FROM (SELECT DISTINCT e.commission_id FROM payout_entries s \
     JOIN entries e ON e.id = s.entry_id WHERE s.payout_id = payouts.id ORDER BY e.commission_id))) AS commission_ids, \
     (SELECT p.name FROM participants m JOIN partners p ON p.id = m.partner_id WHERE m.id = payouts.participant_id) AS name, \
     (SELECT p.email FROM participants m JOIN partners p ON p.id = m.partner_id WHERE m.id = payouts.participant_id) AS email \
     FROM payouts ";

/// One payout.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One status.
    pub status: Option<String>,
    /// One participant.
    pub participant_id: Option<String>,
}

/// A page of payouts.
pub fn list(scope: &Scope, filter: &Filter, page: &Page) -> Statement {
    let statement = scope
        .bound(Statement::new(COLUMNS))
        .push_if(" AND status = ?", filter.status.as_ref())
        .push_if(" AND participant_id = ?", filter.participant_id.as_ref());
    page.bound(statement)
}

/// Reads a payout.
pub fn decode(row: &Row) -> Result<Payout, DbError> {
    Ok(Payout {
        id: row.parsed("id", Id::parse, "a payout id")?,
        participant_id: participant(row)?,
        program_id: row.parsed("program_id", Id::parse, "a program id")?,
        currency: currency(row)?,
        amount_cents: row.integer("amount_cents")?,
        status: row.parsed("status", PayoutStatus::parse, "a payout's status")?,
        entries: row.integer("entries")?,
        commission_ids: row.json("commission_ids")?,
        created_at: row.instant("created_at")?,
        settled_at: row.instant_opt("settled_at")?,
    })
}

/// Reads the name and the e-mail address of the partner that a payout goes to.
pub fn decode_payee(row: &Row) -> Result<(String, String), DbError> {
    Ok((row.text("name")?, row.text("email")?))
}

/// One entry of a payout, with what it is of.
#[derive(Clone, Debug)]
pub struct Line {
    /// The entry.
    pub entry_id: String,
    /// Its commission.
    pub commission_id: String,
    /// The conversion that earned it.
    pub conversion_id: String,
    /// Why the entry was made.
    pub kind: String,
    /// Its signed amount.
    pub amount_cents: i64,
    /// When it was made.
    pub created_at: Instant,
}

/// The first entries of a payout, oldest first.
pub fn first_lines(scope: &Scope, id: &str, limit: i64) -> Statement {
    lines(scope, id).push(" LIMIT ?").bind(limit)
}

/// The entries of a payout, oldest first.
pub fn lines(scope: &Scope, id: &str) -> Statement {
    Statement::new(
        "SELECT e.id, e.commission_id, m.conversion_id, e.kind, e.amount_cents, e.created_at FROM payout_entries s \
         JOIN entries e ON e.id = s.entry_id JOIN commissions m ON m.id = e.commission_id \
         WHERE +m.workspace_id = ? AND +m.mode = ? AND s.payout_id = ? ORDER BY e.id",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(id)
}

/// Reads an entry of a payout.
pub fn decode_line(row: &Row) -> Result<Line, DbError> {
    Ok(Line {
        entry_id: row.text("id")?,
        commission_id: row.text("commission_id")?,
        conversion_id: row.text("conversion_id")?,
        kind: row.text("kind")?,
        amount_cents: row.integer("amount_cents")?,
        created_at: row.instant("created_at")?,
    })
}

/// Participants who have commissions, for the view of balances: newest first.
pub fn participants(
    scope: &Scope,
    program_id: Option<&String>,
    participant_id: Option<&String>,
    page: &Page,
) -> Statement {
    scope
        .bound(Statement::new("SELECT DISTINCT participant_id AS id, program_id FROM balances "))
        .push_if(" AND program_id = ?", program_id)
        .push_if(" AND participant_id = ?", participant_id)
        .push_if(" AND participant_id < ?", page.after.as_ref())
        .push(" ORDER BY participant_id DESC LIMIT ?")
        .bind(page.limit + 1)
}

/// What is earned in a program, in one currency, in the minor unit.
#[derive(Clone, Debug)]
pub struct Total {
    /// The program.
    pub program_id: String,
    /// The currency.
    pub currency: Currency,
    /// Not approved yet.
    pub pending_cents: i64,
    /// Approved, and in no payout; negative after refunds of what was paid.
    pub due_cents: i64,
    /// Stopped by a dispute.
    pub disputed_cents: i64,
    /// In payouts that are not paid yet.
    pub drafted_cents: i64,
    /// In paid payouts.
    pub paid_cents: i64,
}

/// Programs and currencies that [`totals`] shows, at most.
const TOTALS_MAX: i64 = 100;

/// What is earned in each program and currency, the newest program first.
pub fn totals(scope: &Scope) -> Statement {
    let columns = "SELECT program_id, currency, pending_cents, due_cents, disputed_cents, drafted_cents, paid_cents \
         FROM program_balances ";
    scope.bound(Statement::new(columns)).push(" ORDER BY program_id DESC, currency LIMIT ?").bind(TOTALS_MAX)
}

/// Reads a row of [`totals`].
pub fn decode_total(row: &Row) -> Result<Total, DbError> {
    Ok(Total {
        program_id: row.text("program_id")?,
        currency: currency(row)?,
        pending_cents: row.integer("pending_cents")?,
        due_cents: row.integer("due_cents")?,
        disputed_cents: row.integer("disputed_cents")?,
        drafted_cents: row.integer("drafted_cents")?,
        paid_cents: row.integer("paid_cents")?,
    })
}

/// What a participant has in one currency.
#[derive(Clone, Debug)]
pub struct Sums {
    /// Whose.
    pub participant_id: String,
    /// In which currency.
    pub currency: Currency,
    /// What a payout must reach.
    pub minimum_cents: i64,
    /// Payable, and in no payout; negative after refunds of what was paid.
    pub unsettled_cents: i64,
    /// In payouts that are not paid yet.
    pub drafted_cents: i64,
    /// In paid payouts.
    pub paid_cents: i64,
    /// Nobody can be paid any more.
    pub is_erased: bool,
}

/// The sums of these participants: a row per participant and currency.
pub fn sums(scope: &Scope, participant_ids: &[String]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT b.participant_id, b.currency, g.minimum_payout_cents, b.due_cents AS unsettled, b.drafted_cents AS drafted, \
         b.paid_cents AS paid, EXISTS (SELECT 1 FROM participants p JOIN partners a ON a.id = p.partner_id \
         WHERE p.id = b.participant_id AND a.erased_at IS NOT NULL) AS is_erased FROM balances b JOIN programs g ON g.id = b.program_id WHERE b.workspace_id = ? AND b.mode = ? \
         AND b.participant_id IN (SELECT value FROM json_each(?)) ORDER BY b.participant_id, b.currency",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(super::to_json(&participant_ids)?))
}

/// Reads a row of [`sums`].
pub fn decode_sums(row: &Row) -> Result<Sums, DbError> {
    Ok(Sums {
        participant_id: row.text("participant_id")?,
        currency: currency(row)?,
        minimum_cents: row.integer("minimum_payout_cents")?,
        unsettled_cents: row.integer("unsettled")?,
        drafted_cents: row.integer("drafted")?,
        paid_cents: row.integer("paid")?,
        is_erased: row.flag("is_erased")?,
    })
}

fn participant(row: &Row) -> Result<ParticipantId, DbError> {
    row.parsed("participant_id", Id::parse, "a participant id")
}

fn currency(row: &Row) -> Result<Currency, DbError> {
    row.parsed("currency", |code| Currency::parse(code).ok(), "a currency")
}
