//! `links`, `hosts` and `promo_codes`.

use domain::ids::{HostId, Id, LinkId, ParticipantId, PromoCodeId};
use domain::status::LinkStatus;
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// A link.
#[derive(Clone, Debug)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// Whose it is.
    pub participant_id: ParticipantId,
    /// The token in `?ref=`.
    pub link_ref: String,
    /// In `/r/{slug}`.
    pub slug: String,
    /// Where it leads.
    pub landing_url: String,
    /// What its owner calls it.
    pub name: String,
    /// Its status.
    pub status: LinkStatus,
    /// Clicks on it that count, whatever became of their records.
    pub clicks: i64,
    /// When it was made.
    pub created_at: Instant,
}

/// A new link, if the participant is of this workspace and mode; otherwise nothing.
pub fn insert(scope: &Scope, link: &Link) -> Statement {
    insert_where(scope, link, " RETURNING id")
}

fn insert_where(scope: &Scope, link: &Link, rest: &'static str) -> Statement {
    Statement::new(
        "INSERT INTO links (id, workspace_id, mode, participant_id, ref, slug, landing_url, name, status, created_at) \
         SELECT ?, workspace_id, mode, id, ?, ?, ?, ?, ?, ? FROM participants WHERE workspace_id = ? AND mode = ? \
         AND id = ?",
    )
    .push(rest)
    .bind(link.id.as_str())
    .bind(&link.link_ref)
    .bind(&link.slug)
    .bind(&link.landing_url)
    .bind(&link.name)
    .bind(link.status.as_str())
    .bind(link.created_at)
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(link.participant_id.as_str())
}

/// A new link that a participant makes by themselves: only while they are approved, and no more than so many that are not
/// archived. Gives its id.
pub fn insert_own(scope: &Scope, link: &Link, max: i64) -> Statement {
    insert_where(
        scope,
        link,
        " AND status = 'approved' AND (SELECT count(*) FROM links l WHERE l.workspace_id = participants.workspace_id \
         AND l.mode = participants.mode AND l.participant_id = participants.id AND l.status <> 'archived') < ? RETURNING id",
    )
    .bind(max)
}

/// Links with their clicks that count: the totals, and what is not in them yet.
fn listed(scope: &Scope) -> Statement {
    let statement = Statement::new(
        "SELECT id, participant_id, ref, slug, landing_url, name, status, archived_from, created_at, COALESCE(fresh, 0) + COALESCE((SELECT t.humans \
         FROM click_totals t WHERE t.workspace_id = links.workspace_id AND t.mode = links.mode AND t.kind = 'link_ever' \
         AND t.name = CAST(links.number AS TEXT) AND t.day = 0), 0) AS clicks FROM links LEFT JOIN \
         (SELECT link_number, SUM(humans) AS fresh FROM unsummed_clicks WHERE workspace_id = ? AND mode = ? GROUP BY link_number) u \
         ON u.link_number = links.number ",
    );
    scope.bound(statement.bind_workspace(&scope.workspace_id).bind(scope.mode))
}

/// One link.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    listed(scope).push(" AND id = ?").bind(id)
}

/// A page of links, of one participant or status where one is given.
pub fn list(scope: &Scope, participant_id: Option<&String>, status: Option<&String>, page: &Page) -> Statement {
    let statement = listed(scope).push_if(" AND participant_id = ?", participant_id).push_if(" AND status = ?", status);
    page.bound(statement)
}

/// Changes what is given of a link. Each is written alone, so that of two changes at once neither undoes the other.
pub fn change(scope: &Scope, id: &str, name: Option<&String>, landing_url: Option<&String>) -> Statement {
    let update = Statement::new("UPDATE links SET name = COALESCE(?, name), landing_url = COALESCE(?, landing_url) ")
        .bind(name)
        .bind(landing_url);
    scope.bound(update).push(" AND id = ?").bind(id)
}

/// Sets the status, as the merchant wants it; gives the id if there is such a link.
pub fn set_status(scope: &Scope, id: &str, status: LinkStatus) -> Statement {
    let update = Statement::new("UPDATE links SET status = ?, archived_from = NULL ").bind(status.as_str());
    scope.bound(update).push(" AND id = ? RETURNING id").bind(id)
}

/// Archives a link for its own partner, who can take it back.
pub fn archive_own(scope: &Scope, id: &str) -> Statement {
    let update = Statement::new("UPDATE links SET status = 'archived', archived_from = status ");
    scope.bound(update).push(" AND id = ? AND status <> 'archived'").bind(id)
}

