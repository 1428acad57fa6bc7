//! What happens after an answer: messages on the queue, and the sweeps that find whatever a lost message left behind.

mod approvals;
mod stripe_event;
mod stripe_lookup;

use domain::time::Instant;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::ApiError;
use crate::store::clicks::{self, ClickRecord};
use crate::store::{DbError, stripe_events, stripe_lookups};

/// Rows that one sweep takes up.
const SWEEP_ROWS_MAX: i64 = 200;
/// Look-ups that one sweep takes up: each may take as long as Stripe lets us wait.
const SWEEP_LOOKUPS_MAX: i64 = 50;
/// Look-ups that are under way at once: of the six connections that the platform allows, one is left for others.
const LOOKUPS_AT_ONCE: usize = 5;
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
    /// Stripe's API is to be asked something.
    StripeLookup {
        /// Our id of it.
        id: String,
    },
}

/// What came of a batch of messages.
#[derive(Debug, Default)]
pub struct Handled {
    /// For each message, whether it is done with. What is not is delivered again.
    pub done: Vec<bool>,
    /// What follows from them, to be queued.
    pub next: Vec<Message>,
}

/// Handles a batch. What waits for Stripe's API comes last, so that it holds nothing else up.
pub async fn handle(app: &App, messages: Vec<Message>) -> Handled {
    let clicks: Vec<ClickRecord> = messages
        .iter()
        .filter_map(|message| match message {
            Message::Click(record) => Some((**record).clone()),
            _ => None,
        })
        .collect();
    let clicks_written = write_clicks(app, &clicks).await;
    let mut handled = Handled::default();
    let mut lookups = Vec::new();
    for (place, message) in messages.into_iter().enumerate() {
        let (what, result) = match message {
            Message::Click(_) => {
                handled.done.push(clicks_written);
                continue;
            }
            Message::StripeLookup { id } => {
                lookups.push((place, id));
                handled.done.push(false);
                continue;
            }
            Message::StripeEvent { id } => {
                let result = stripe_event::process(app, &id).await;
                (id, result)
            }
            Message::SaleDue { workspace_id, mode, key } => {
                let result = stripe_event::look_again(app, &workspace_id, &mode, key).await;
                (workspace_id, result)
            }
        };
        let done = handled.take(&what, result);
        handled.done.push(done);
    }
    for some in lookups.chunks(LOOKUPS_AT_ONCE) {
        let results = join_all(some.iter().map(|(_, id)| stripe_lookup::run(app, id))).await;
        for ((place, id), result) in some.iter().zip(results) {
            let done = handled.take(id, result);
            if let Some(slot) = handled.done.get_mut(*place) {
                *slot = done;
            }
        }
    }
    handled
}

impl Handled {
    /// Notes what follows from a job, or why it is not done.
    fn take(&mut self, what: &str, result: Result<Vec<Message>, ApiError>) -> bool {
        match result {
            Ok(next) => {
                self.next.extend(next);
                true
            }
            Err(error) => {
                crate::log(&format!("job {what}: {}", error.log_detail().unwrap_or("refused")));
                false
            }
        }
    }
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

/// Finds work by state: what a lost message was for, and what only time brings. Approves what is due.
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
    for row in &app.db.rows(stripe_lookups::due(now, SWEEP_LOOKUPS_MAX)).await? {
        messages.push(Message::StripeLookup { id: row.text("id")? });
    }
    // What was found goes on all the same: one commission that cannot be approved holds up no sale.
    if let Err(error) = approvals::approve_due(app, now, SWEEP_ROWS_MAX).await {
        crate::log(&format!("approvals: {error}"));
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
        let message = Message::StripeLookup { id: "slk_1".to_owned() };
        assert_eq!(serde_json::to_string(&message).unwrap(), r#"{"kind":"stripe_lookup","id":"slk_1"}"#);
        let message = Message::SaleDue { workspace_id: "ws".into(), mode: "test".into(), key: "cs_1".into() };
        assert_eq!(
            serde_json::to_string(&message).unwrap(),
            r#"{"kind":"sale_due","workspace_id":"ws","mode":"test","key":"cs_1"}"#
        );
    }
}
