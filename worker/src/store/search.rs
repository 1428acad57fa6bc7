//! Looking something up by what a person has at hand: an id, a transaction, a request, one of Stripe's ids, a code, a ref, the
//! beginning of a name or an address. Every look-up goes by an index and is bounded; a request's id finds recent clicks only.

use domain::ids::{self, Id, Kind};
use domain::time::Instant;

use super::links::folded;
use super::{DbError, Row, Scope, Statement};

/// Hits of one look-up.
const HITS_MAX: i64 = 10;
/// Packs of clicks that a request's id is looked for in: some ten thousand clicks where they come fast, and four days where they come
/// slowly.
const PACKS_MAX: i64 = 100;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Its kind, as the API calls its list.
    pub page: String,
    /// Its id, or of what has no page of its own, that of what it belongs to.
    pub id: String,
    /// What it is called.
    pub label: String,
    /// What else tells it from others; may be empty.
    pub sub: String,
}

/// The list whose objects have ids of this kind.
pub fn page_of(id: &str) -> Option<&'static str> {
    fn is<K: Kind>(id: &str) -> bool {
        Id::<K>::parse(id).is_some()
    }
    type IsOne = fn(&str) -> bool;
    let kinds: [(IsOne, &'static str); 15] = [
        (is::<ids::Conversion>, "conversions"),
        (is::<ids::Commission>, "commissions"),
        (is::<ids::Payout>, "payouts"),
        (is::<ids::Participant>, "participants"),
        (is::<ids::Partner>, "partners"),
        (is::<ids::Program>, "programs"),
        (is::<ids::Link>, "links"),
        (is::<ids::PromoCode>, "promo-codes"),
        (is::<ids::Customer>, "customers"),
        (is::<ids::Refund>, "refunds"),
        (is::<ids::FraudAlert>, "fraud-alerts"),
        (is::<ids::Connection>, "stripe-connections"),
        (is::<ids::StripeEvent>, "stripe-events"),
        (is::<ids::Endpoint>, "webhook-endpoints"),
        (is::<ids::Delivery>, "webhook-deliveries"),
    ];
    kinds.iter().find(|(is, _)| is(id)).map(|(_, page)| *page)
}

/// One object by its id, confined by `WHERE workspace_id = ? AND mode = ? AND id = ?`.
fn by_id(page: &str) -> Option<&'static str> {
    Some(match page {
        "conversions" => "SELECT 'conversions' AS page, id, event_type AS label, id AS sub FROM conversions ",
        "commissions" => "SELECT 'commissions' AS page, id, id AS label, state AS sub FROM commissions ",
        "payouts" => "SELECT 'payouts' AS page, id, id AS label, status AS sub FROM payouts ",
        "participants" => "SELECT 'participants' AS page, id, id AS label, status AS sub FROM participants ",
        "partners" => "SELECT 'partners' AS page, id, name AS label, email AS sub FROM partners ",
        "programs" => "SELECT 'programs' AS page, id, name AS label, slug AS sub FROM programs ",
        "links" => "SELECT 'links' AS page, id, ref AS label, name AS sub FROM links ",
        "promo-codes" => "SELECT 'promo-codes' AS page, id, code AS label, '' AS sub FROM promo_codes ",
        "customers" => {
            "SELECT 'customers' AS page, id, COALESCE(external_id, stripe_customer_id, id) AS label, '' AS sub FROM customers "
        }
        "refunds" => "SELECT 'refunds' AS page, id, external_refund_id AS label, kind AS sub FROM refunds ",
        "fraud-alerts" => "SELECT 'fraud-alerts' AS page, id, rule AS label, status AS sub FROM fraud_alerts ",
        "stripe-connections" => {
            "SELECT 'stripe-connections' AS page, id, id AS label, '' AS sub FROM stripe_connections "
        }
        "stripe-events" => "SELECT 'stripe-events' AS page, id, stripe_id AS label, type AS sub FROM stripe_events ",
        "webhook-endpoints" => {
            "SELECT 'webhook-endpoints' AS page, id, url AS label, status AS sub FROM webhook_endpoints "
        }
        "webhook-deliveries" => {
            "SELECT 'webhook-deliveries' AS page, id, id AS label, status AS sub FROM webhook_deliveries "
        }
        _ => return None,
    })
}

