//! What the operator of a deployment looks at: how far behind work is, what nobody will do by itself any more, and `sweeps`. Each is
//! read from an index that holds only what waits, and counted up to a bound.

use domain::time::{Instant, MINUTE_MS};

use super::{DbError, Row, Statement};

/// A sweep runs every minute; one that is older than this is amiss.
pub const SWEEP_LATE_MS: i64 = 5 * MINUTE_MS;
/// Work that waits longer than this beyond its time is amiss.
pub const LATE_MS: i64 = 10 * MINUTE_MS;
/// What is amiss is counted up to here.
pub const AMISS_MAX: i64 = 100;
/// Endpoints that are gone through for the delivery that waits longest: of more than so many that are owed something, some are
/// not looked at.
const ENDPOINTS_MAX: i64 = 200;

/// When the oldest of each kind of work is or was due; none where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// A webhook's delivery.
    pub delivery: Option<Instant>,
    /// A mail.
    pub mail: Option<Instant>,
    /// A Stripe event to be processed.
    pub stripe_event: Option<Instant>,
    /// A sale whose time has come.
    pub sale: Option<Instant>,
    /// A question to Stripe.
    pub lookup: Option<Instant>,
}

/// The oldest of each, in one row of each database. Deliveries are gone through by hopping from endpoint to endpoint along their index.
pub fn due() -> Statement {
    Statement::each(
        "SELECT (SELECT min(due) FROM (WITH RECURSIVE hop (id) AS (\
         SELECT (SELECT endpoint_id FROM webhook_deliveries WHERE status = 'pending' ORDER BY endpoint_id LIMIT 1) UNION ALL \
         SELECT (SELECT d.endpoint_id FROM webhook_deliveries d WHERE d.status = 'pending' AND d.endpoint_id > hop.id \
         ORDER BY d.endpoint_id LIMIT 1) FROM hop WHERE hop.id IS NOT NULL LIMIT ?) \
         SELECT (SELECT d.next_attempt_at FROM webhook_deliveries d WHERE d.endpoint_id = hop.id AND d.status = 'pending' \
         ORDER BY d.next_attempt_at LIMIT 1) AS due FROM hop WHERE id IS NOT NULL)) AS delivery, \
         (SELECT min(next_attempt_at) FROM mails WHERE next_attempt_at IS NOT NULL) AS mail, \
         (SELECT min(next_attempt_at) FROM stripe_events WHERE next_attempt_at IS NOT NULL) AS stripe_event, \
         (SELECT min(due_at) FROM families WHERE due_at IS NOT NULL) AS sale, \
         (SELECT min(next_attempt_at) FROM stripe_lookups WHERE next_attempt_at IS NOT NULL) AS lookup",
    )
    .bind(ENDPOINTS_MAX)
}

/// Reads the rows of [`due`], one of each database.
pub fn decode_due(rows: &[Row]) -> Result<Due, DbError> {
    let oldest = |name| {
        let all = rows.iter().map(|row| row.instant_opt(name)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, DbError>(all.into_iter().flatten().min())
    };
    Ok(Due {
        delivery: oldest("delivery")?,
        mail: oldest("mail")?,
        stripe_event: oldest("stripe_event")?,
        sale: oldest("sale")?,
        lookup: oldest("lookup")?,
    })
}

/// What nobody will do by itself any more, each counted up to [`AMISS_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amiss {
    /// Stripe's events that could not be processed.
    pub failed_events: i64,
    /// Stripe's events that wait for their sale.
    pub parked_events: i64,
    /// Webhooks that were given up.
    pub dead_letters: i64,
    /// Mails that were given up, of those still kept.
    pub failed_mails: i64,
}

/// What is amiss, in one row of each database.
pub fn amiss() -> Statement {
    let counted = [
        ("failed_events", "stripe_events WHERE outcome = 'failed'"),
        ("parked_events", "stripe_events WHERE outcome = 'parked'"),
        ("dead_letters", "webhook_deliveries WHERE status = 'dead_letter'"),
        ("failed_mails", "mails WHERE next_attempt_at IS NULL AND error IS NOT NULL"),
    ];
    let mut statement = Statement::each("SELECT ");
    for (place, (name, which)) in counted.into_iter().enumerate() {
        statement = statement.push(if place == 0 { "" } else { ", " }).push("(SELECT count(*) FROM (SELECT 1 FROM ");
        statement = statement.push(which).push(" LIMIT ?)) AS ").bind(AMISS_MAX).push(name);
    }
    statement
}

/// Reads the rows of [`amiss`].
pub fn decode_amiss(rows: &[Row]) -> Result<Amiss, DbError> {
    let counted = |name| {
        let all = rows.iter().map(|row| row.integer(name)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, DbError>(all.into_iter().sum::<i64>().min(AMISS_MAX))
    };
    Ok(Amiss {
        failed_events: counted("failed_events")?,
        parked_events: counted("parked_events")?,
        dead_letters: counted("dead_letters")?,
        failed_mails: counted("failed_mails")?,
    })
}

/// A run of the cron sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// When it began.
    pub began_at: Instant,
    /// When it ended.
    pub ended_at: Instant,
    /// How much it found to be done.
    pub found: i64,
    /// What failed in it, by name.
    pub failed: Vec<String>,
}

/// The last one.
pub fn last_sweep() -> Statement {
    Statement::directory("SELECT began_at, ended_at, found, failed FROM sweeps")
}

/// Notes a run in the place of the one before.
pub fn note_sweep(sweep: &Sweep) -> Result<Statement, DbError> {
    Ok(Statement::directory(
        "INSERT INTO sweeps (id, began_at, ended_at, found, failed) VALUES (1, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET \
         began_at = excluded.began_at, ended_at = excluded.ended_at, found = excluded.found, failed = excluded.failed",
    )
    .bind(sweep.began_at)
    .bind(sweep.ended_at)
    .bind(sweep.found)
    .bind(super::to_json(&sweep.failed)?))
}

/// Reads the row of [`last_sweep`].
pub fn decode_sweep(row: &Row) -> Result<Sweep, DbError> {
    Ok(Sweep {
        began_at: row.instant("began_at")?,
        ended_at: row.instant("ended_at")?,
        found: row.integer("found")?,
        failed: row.json("failed")?,
    })
}
