//! Erasing a partner: what tells who they were is replaced, wherever it stands. Conversions, commissions, entries and payouts
//! hold ids alone and stay.

use domain::ids::PartnerId;
use domain::time::Instant;

use super::{Scope, Statement};

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

/// Forgets the person of an address that is no member's and, by now, no partner's: their sessions end.
pub fn person(email_hash: &str, email: &str) -> Vec<Statement> {
    const OF: &str = "email_hash = ? AND NOT EXISTS (SELECT 1 FROM members m JOIN people q ON q.id = m.person_id \
         WHERE q.email_hash = ?) AND NOT EXISTS (SELECT 1 FROM partners WHERE email = ?)";
    let of = |statement: Statement| statement.push(OF).bind(email_hash).bind(email_hash).bind(email);
    vec![
        of(Statement::new("DELETE FROM sessions WHERE person_id IN (SELECT id FROM people WHERE ")).push(")"),
        of(Statement::new("DELETE FROM sign_in_links WHERE ")),
        // Whoever acted for a merchant stays named in what they did there, which is for good.
        of(Statement::new("DELETE FROM people WHERE "))
            .push(" AND NOT EXISTS (SELECT 1 FROM acts WHERE person_id = people.id)"),
    ]
}
