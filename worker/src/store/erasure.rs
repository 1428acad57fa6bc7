//! Erasing a partner: what tells who they were is replaced, wherever it stands. Conversions, commissions, entries and payouts
//! hold ids alone and stay.

use domain::ids::PartnerId;
use domain::time::Instant;

use super::{DbError, Row, Scope, Statement};

/// What a partner is called afterwards.
pub const NAME: &str = "Erased partner";
/// What stands for what they wrote.
const TEXT: &str = "Erased";

/// The address that stands for theirs: one that nobody has (RFC 2606), and that no other partner has.
pub fn address(partner_id: &PartnerId) -> String {
    format!("{partner_id}@erased.invalid")
}

/// Replaces what tells who a partner was who had this address. For the second time it changes nothing. If somebody put them into
/// a program since they were stopped in all, a CHECK fails, and the batch with it.
pub fn partner(scope: &Scope, id: &PartnerId, email: &str, now: Instant) -> Vec<Statement> {
    let placeholder = address(id);
    // What is no JSON fails the CHECK.
    let partner = Statement::new(
        "UPDATE partners SET name = ?, email = ?, payout_details = NULL, tax_id = NULL, unmailed = iif(EXISTS (SELECT 1 \
         FROM participants m WHERE m.workspace_id = partners.workspace_id AND m.mode = partners.mode AND m.partner_id = partners.id \
         AND m.status IN ('pending', 'approved')), 'raced', '[]'), erased_at = ? ",
    )
    .bind(NAME)
    .bind(&placeholder)
    .bind(now);
    let partner = scope.bound(partner).push(" AND erased_at IS NULL AND id = ?").bind(id.as_str());
    let of_participants = |statement: Statement| {
        let whose = "SELECT id FROM participants WHERE workspace_id = ? AND mode = ? AND partner_id = ?";
        let statement = scope.bound(statement).push(" AND participant_id IN (").push(whose).push(")");
        statement.bind_workspace(&scope.workspace_id).bind(scope.mode).bind(id.as_str())
    };
    let said = scope.bound(Statement::new("UPDATE participants SET application = NULL "));
    let links = Statement::new("UPDATE links SET name = '' ");
    let questions = Statement::new(
        "UPDATE questions SET text = ?1, answer = iif(answer IS NULL, NULL, ?1), external_transaction_id = NULL, \
         happened_on = NULL ",
    )
    .bind(TEXT);
    let notices = scope.bound(Statement::new("UPDATE notices SET mail_due_at = NULL "));
    let invites = || {
        Statement::new("UPDATE invites SET email = ?, name = '', status = iif(status = 'pending', 'revoked', status) ")
            .bind(&placeholder)
    };
    vec![
        partner,
        said.push(" AND partner_id = ?").bind(id.as_str()),
        of_participants(links),
        of_participants(questions),
        notices.push(" AND partner_id = ?").bind(id.as_str()),
        scope.bound(invites()).push(" AND email = ?").bind(email),
        // And those that they became a participant by, when they may have had another address.
        of_participants(invites()),
    ]
}

/// What is left of an address but for one partner: a row of each database, which knows its own.
pub fn left_of(email_hash: &str, email: &str, but: &PartnerId) -> Statement {
    Statement::each(
        "SELECT EXISTS (SELECT 1 FROM members m JOIN people q ON q.id = m.person_id WHERE q.email_hash = ?1) \
         OR EXISTS (SELECT 1 FROM partners WHERE email = ?2 AND id <> ?3) AS is_somebody, \
         EXISTS (SELECT 1 FROM people q JOIN acts a ON a.person_id = q.id WHERE q.email_hash = ?1) AS has_acted",
    )
    .bind(email_hash)
    .bind(email)
    .bind(but.as_str())
}

/// Reads the rows of [`left_of`]: whether they are somebody still, and whether they acted for a merchant.
pub fn decode_left(rows: &[Row]) -> Result<(bool, bool), DbError> {
    let (mut is_somebody, mut has_acted) = (false, false);
    for row in rows {
        is_somebody |= row.flag("is_somebody")?;
        has_acted |= row.flag("has_acted")?;
    }
    Ok((is_somebody, has_acted))
}

/// Forgets the person of an address that is nobody's any more: their sessions end. Whoever became a member meanwhile stays.
pub fn person(email_hash: &str, has_acted: bool) -> Vec<Statement> {
    const OF: &str = "email_hash = ? AND NOT EXISTS (SELECT 1 FROM members m JOIN people q ON q.id = m.person_id \
         WHERE q.email_hash = ?)";
    let of = |statement: Statement| statement.push(OF).bind(email_hash).bind(email_hash);
    let mut gone = vec![
        of(Statement::each("DELETE FROM sessions WHERE person_id IN (SELECT id FROM people WHERE ")).push(")"),
        of(Statement::each("DELETE FROM sign_in_links WHERE ")),
    ];
    // Whoever acted for a merchant stays named in what they did there, which is for good.
    if !has_acted {
        gone.push(of(Statement::each("DELETE FROM people WHERE ")));
    }
    gone
}
