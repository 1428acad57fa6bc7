//! What happens after an answer: messages on the queue, and the sweeps that find whatever a lost message left behind.

mod approvals;
mod stripe_event;

use domain::fact::StripeFact;
use domain::mode::Mode;
use domain::time::Instant;
use serde::{Deserialize, Serialize};
use stripe::event::{Event, Reading};

use crate::app::App;
use crate::error::ApiError;
use crate::store::clicks::{self, ClickRecord};
use crate::store::{DbError, Scope, stripe_events};

/// Rows that one sweep takes up.
const SWEEP_ROWS_MAX: i64 = 200;
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
        /// What it says, so that its body need not be opened; none in messages of old, from a sweep, or when it is much.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        told: Option<Box<Told>>,
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

/// The longest [`Told`] that a message carries, as JSON: the queue takes 128 KB.
const TOLD_BYTES_MAX: usize = 64 * 1024;

/// What a stored Stripe event says and what it takes to book it. It holds what facts hold: ids, amounts, times and keyed
/// hashes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The workspace.
    pub workspace_id: String,
    /// Its mode.
    pub mode: Mode,
    /// `evt_…`.
    pub stripe_id: String,
    /// When Stripe made it.
    pub created: Instant,
    /// The request that brought it.
    pub request_id: Option<String>,
    /// The facts.
    pub facts: Vec<StripeFact>,
}

impl Told {
    /// What a message may carry of an event; none when there are no facts, or too many of them.
    pub fn of(scope: &Scope, event: Event, request_id: &str) -> Option<Box<Self>> {
        let Reading::Facts(facts) = event.reading else { return None };
        let told = Self {
            workspace_id: scope.workspace_id.to_string(),
            mode: scope.mode,
            stripe_id: event.id,
            created: event.created,
            request_id: Some(request_id.to_owned()),
            facts,
        };
        let fits = serde_json::to_string(&told).is_ok_and(|text| text.len() <= TOLD_BYTES_MAX);
        fits.then(|| Box::new(told))
    }
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
            Message::StripeEvent { id, told } => done(stripe_event::process(app, &id, told).await, &id),
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

/// Finds work by state: what a lost message was for, and what only time brings. Approves what is due.
pub async fn sweep(app: &App) -> Result<Vec<Message>, DbError> {
    let now: Instant = app.clock.now();
    let mut messages = Vec::new();
    for row in &app.db.rows(stripe_events::due(now, SWEEP_ROWS_MAX)).await? {
        messages.push(Message::StripeEvent { id: row.text("id")?, told: None });
    }
    for row in &app.db.rows(crate::store::families::due(now, SWEEP_ROWS_MAX)).await? {
        let (workspace_id, mode) = (row.text("workspace_id")?, row.text("mode")?);
        messages.push(Message::SaleDue { workspace_id, mode, key: row.text("key")? });
    }
    // What was found goes on all the same: one commission that cannot be approved holds up no sale.
    if let Err(error) = approvals::approve_due(app, now, SWEEP_ROWS_MAX).await {
        crate::log(&format!("approvals: {error}"));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use domain::fact::DiscountFact;

    use super::*;

    #[test]
    fn message_format_unchanged() {
        let check = |message: Message, text: &str| {
            assert_eq!(serde_json::to_string(&message).unwrap(), text);
            assert_eq!(serde_json::from_str::<Message>(text).unwrap(), message);
        };
        let id = "sev_1".to_owned();
        check(Message::StripeEvent { id: id.clone(), told: None }, r#"{"kind":"stripe_event","id":"sev_1"}"#);
        let told = Told {
            workspace_id: "ws".to_owned(),
            mode: Mode::Test,
            stripe_id: "evt_1".to_owned(),
            created: Instant::from_seconds(1_800_000_000),
            request_id: Some("req_1".to_owned()),
            facts: vec![StripeFact::Discount(DiscountFact {
                discount: "di_1".to_owned(),
                promotion_code: None,
                customer: None,
                subscription: Some("sub_1".to_owned()),
            })],
        };
        check(
            Message::StripeEvent { id, told: Some(Box::new(told)) },
            r#"{"kind":"stripe_event","id":"sev_1","told":{"workspace_id":"ws","mode":"test","stripe_id":"evt_1","created":1800000000000,"request_id":"req_1","facts":[{"kind":"discount","discount":"di_1","promotion_code":null,"customer":null,"subscription":"sub_1"}]}}"#,
        );
        let message = Message::SaleDue { workspace_id: "ws".into(), mode: "test".into(), key: "cs_1".into() };
        assert_eq!(
            serde_json::to_string(&message).unwrap(),
            r#"{"kind":"sale_due","workspace_id":"ws","mode":"test","key":"cs_1"}"#
        );
    }
}
