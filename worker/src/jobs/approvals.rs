//! Commissions whose hold is over are approved.

use domain::ids::{EventId, Id, WorkspaceId};
use domain::time::Instant;
use serde_json::json;

use crate::app::App;
use crate::store::events::{self, Event};
use crate::store::{DbError, Scope, commissions};

/// Approves every commission that is due and that nobody has to look at, each with its event.
pub async fn approve_due(app: &App, now: Instant, limit: i64) -> Result<(), DbError> {
    for row in &app.db.rows(commissions::held_until(now, limit)).await? {
        let id = row.text("id")?;
        let scope = Scope {
            workspace_id: row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?,
            mode: row.mode("mode")?,
        };
        let event_id: EventId = Id::make(now, {
            let mut random = [0; 10];
            app.random.fill(&mut random);
            random
        });
        let event = Event {
            id: event_id,
            kind: "commission.approved",
            subject: id.clone(),
            data: json!({ "id": id, "state": "approved", "mode": scope.mode }),
        };
        match app
            .db
            .batch(vec![commissions::approve(&id), events::insert(&scope, &event, now)?])
            .await
        {
            Ok(_) => {}
            // Another sweep was faster.
            Err(DbError::Constraint(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
