//! `click_totals`, `daily_conversions`, `daily_commissions`: what happened a day, whatever became of the single rows; and what waits
//! for somebody. None of it takes longer in a larger workspace.

use domain::money::Currency;

use super::{DbError, Row, Scope, Statement};

/// What waits is counted up to here.
pub const WAITING_MAX: i64 = 50;

/// Days, counted from 1970 in UTC: the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first day.
    pub first: i64,
    /// The last day.
    pub last: i64,
}

impl Span {
    /// The days that end with this one.
    pub const fn ending(last: i64, days: i64) -> Self {
        Self { first: last - days + 1, last }
    }

    fn bound(self, scope: &Scope, statement: Statement) -> Statement {
        scope.bound(statement).push(" AND day BETWEEN ? AND ? ORDER BY day").bind(self.first).bind(self.last)
    }
}

/// Clicks of the days that had any: the totals, and what is not in them yet.
pub fn clicks(scope: &Scope, span: Span) -> Statement {
    Statement::new(
        "SELECT day, SUM(humans) AS humans, SUM(machines) AS machines FROM (SELECT day, humans, machines FROM click_totals \
         WHERE workspace_id = ?1 AND mode = ?2 AND kind = 'all' AND name = '' AND day BETWEEN ?3 AND ?4 UNION ALL \
         SELECT p.hour / 24, p.humans, p.machines FROM click_sums s CROSS JOIN click_packs p ON p.workspace_id = s.workspace_id \
         AND p.mode = s.mode AND p.hour >= s.since_hour AND p.id > s.summed_until WHERE s.workspace_id = ?1 AND s.mode = ?2 \
         AND p.hour / 24 BETWEEN ?3 AND ?4) \
         GROUP BY day ORDER BY day",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(span.first)
    .bind(span.last)
}

/// Conversions of the days that had any.
pub fn conversions(scope: &Scope, span: Span) -> Statement {
    span.bound(scope, Statement::new("SELECT day, credited, uncredited FROM daily_conversions "))
}

/// Commissions of the days that had any, a row for each currency.
pub fn commissions(scope: &Scope, span: Span) -> Statement {
    let columns =
        "SELECT day, currency, pending_cents, approved_cents, paid_cents, rejected_cents FROM daily_commissions ";
    span.bound(scope, Statement::new(columns))
}

/// A day's commissions in one currency, by the state that they are in now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earned {
    /// The currency.
    pub currency: Currency,
    /// Held, or waiting for somebody.
    pub pending_cents: i64,
    /// To be paid.
    pub approved_cents: i64,
    /// Paid.
    pub paid_cents: i64,
    /// Turned down.
    pub rejected_cents: i64,
}

impl Earned {
    /// Nothing yet.
    pub const fn nothing(currency: Currency) -> Self {
        Self { currency, pending_cents: 0, approved_cents: 0, paid_cents: 0, rejected_cents: 0 }
    }

    /// What partners have earned: whatever is not turned down.
    pub const fn earned_cents(&self) -> i64 {
        self.pending_cents.saturating_add(self.approved_cents).saturating_add(self.paid_cents)
    }

    /// Both together.
    pub const fn plus(self, other: &Self) -> Self {
        Self {
            currency: self.currency,
            pending_cents: self.pending_cents.saturating_add(other.pending_cents),
            approved_cents: self.approved_cents.saturating_add(other.approved_cents),
            paid_cents: self.paid_cents.saturating_add(other.paid_cents),
            rejected_cents: self.rejected_cents.saturating_add(other.rejected_cents),
        }
    }
}

/// Reads a row of [`clicks`]: the day, people and machines.
pub fn decode_clicks(row: &Row) -> Result<(i64, i64, i64), DbError> {
    Ok((row.integer("day")?, row.integer("humans")?, row.integer("machines")?))
}

/// Reads a row of [`conversions`]: the day, credited and not.
pub fn decode_conversions(row: &Row) -> Result<(i64, i64, i64), DbError> {
    Ok((row.integer("day")?, row.integer("credited")?, row.integer("uncredited")?))
}

