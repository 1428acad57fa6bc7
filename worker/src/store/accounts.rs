//! `people`, `members`, `sign_in_links`.

use domain::account::{LINK_LIVES_MS, Role};
use domain::ids::{Id, MemberId, PersonId, WorkspaceId};
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Statement};

/// An e-mail address as it is kept: a keyed hash to find it by, and sealed.
#[derive(Clone, Debug)]
pub struct Address {
    /// To look it up.
    pub hash: String,
    /// Only our secret opens it.
    pub sealed: String,
}

/// A person of this address. Where there is one, the address is sealed anew: under the newest key, and in place of what no key opens.
pub fn insert_person(id: &PersonId, address: &Address, name: &str, now: Instant) -> Statement {
    Statement::directory(
        "INSERT INTO people (id, email_hash, email, name, created_at) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (email_hash) DO UPDATE SET email = excluded.email",
    )
    .bind(id.as_str())
    .bind(&address.hash)
    .bind(&address.sealed)
    .bind(name)
    .bind(now)
}

/// The same in another database than the first, for acts to name. One that was left there under another id is nobody's any more.
pub fn copy_person(id: &PersonId, address: &Address, name: &str, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO people (id, email_hash, email, name, created_at) VALUES (?, ?, ?, ?, ?) \
         ON CONFLICT (id) DO UPDATE SET email = excluded.email WHERE email <> excluded.email ON CONFLICT (email_hash) DO UPDATE SET id = excluded.id WHERE id <> excluded.id \
         AND NOT EXISTS (SELECT 1 FROM acts WHERE person_id = people.id)",
    )
    .bind(id.as_str())
    .bind(&address.hash)
    .bind(&address.sealed)
    .bind(name)
    .bind(now)
}

/// Makes the person of this address a member. Refused where they are one.
pub fn insert_member(id: &MemberId, workspace: &WorkspaceId, email_hash: &str, role: Role, now: Instant) -> Statement {
    Statement::directory(
        "INSERT INTO members (id, workspace_id, person_id, role, created_at) SELECT ?, ?, id, ?, ? FROM people WHERE email_hash = ?",
    )
    .bind(id.as_str())
    .bind_workspace(workspace)
    .bind(role.as_str())
    .bind(now)
    .bind(email_hash)
}

/// The same, or makes the member that they are an owner.
pub fn make_owner(id: &MemberId, workspace: &WorkspaceId, email_hash: &str, now: Instant) -> Statement {
    insert_member(id, workspace, email_hash, Role::Owner, now)
        .push(" ON CONFLICT (workspace_id, person_id) DO UPDATE SET role = 'owner'")
}

/// A membership, as a signed-in person has it.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its name.
    pub workspace_name: String,
    /// What they are there.
    pub role: Role,
    /// The workspace's limit of management requests.
    pub other_per_minute: u32,
    /// The workspace is suspended.
    pub is_suspended: bool,
}

/// Under which of these hashes somebody is kept: all of one address. A member before somebody who is none.
pub fn kept_under(hashes: &[String]) -> Statement {
    let first = Statement::directory("SELECT email_hash FROM people WHERE email_hash IN (NULL");
    hashes
        .iter()
        .fold(first, |statement, hash| statement.push(", ?").bind(hash))
        .push(") ORDER BY EXISTS (SELECT 1 FROM members m WHERE m.person_id = people.id) DESC, id LIMIT 1")
}

/// Reads a row of [`kept_under`].
pub fn decode_kept_under(row: &Row) -> Result<String, DbError> {
    row.text("email_hash")
}

/// The memberships of whoever has this session, by the workspaces' age.
pub fn memberships(session_digest: &str) -> Statement {
    Statement::directory(
        "SELECT m.workspace_id, w.name, m.role, w.other_per_minute, w.suspended_at IS NOT NULL AS is_suspended FROM sessions s JOIN members m ON m.person_id = s.person_id \
         JOIN workspaces w ON w.id = m.workspace_id WHERE s.digest = ? ORDER BY w.id",
    )
    .bind(session_digest)
}

/// Reads a row of [`memberships`].
pub fn decode_membership(row: &Row) -> Result<Membership, DbError> {
    Ok(Membership {
        workspace_id: row.parsed("workspace_id", Id::parse, "a workspace id")?,
        workspace_name: row.text("name")?,
        role: row.parsed("role", Role::parse, "a role")?,
        other_per_minute: u32::try_from(row.integer("other_per_minute")?).unwrap_or(u32::MAX),
        is_suspended: row.flag("is_suspended")?,
    })
}