/// What begins with a text, as the bounds of a range: from it on, and before the last text that begins so.
fn range(prefix: &str) -> (String, String) {
    (prefix.to_owned(), format!("{prefix}\u{10ffff}"))
}

/// Everything that this text may name. One batch. `clicked_at` is what the text tells where it is a click's id of ours.
pub fn all(scope: &Scope, text: &str, clicked_at: Option<Instant>) -> Vec<Statement> {
    let mut batch = Vec::new();
    if let Some(sql) = page_of(text).and_then(by_id) {
        batch.push(scope.bound(Statement::new(sql)).push(" AND id = ?").bind(text));
    }
    batch.extend(by_parts(scope, text));
    batch.extend(click(scope, text, clicked_at));
    batch.extend(by_names_outside(scope, text));
    batch.extend(by_request(scope, text));
    batch.extend(by_beginnings(scope, text));
    batch
}

/// By the id of something that has no page of its own.
fn by_parts(scope: &Scope, text: &str) -> Vec<Statement> {
    let part =
        |sql: &'static str| scope.bound(Statement::new(sql)).push(" AND id = ? LIMIT ?").bind(text).bind(HITS_MAX);
    let mut batch = Vec::new();
    if ids::DecisionId::parse(text).is_some() {
        batch.push(part(
            "SELECT iif(conversion_id IS NULL, 'attribution-audit', 'conversions') AS page, \
             COALESCE(conversion_id, external_transaction_id, '') AS id, reason AS label, id AS sub FROM decisions ",
        ));
    }
    if ids::RewardId::parse(text).is_some() {
        batch.push(
            scope
                .bound(Statement::new(
                    "SELECT 'rewards' AS page, reward_id AS id, reward_id AS label, '' AS sub FROM reward_versions ",
                ))
                .push(" AND reward_id = ? LIMIT 1")
                .bind(text),
        );
    }
    if ids::EntryId::parse(text).is_some() {
        batch.push(part("SELECT 'commissions' AS page, commission_id AS id, kind AS label, id AS sub FROM entries "));
    }
    if ids::ActId::parse(text).is_some() {
        batch.push(part("SELECT 'acts' AS page, subject AS id, kind AS label, id AS sub FROM acts "));
    }
    if ids::EventId::parse(text).is_some() {
        batch.push(part("SELECT 'events' AS page, id, type AS label, subject AS sub FROM events "));
    }
    if ids::FactId::parse(text).is_some() {
        batch.push(part("SELECT 'refunds' AS page, id, external_refund_id AS label, kind AS sub FROM refunds "));
    }
    batch
}

/// A click by its id, which tells the packs that may hold it.
fn click(scope: &Scope, text: &str, clicked_at: Option<Instant>) -> Option<Statement> {
    domain::click_id::ClickId::parse(text)?;
    Some(
        Statement::new(
            "SELECT 'clicks' AS page, click_id AS id, COALESCE(url, click_id) AS label, click_id AS sub FROM packed_clicks \
             WHERE workspace_id = ?1 AND mode = ?2 AND hour = CAST(?4 AS INTEGER) / 3600000 AND first_at <= ?4 AND last_at >= ?4 \
             AND instr(records, ?3) > 0 AND click_id = ?3 UNION ALL \
             SELECT 'clicks' AS page, click_id AS id, COALESCE(url, click_id) AS label, click_id AS sub FROM clicks \
             WHERE +workspace_id = ?1 AND +mode = ?2 AND click_id = ?3",
        )
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(text.to_lowercase())
        .bind(clicked_at),
    )
}

