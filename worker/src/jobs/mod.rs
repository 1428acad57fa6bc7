//! What happens after an answer: messages on the queue, and the sweeps that find whatever a lost message left behind.

mod approvals;
mod stripe_event;

use domain::time::{DAY_MS, Instant};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::ApiError;
use crate::store::clicks::{self, ClickRecord};
use crate::store::{DbError, stripe_events};

/// Rows that one sweep takes up.
const SWEEP_ROWS_MAX: i64 = 200;
/// Raw Stripe bodies are kept this long (contract, section 10).
const BODIES_KEPT_DAYS: i64 = 90;
/// Clicks that one statement writes. D1 binds at most 2 MB, and a record, its every character escaped, is under 30 kB.
const CLICKS_PER_STATEMENT: usize = 50;

/// A message on the queue. Delivered at least once, in any order; losing one only costs time until the next sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// A click's record. Should it be lost, the click id still proves itself, and the conversion writes the record.
    Click(Box<ClickRecord>),
    /// A stored Stripe event waits to be processed.
    StripeEvent {
        /// Our id of the event.
        id: String,
    },
    /// A sale's time has come.
    SaleDue {
        /// The workspace.
        workspace_id: String,
        /// `test` or `live`.
        mode: String,
        /// Any key of the sale.
        key: String,
    },
}

/// Handles a batch; for each message, whether it is done with. What is not is delivered again.
pub async fn handle(app: &App, messages: Vec<Message>) -> Vec<bool> {
    let clicks: Vec<ClickRecord> = messages
        .iter()
        .filter_map(|message| match message {
            Message::Click(record) => Some((**record).clone()),
            _ => None,
        })
        .collect();
    let clicks_written = write_clicks(app, &clicks).await;
    let mut handled = Vec::with_capacity(messages.len());
    for message in messages {
        handled.push(match message {
            Message::Click(_) => clicks_written,
            Message::StripeEvent { id } => done(stripe_event::process(app, &id).await, &id),
            Message::SaleDue { workspace_id, mode, key } => {
                done(stripe_event::look_again(app, &workspace_id, &mode, key).await, &workspace_id)
            }
        });
    }
    handled
}

fn done(result: Result<(), ApiError>, what: &str) -> bool {
    if let Err(error) = &result {
        crate::log(&format!("job {what}: {}", error.log_detail().unwrap_or("refused")));
    }
    result.is_ok()
}

/// All clicks of a batch in a few statements.
async fn write_clicks(app: &App, records: &[ClickRecord]) -> bool {
    if records.is_empty() {
        return true;
    }
    let written = async {
        let statements = records.chunks(CLICKS_PER_STATEMENT).map(clicks::insert_all);
        app.db.batch(statements.collect::<Result<_, _>>()?).await?;
        Ok::<(), DbError>(())
    };
    match written.await {
        Ok(()) => true,
        Err(error) => {
            crate::log(&format!("clicks: {error}"));
            false
        }
    }
}

/// Finds work by state: what a lost message was for, and what only time brings. Approves what is due, and
/// purges what was kept long enough.
pub async fn sweep(app: &App) -> Result<Vec<Message>, DbError> {
    let now: Instant = app.clock.now();
    let mut messages = Vec::new();
    for row in &app.db.rows(stripe_events::due(now, SWEEP_ROWS_MAX)).await? {
        messages.push(Message::StripeEvent { id: row.text("id")? });
    }
    for row in &app.db.rows(crate::store::families::due(now, SWEEP_ROWS_MAX)).await? {
        let (workspace_id, mode) = (row.text("workspace_id")?, row.text("mode")?);
        messages.push(Message::SaleDue { workspace_id, mode, key: row.text("key")? });
    }
    // What was found goes on all the same: one commission that cannot be approved holds up no sale.
    if let Err(error) = approvals::approve_due(app, now, SWEEP_ROWS_MAX).await {
        crate::log(&format!("approvals: {error}"));
    }
    let purge = stripe_events::purge_bodies(now.plus_ms(-BODIES_KEPT_DAYS * DAY_MS), SWEEP_ROWS_MAX);
    if let Err(error) = app.db.rows(purge).await {
        crate::log(&format!("purge of bodies: {error}"));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_format_unchanged() {
        let message = Message::StripeEvent { id: "sev_1".to_owned() };
        assert_eq!(serde_json::to_string(&message).unwrap(), r#"{"kind":"stripe_event","id":"sev_1"}"#);
        let message = Message::SaleDue { workspace_id: "ws".into(), mode: "test".into(), key: "cs_1".into() };
        assert_eq!(
            serde_json::to_string(&message).unwrap(),
            r#"{"kind":"sale_due","workspace_id":"ws","mode":"test","key":"cs_1"}"#
        );
    }
}
