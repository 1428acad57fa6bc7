//! Clicks into their totals: packs that wait are summed when there are enough of them, or when one has waited long enough.

use domain::time::Instant;

use crate::app::App;
use crate::store::DbError;
use crate::store::packs::{self, Least};

/// When it is time: the fewer links the clicks are of, the sooner, so that pages have little to add.
pub const LEAST: Least = Least { clicks: 1_000, hours: 24 };

/// Workspaces and modes that one round sums, and rounds of one sweep: in all some million clicks.
const AT_ONCE: i64 = 10;
const ROUNDS_MAX: usize = 20;

/// Sums whatever is due by now, each workspace and mode in a batch of its own. Two at once count nothing twice.
pub async fn run(app: &App, now: Instant, least: Least) -> Result<(), DbError> {
    for _ in 0..ROUNDS_MAX {
        let rows = app.db.rows(packs::due(now, least, AT_ONCE)).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let mut failed = None;
        for row in &rows {
            // One that fails holds up no other.
            if let Err(error) = app.db.batch(packs::sum(&packs::decode_due(row)?)).await {
                failed = failed.or(Some(error));
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(())
}