/// By the merchant's ids and Stripe's: a sale by any of its keys, a customer, a refund, an event.
fn by_names_outside(scope: &Scope, text: &str) -> Vec<Statement> {
    let bound =
        |statement: Statement| statement.bind_workspace(&scope.workspace_id).bind(scope.mode).bind(text).bind(HITS_MAX);
    vec![
        bound(Statement::new(
            "SELECT 'conversions' AS page, c.id, c.event_type AS label, COALESCE(c.external_transaction_id, c.id) AS sub \
             FROM family_keys k JOIN conversions c ON c.family_id IN (SELECT k.family_id UNION SELECT f.id FROM families f \
             WHERE f.merged_into = k.family_id) WHERE k.workspace_id = ?1 AND k.mode = ?2 AND k.key = ?3 LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'attribution-audit' AS page, COALESCE(external_transaction_id, '') AS id, refused AS label, id AS sub \
             FROM decisions WHERE workspace_id = ?1 AND mode = ?2 AND external_transaction_id = ?3 AND conversion_id IS NULL \
             LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'customers' AS page, u.id, COALESCE(u.external_id, u.stripe_customer_id, u.id) AS label, k.key AS sub \
             FROM customer_keys k JOIN customers u ON u.id = k.customer_id WHERE k.workspace_id = ?1 AND k.mode = ?2 \
             AND k.key IN ('external/' || ?3, 'stripe/' || ?3) LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'refunds' AS page, id, external_refund_id AS label, kind AS sub FROM refunds WHERE workspace_id = ?1 \
             AND mode = ?2 AND key = ?3 LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'stripe-events' AS page, e.id, e.stripe_id AS label, e.type AS sub FROM stripe_connections c \
             JOIN stripe_events e ON e.connection_id = c.id AND e.stripe_id = ?3 WHERE c.workspace_id = ?1 AND c.mode = ?2 \
             LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'promo-codes' AS page, id, code AS label, stripe_promotion_code_id AS sub FROM promo_codes \
             WHERE workspace_id = ?1 AND mode = ?2 AND stripe_promotion_code_id = ?3 LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'links' AS page, id, ref AS label, '/r/' || slug AS sub FROM links WHERE +workspace_id = ?1 AND +mode = ?2 \
             AND slug = ?3 LIMIT ?4",
        )),
    ]
}

/// By the request that brought it. Of clicks in packs, which have no index by it, the newest [`PACKS_MAX`] packs are looked through.
fn by_request(scope: &Scope, text: &str) -> Vec<Statement> {
    let bound =
        |statement: Statement| statement.bind_workspace(&scope.workspace_id).bind(scope.mode).bind(text).bind(HITS_MAX);
    vec![
        bound(Statement::new(
            "SELECT iif(conversion_id IS NULL, 'attribution-audit', 'conversions') AS page, \
             COALESCE(conversion_id, external_transaction_id, '') AS id, reason AS label, \
             COALESCE(refused, external_transaction_id, '') AS sub FROM decisions WHERE workspace_id = ?1 AND mode = ?2 \
             AND request_id = ?3 LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'clicks' AS page, click_id AS id, COALESCE(url, click_id) AS label, click_id AS sub FROM clicks \
             WHERE workspace_id = ?1 AND mode = ?2 AND request_id = ?3 LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'clicks' AS page, click_id AS id, COALESCE(url, click_id) AS label, click_id AS sub FROM packed_clicks \
             WHERE pack_id IN (SELECT p.id FROM click_packs p WHERE p.workspace_id = ?1 AND p.mode = ?2 \
             ORDER BY p.hour DESC, p.last_at DESC LIMIT ?5) AND instr(records, json_quote(?3)) > 0 AND request_id = ?3 LIMIT ?4",
        ))
        .bind(PACKS_MAX),
        bound(Statement::new(
            "SELECT 'acts' AS page, subject AS id, kind AS label, COALESCE(reason, '') AS sub FROM acts \
             WHERE workspace_id = ?1 AND mode = ?2 AND request_id = ?3 LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'stripe-events' AS page, id, stripe_id AS label, type AS sub FROM stripe_events \
             WHERE workspace_id = ?1 AND mode = ?2 AND request_id = ?3 LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'payouts' AS page, id, id AS label, status AS sub FROM payouts WHERE workspace_id = ?1 AND mode = ?2 \
             AND request_id = ?3 LIMIT ?4",
        )),
        bound(Statement::new(
            "SELECT 'refunds' AS page, id, source AS label, '' AS sub FROM facts WHERE workspace_id = ?1 AND mode = ?2 \
             AND request_id = ?3 AND source >= 'refund/' AND source < 'refund0' LIMIT ?4",
        )),
    ]
}