/// A member, as their workspace lists them.
#[derive(Clone, Debug)]
pub struct Member {
    /// The membership's id.
    pub id: MemberId,
    /// The person's hash of their address.
    pub email_hash: String,
    /// The person's address, sealed.
    pub email: String,
    /// The person's name; may be empty.
    pub name: String,
    /// What they are.
    pub role: Role,
    /// Since when.
    pub created_at: Instant,
    /// When they last came, to the hour; none where they never did, or not for a long time.
    pub seen_at: Option<Instant>,
}

const MEMBER: &str = "SELECT id, email_hash, email, name, role, created_at, seen_at FROM (SELECT m.id, m.workspace_id, \
     p.email_hash, p.email, p.name, m.role, m.created_at, (SELECT max(s.seen_at) FROM sessions s WHERE s.person_id = p.id) AS seen_at \
     FROM members m JOIN people p ON p.id = m.person_id) WHERE workspace_id = ?";

/// A page of members.
pub fn list_members(workspace: &WorkspaceId, page: &Page) -> Statement {
    page.bound(Statement::directory(MEMBER).bind_workspace(workspace))
}

/// One member.
pub fn member_by_id(workspace: &WorkspaceId, id: &str) -> Statement {
    Statement::directory(MEMBER).bind_workspace(workspace).push(" AND id = ?").bind(id)
}

/// Reads a member.
pub fn decode_member(row: &Row) -> Result<Member, DbError> {
    Ok(Member {
        id: row.parsed("id", Id::parse, "a member id")?,
        email_hash: row.text("email_hash")?,
        email: row.text("email")?,
        name: row.text("name")?,
        role: row.parsed("role", Role::parse, "a role")?,
        created_at: row.instant("created_at")?,
        seen_at: row.instant_opt("seen_at")?,
    })
}

/// Addresses of a workspace's owners, with the workspace's name; those who have been it longest first.
pub fn owners(workspace: &WorkspaceId, limit: i64) -> Statement {
    Statement::directory(
        "SELECT p.email_hash, p.email, w.name AS workspace_name FROM members m JOIN people p ON p.id = m.person_id \
         JOIN workspaces w ON w.id = m.workspace_id WHERE m.workspace_id = ? AND m.role = 'owner' ORDER BY m.id LIMIT ?",
    )
    .bind_workspace(workspace)
    .bind(limit)
}

/// Reads a row of [`owners`]: the address, and the workspace's name.
pub fn decode_owner(row: &Row) -> Result<(Address, String), DbError> {
    Ok((decode_address(row)?, row.text("workspace_name")?))
}

/// Only where another owner stays.
const AN_OWNER_STAYS: &str = " AND (role <> 'owner' OR EXISTS (SELECT 1 FROM members o WHERE o.workspace_id = members.workspace_id \
     AND o.role = 'owner' AND o.id <> members.id)) RETURNING id";

/// Gives a member another role, if they still have the one that was seen and an owner stays; gives the row.
pub fn set_role(workspace: &WorkspaceId, id: &str, seen: Role, role: Role) -> Statement {
    Statement::directory("UPDATE members SET role = ?")
        .bind(role.as_str())
        .push(" WHERE workspace_id = ?")
        .bind_workspace(workspace)
        .push(" AND id = ?")
        .bind(id)
        .push(" AND role = ?")
        .bind(seen.as_str())
        .push(AN_OWNER_STAYS)
}

/// Takes a member out, under the same conditions.
pub fn delete_member(workspace: &WorkspaceId, id: &str, seen: Role) -> Statement {
    Statement::directory("DELETE FROM members WHERE workspace_id = ?")
        .bind_workspace(workspace)
        .push(" AND id = ?")
        .bind(id)
        .push(" AND role = ?")
        .bind(seen.as_str())
        .push(AN_OWNER_STAYS)
}

/// What is known of an address.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// A member or a partner has it.
    pub known: bool,
    /// How many links that came by mail can still be spent. A first owner's lives longer, and is not among them.
    pub open_links: i64,
}

/// How an address stands in the directory, which knows members and links; one row. Of partners it knows its own.
pub fn standing(email_hash: &str, email: &str, now: Instant) -> Statement {
    Statement::directory(
        "SELECT EXISTS (SELECT 1 FROM people p JOIN members m ON m.person_id = p.id WHERE p.email_hash = ?) \
         OR EXISTS (SELECT 1 FROM partners WHERE email = ? AND erased_at IS NULL) AS known, (SELECT count(*) FROM sign_in_links \
         WHERE email_hash = ? AND session_digest IS NULL AND expires_at > ? AND expires_at <= ?) AS open_links",
    )
    .bind(email_hash)
    .bind(email)
    .bind(email_hash)
    .bind(now)
    .bind(now.plus_ms(LINK_LIVES_MS))
}

