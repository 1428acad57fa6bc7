//! Commissions whose hold is over are approved.

use domain::ids::WorkspaceId;
use domain::status::CommissionState;
use domain::time::Instant;

use crate::app::App;
use crate::shapes;
use crate::store::events::{self, Event};
use crate::store::{DbError, Row, Scope, commissions};

/// Approves every commission that is due and that nobody has to look at, each with its event.
pub async fn approve_due(app: &App, now: Instant, limit: i64) -> Result<(), DbError> {
    for row in &app.db.rows(commissions::held_until(now, limit)).await? {
        match approve(app, row, now).await {
            Ok(()) => {}
            // It was approved, reversed or flagged since it was looked for.
            Err(DbError::Constraint(_)) => {}
            // One row that cannot be must not hold up everybody else's.
            Err(error @ DbError::Row { .. }) => crate::log(&format!("approval: {error}")),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn approve(app: &App, row: &Row, now: Instant) -> Result<(), DbError> {
    let scope = Scope {
        workspace_id: row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?,
        mode: row.mode("mode")?,
    };
    let mut commission = commissions::decode(row)?;
    commission.state = CommissionState::Approved;
    let event = Event {
        id: app.fresh(now),
        kind: "commission.approved",
        subject: commission.id.clone(),
        data: shapes::commission(&commission, scope.mode),
    };
    let approve = commissions::approve(&commission.id);
    app.db.batch(vec![approve, events::insert(&scope, &event, now)?]).await?;
    Ok(())
}