/// By the beginning of a code, a ref, an address or a name.
fn by_beginnings(scope: &Scope, text: &str) -> Vec<Statement> {
    let within = |statement: Statement, prefix: &str| {
        let (from, to) = range(prefix);
        statement.bind_workspace(&scope.workspace_id).bind(scope.mode).bind(from).bind(to).bind(HITS_MAX)
    };
    let lower = text.to_lowercase();
    vec![
        within(
            Statement::new(
                "SELECT 'promo-codes' AS page, id, code AS label, '' AS sub FROM promo_codes WHERE workspace_id = ? \
                 AND mode = ? AND code_folded >= ? AND code_folded < ? ORDER BY code_folded LIMIT ?",
            ),
            &folded(text),
        ),
        within(
            Statement::new(
                "SELECT 'links' AS page, id, ref AS label, name AS sub FROM links WHERE workspace_id = ? AND mode = ? \
                 AND ref >= ? AND ref < ? ORDER BY ref LIMIT ?",
            ),
            text,
        ),
        within(
            Statement::new(
                "SELECT 'partners' AS page, id, name AS label, email AS sub FROM partners WHERE workspace_id = ? AND mode = ? \
                 AND email >= ? AND email < ? ORDER BY email LIMIT ?",
            ),
            &lower,
        ),
        within(
            Statement::new(
                "SELECT 'partners' AS page, id, name AS label, email AS sub FROM partners WHERE workspace_id = ? AND mode = ? \
                 AND name COLLATE NOCASE >= ? AND name COLLATE NOCASE < ? ORDER BY name COLLATE NOCASE LIMIT ?",
            ),
            text,
        ),
    ]
}

/// Partners that [`partners_beginning`] looks at by name, and as many by address.
pub const BEGINNINGS_MAX: i64 = 100;

/// Partners whose name or address begins so, to be continued by a page's bounds: of each the first [`BEGINNINGS_MAX`] and one; each
/// row's `is_cut` tells whether there are more.
pub fn partners_beginning(scope: &Scope, prefix: &str) -> Statement {
    let (name_from, name_to) = range(prefix);
    let (email_from, email_to) = range(&prefix.to_lowercase());
    let within = |statement: Statement, from, to| {
        let bound = statement.bind_workspace(&scope.workspace_id).bind(scope.mode).bind(from).bind(to);
        bound.bind(BEGINNINGS_MAX + 1)
    };
    let by_name = within(
        Statement::new(
            "WITH n AS (SELECT rowid AS r FROM partners WHERE workspace_id = ? AND mode = ? AND name COLLATE NOCASE >= ? \
             AND name COLLATE NOCASE < ? ORDER BY name COLLATE NOCASE LIMIT ?), ",
        ),
        name_from,
        name_to,
    );
    within(
        by_name.push(
            "e AS (SELECT rowid AS r FROM partners WHERE workspace_id = ? AND mode = ? AND email >= ? AND email < ? \
             ORDER BY email LIMIT ?) ",
        ),
        email_from,
        email_to,
    )
    .push(
        "SELECT id, name, email, erased_at, created_at, (SELECT count(*) FROM n) > ? OR (SELECT count(*) FROM e) > ? AS is_cut \
         FROM (SELECT r FROM n UNION SELECT r FROM e) m CROSS JOIN partners ON partners.rowid = m.r WHERE true",
    )
    .bind(BEGINNINGS_MAX)
    .bind(BEGINNINGS_MAX)
}

/// Reads a hit; what it belongs to may be nothing that has a page.
pub fn decode(row: &Row) -> Result<Hit, DbError> {
    Ok(Hit {
        page: row.text("page")?,
        id: row.text("id")?,
        label: row.text_opt("label")?.unwrap_or_default(),
        sub: row.text_opt("sub")?.unwrap_or_default(),
    })
}