/// Whether the address is a partner's anywhere: a row where it is.
pub fn is_partner(email: &str) -> Statement {
    Statement::somewhere("SELECT id FROM partners WHERE email = ? AND erased_at IS NULL LIMIT 1").bind(email)
}

/// Reads the row of [`standing`].
pub fn decode_standing(rows: &[Row]) -> Result<Standing, DbError> {
    let row = rows.first().ok_or(DbError::Row { column: "known", expected: "in one row" })?;
    Ok(Standing { known: row.flag("known")?, open_links: row.integer("open_links")? })
}

/// Where somebody is a partner.
#[derive(Clone, Debug)]
pub struct Partnership {
    /// The partner's id there.
    pub partner_id: String,
    /// The partner's name there.
    pub name: String,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The workspace's name.
    pub workspace_name: String,
    /// In which mode.
    pub mode: domain::mode::Mode,
}

/// Every place where this address is a partner's, oldest first.
pub fn partnerships(email: &str) -> Statement {
    Statement::each(
        "SELECT p.id, p.name, p.workspace_id, w.name AS workspace_name, p.mode FROM partners p \
         JOIN workspaces w ON w.id = p.workspace_id WHERE p.email = ? AND p.erased_at IS NULL ORDER BY p.id LIMIT 200",
    )
    .bind(email)
}

/// Reads a row of [`partnerships`].
pub fn decode_partnership(row: &Row) -> Result<Partnership, DbError> {
    Ok(Partnership {
        partner_id: row.text("id")?,
        name: row.text("name")?,
        workspace_id: row.parsed("workspace_id", Id::parse, "a workspace id")?,
        workspace_name: row.text("workspace_name")?,
        mode: row.mode("mode")?,
    })
}

/// A new link to sign in by.
pub fn insert_link(
    digest: &str,
    address: &Address,
    next: Option<&str>,
    expires_at: Instant,
    now: Instant,
) -> Statement {
    Statement::directory(
        "INSERT INTO sign_in_links (digest, email_hash, email, next, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(digest)
    .bind(&address.hash)
    .bind(&address.sealed)
    .bind(next)
    .bind(expires_at)
    .bind(now)
}

/// The link with this digest, if it can still be spent.
pub fn open_link(digest: &str, now: Instant) -> Statement {
    Statement::directory(
        "SELECT email_hash, email FROM sign_in_links WHERE digest = ? AND session_digest IS NULL AND expires_at > ?",
    )
    .bind(digest)
    .bind(now)
}

/// Reads the address of a row.
pub fn decode_address(row: &Row) -> Result<Address, DbError> {
    Ok(Address { hash: row.text("email_hash")?, sealed: row.text("email")? })
}

/// Spends a link on a session: in one batch, so that of two who spend it at once only one has a session. The last one's row
/// tells where to go; no row: the link cannot be spent.
pub fn spend_link(
    digest: &str,
    session_digest: &str,
    person: &PersonId,
    expires_at: Instant,
    now: Instant,
) -> Vec<Statement> {
    let spend = Statement::directory(
        "UPDATE sign_in_links SET session_digest = ? WHERE digest = ? AND session_digest IS NULL AND expires_at > ?",
    )
    .bind(session_digest)
    .bind(digest)
    .bind(now);
    let meet = Statement::directory(
        "INSERT INTO people (id, email_hash, email, name, created_at) SELECT ?, email_hash, email, '', ? FROM sign_in_links \
         WHERE session_digest = ? ON CONFLICT (email_hash) DO UPDATE SET email = excluded.email",
    )
    .bind(person.as_str())
    .bind(now)
    .bind(session_digest);
    let begin = Statement::directory(
        "INSERT INTO sessions (digest, person_id, created_at, seen_at, expires_at) SELECT l.session_digest, p.id, ?, ?, ? \
         FROM sign_in_links l JOIN people p ON p.email_hash = l.email_hash WHERE l.session_digest = ?",
    )
    .bind(now)
    .bind(now)
    .bind(expires_at)
    .bind(session_digest);
    let told = Statement::directory("SELECT next FROM sign_in_links WHERE session_digest = ?").bind(session_digest);
    vec![spend, meet, begin, told]
}

/// Reads where a spent link leads.
pub fn decode_next(row: &Row) -> Result<Option<String>, DbError> {
    row.text_opt("next")
}

/// Forgets links that ended before then.
pub fn purge_links(ended: Instant) -> Statement {
    Statement::directory("DELETE FROM sign_in_links WHERE expires_at < ?").bind(ended)
}