/// Gives a link back to the partner who archived it, as it was, if that makes no more than so many. What the merchant archived, or
/// paused before, stays so. Gives its id.
pub fn restore_own(scope: &Scope, id: &str, max: i64) -> Statement {
    let update = Statement::new("UPDATE links SET status = archived_from, archived_from = NULL ");
    scope
        .bound(update)
        .push(
            " AND id = ? AND archived_from IS NOT NULL AND (SELECT count(*) FROM links l WHERE l.workspace_id = links.workspace_id \
             AND l.mode = links.mode AND l.participant_id = links.participant_id AND l.status <> 'archived') < ? RETURNING id",
        )
        .bind(id)
        .bind(max)
}

/// Whether the partner of a link that was read can take it back.
pub fn is_restorable(row: &Row) -> Result<bool, DbError> {
    Ok(row.text_opt("archived_from")?.is_some())
}

/// Reads a link.
pub fn decode(row: &Row) -> Result<Link, DbError> {
    Ok(Link {
        id: row.parsed("id", Id::parse, "a link id")?,
        participant_id: row.parsed("participant_id", Id::parse, "a participant id")?,
        link_ref: row.text("ref")?,
        slug: row.text("slug")?,
        landing_url: row.text("landing_url")?,
        name: row.text("name")?,
        status: row.parsed("status", LinkStatus::parse, "a link's status")?,
        clicks: row.integer("clicks")?,
        created_at: row.instant("created_at")?,
    })
}

/// The number of the active link with this ref.
pub fn number_by_ref(scope: &Scope, link_ref: &str) -> Statement {
    Statement::new("SELECT number FROM links WHERE workspace_id = ? AND mode = ? AND ref = ? AND status = 'active'")
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(link_ref)
}

/// Where an active link leads, and what its clicks are counted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortLink {
    /// Whose it is.
    pub owner: Owner,
    /// Its number, by which click ids name it.
    pub number: u32,
    /// The token in `?ref=`.
    pub link_ref: String,
    /// Where it leads.
    pub landing_url: String,
    /// Its workspace is suspended: visitors are sent on, and not counted.
    pub is_suspended: bool,
}

/// Whose a link or a host is, where no key says so, and what the clicks are counted under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The workspace and mode.
    pub scope: Scope,
    /// The workspace's newest public key of the mode; where there is none, a name of the workspace's own.
    pub key_id: String,
    /// The workspace's limit of clicks.
    pub clicks_per_minute: u32,
}

/// The active link with this slug, of whatever workspace and mode.
pub fn by_slug(slug: &str) -> Statement {
    Statement::somewhere(
        "SELECT o.workspace_id, o.mode, o.number, o.ref, o.landing_url, w.suspended_at IS NOT NULL AS is_suspended, ",
    )
    .push(COUNTED_UNDER)
    .push(" FROM links o JOIN workspaces w ON w.id = o.workspace_id WHERE o.slug = ? AND o.status = 'active'")
    .bind(slug)
}

/// What clicks without a key are counted under: the limit of the workspace `w`, and a name for the workspace and mode of `o`.
const COUNTED_UNDER: &str = "w.clicks_per_minute, COALESCE((SELECT k.id FROM api_keys k WHERE k.workspace_id = \
    o.workspace_id AND k.mode = o.mode AND k.kind = 'public' AND k.revoked_at IS NULL ORDER BY k.id DESC LIMIT 1), \
    o.workspace_id || ':' || o.mode) AS key_id";

/// That name, where the workspace has no public key of the mode.
pub fn counted_under(scope: &Scope) -> String {
    format!("{}:{}", scope.workspace_id, scope.mode)
}

/// Reads a row of [`by_slug`].
pub fn decode_short(row: &Row) -> Result<ShortLink, DbError> {
    Ok(ShortLink {
        owner: decode_owner(row)?,
        number: number(row, "number")?,
        link_ref: row.text("ref")?,
        landing_url: row.text("landing_url")?,
        is_suspended: is_suspended(row)?,
    })
}

/// The owners of this host in live mode, two of them where there are more; suspended ones last.
pub fn owners_of_host(host: &str) -> Statement {
    Statement::each("SELECT o.workspace_id, o.mode, w.suspended_at IS NOT NULL AS is_suspended, ")
        .push(COUNTED_UNDER)
        .push(" FROM hosts o JOIN workspaces w ON w.id = o.workspace_id WHERE o.mode = 'live' AND o.host = ? ORDER BY w.suspended_at IS NOT NULL LIMIT 2")
        .bind(host)
}

/// Whether the workspace of a row of [`by_slug`] or [`owners_of_host`] is suspended.
pub fn is_suspended(row: &Row) -> Result<bool, DbError> {
    row.flag("is_suspended")
}