/// Reads a row of [`commissions`]: the day and its commissions.
pub fn decode_commissions(row: &Row) -> Result<(i64, Earned), DbError> {
    let earned = Earned {
        currency: row.parsed("currency", |code| Currency::parse(code).ok(), "a currency")?,
        pending_cents: row.sum("pending_cents")?,
        approved_cents: row.sum("approved_cents")?,
        paid_cents: row.sum("paid_cents")?,
        rejected_cents: row.sum("rejected_cents")?,
    };
    Ok((row.integer("day")?, earned))
}

/// What waits for somebody, each counted up to [`WAITING_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Commissions that a person has to look at.
    pub reviews: i64,
    /// Applications of partners.
    pub applications: i64,
    /// Questions of partners.
    pub questions: i64,
    /// Refunds and disputes of no known sale.
    pub unmatched_refunds: i64,
    /// Stripe's events that could not be processed.
    pub failed_events: i64,
    /// Stripe's events that wait for their sale.
    pub parked_events: i64,
    /// Webhooks that were given up.
    pub dead_letters: i64,
    /// Endpoints that are told nothing.
    pub disabled_endpoints: i64,
    /// Fraud alerts that nobody has looked at.
    pub alerts: i64,
}

/// What is counted: the column, and which rows. Each reads an index that holds only them.
const COUNTED: [(&str, &str, &str); 9] = [
    ("reviews", "commissions", " AND state = 'pending' AND needs_review <> '[]'"),
    ("applications", "participants", " AND status = 'pending'"),
    ("questions", "questions", " AND status = 'open'"),
    ("unmatched_refunds", "refunds", " AND conversion_id IS NULL"),
    ("failed_events", "stripe_events", " AND outcome = 'failed'"),
    ("parked_events", "stripe_events", " AND outcome = 'parked'"),
    ("dead_letters", "webhook_deliveries", " AND status = 'dead_letter'"),
    ("disabled_endpoints", "webhook_endpoints", " AND deleted_at IS NULL AND status = 'disabled'"),
    ("alerts", "fraud_alerts", " AND status = 'open'"),
];

/// What waits, in one row.
pub fn waiting(scope: &Scope) -> Statement {
    let mut statement = Statement::new("SELECT ");
    for (place, (name, table, which)) in COUNTED.into_iter().enumerate() {
        statement = statement.push(if place == 0 { "" } else { ", " }).push("(SELECT count(*) FROM (SELECT 1 FROM ");
        statement = scope.bound(statement.push(table).push(" ")).push(which).push(" LIMIT ?)) AS ").bind(WAITING_MAX);
        statement = statement.push(name);
    }
    statement
}

/// Reads the row of [`waiting`].
pub fn decode_waiting(row: &Row) -> Result<Waiting, DbError> {
    Ok(Waiting {
        reviews: row.integer("reviews")?,
        applications: row.integer("applications")?,
        questions: row.integer("questions")?,
        unmatched_refunds: row.integer("unmatched_refunds")?,
        failed_events: row.integer("failed_events")?,
        parked_events: row.integer("parked_events")?,
        dead_letters: row.integer("dead_letters")?,
        disabled_endpoints: row.integer("disabled_endpoints")?,
        alerts: row.integer("alerts")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sums_beyond_what_a_double_holds_exactly_are_shown_all_the_same() {
        let check = |cents: serde_json::Value, earned_cents: i64| {
            let cells = json!({"day": 1, "currency": "EUR", "pending_cents": cents, "approved_cents": cents, "paid_cents": 0,
                "rejected_cents": cents});
            let earned = decode_commissions(&Row::new(cells.as_object().unwrap().clone())).unwrap().1;
            assert_eq!(earned.earned_cents(), earned_cents, "{cents}");
            assert_eq!(earned.plus(&earned).rejected_cents, earned.rejected_cents.saturating_mul(2), "{cents}");
        };
        check(json!(7), 14);
        check(json!(7.0), 14);
        check(json!(9_007_199_254_740_992.0), 18_014_398_509_481_984);
        check(json!(-9_007_199_254_740_992.0), -18_014_398_509_481_984);
        check(json!(9e18), i64::MAX);
        check(json!(1e300), i64::MAX);
    }
}