/// Reads an owner, of [`by_slug`] or [`owners_of_host`].
pub fn decode_owner(row: &Row) -> Result<Owner, DbError> {
    Ok(Owner {
        scope: Scope {
            workspace_id: row.parsed("workspace_id", Id::parse, "a workspace id")?,
            mode: row.mode("mode")?,
        },
        key_id: row.text("key_id")?,
        clicks_per_minute: number(row, "clicks_per_minute")?,
    })
}

/// Reads a row of [`number_by_ref`].
pub fn decode_number(row: &Row) -> Result<u32, DbError> {
    number(row, "number")
}

fn number(row: &Row, column: &'static str) -> Result<u32, DbError> {
    Ok(u32::try_from(row.integer(column)?).unwrap_or(u32::MAX))
}

/// A new host.
pub fn insert_host(scope: &Scope, id: &HostId, host: &str, now: Instant) -> Statement {
    Statement::new("INSERT INTO hosts (id, workspace_id, mode, host, created_at) VALUES (?, ?, ?, ?, ?)")
        .bind(id.as_str())
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(host)
        .bind(now)
}

/// A page of hosts.
pub fn list_hosts(scope: &Scope, page: &Page) -> Statement {
    page.bound(scope.bound(Statement::new("SELECT id, host, created_at FROM hosts ")))
}

/// One host.
pub fn host_by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new("SELECT id, host, created_at FROM hosts ")).push(" AND id = ?").bind(id)
}

/// Whether this host is registered.
pub fn host_exists(scope: &Scope, host: &str) -> Statement {
    scope.bound(Statement::new("SELECT id FROM hosts ")).push(" AND host = ?").bind(host)
}

/// Takes a host away; gives its id if there was one.
pub fn delete_host(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new("DELETE FROM hosts ")).push(" AND id = ? RETURNING id").bind(id)
}

/// A promo code.
#[derive(Clone, Debug)]
pub struct PromoCode {
    /// Its id.
    pub id: PromoCodeId,
    /// Whose it is.
    pub participant_id: ParticipantId,
    /// As buyers type it.
    pub code: String,
    /// Stripe's promotion code, where there is one.
    pub stripe_promotion_code_id: Option<String>,
    /// When it was made.
    pub created_at: Instant,
}

/// How codes are compared.
pub fn folded(code: &str) -> String {
    code.trim().to_lowercase()
}

/// A new promo code, if the participant is of this workspace and mode; otherwise nothing.
pub fn insert_promo_code(scope: &Scope, promo: &PromoCode) -> Statement {
    Statement::new(
        "INSERT INTO promo_codes (id, workspace_id, mode, participant_id, code, code_folded, stripe_promotion_code_id, \
         created_at) SELECT ?, workspace_id, mode, id, ?, ?, ?, ? FROM participants WHERE workspace_id = ? AND mode = ? \
         AND id = ? RETURNING id",
    )
    .bind(promo.id.as_str())
    .bind(&promo.code)
    .bind(folded(&promo.code))
    .bind(promo.stripe_promotion_code_id.as_ref())
    .bind(promo.created_at)
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(promo.participant_id.as_str())
}

const PROMO: &str = "SELECT id, participant_id, code, stripe_promotion_code_id, created_at FROM promo_codes ";

/// Maps a code to Stripe's, where one is given.
pub fn change_promo_code(scope: &Scope, id: &str, stripe_promotion_code_id: Option<&String>) -> Statement {
    let update =
        Statement::new("UPDATE promo_codes SET stripe_promotion_code_id = COALESCE(?, stripe_promotion_code_id) ")
            .bind(stripe_promotion_code_id);
    scope.bound(update).push(" AND id = ?").bind(id)
}

/// Takes a code's mapping away.
pub fn unmap_promo_code(scope: &Scope, id: &str) -> Statement {
    let update = Statement::new("UPDATE promo_codes SET stripe_promotion_code_id = NULL ");
    scope.bound(update).push(" AND id = ?").bind(id)
}

/// One promo code.
pub fn promo_code_by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(PROMO)).push(" AND id = ?").bind(id)
}

/// A page of promo codes, of one participant where one is given.
pub fn list_promo_codes(scope: &Scope, participant_id: Option<&String>, page: &Page) -> Statement {
    page.bound(scope.bound(Statement::new(PROMO)).push_if(" AND participant_id = ?", participant_id))
}

/// Reads a promo code.
pub fn decode_promo_code(row: &Row) -> Result<PromoCode, DbError> {
    Ok(PromoCode {
        id: row.parsed("id", Id::parse, "a promo code id")?,
        participant_id: row.parsed("participant_id", Id::parse, "a participant id")?,
        code: row.text("code")?,
        stripe_promotion_code_id: row.text_opt("stripe_promotion_code_id")?,
        created_at: row.instant("created_at")?,
    })
}
