//! What happens after an answer: messages on the queue, and the sweeps that find whatever a lost message left behind.

mod approvals;
pub(crate) mod click_sums;
mod mail;
mod notices;
mod stripe_event;
mod stripe_lookup;

use domain::fact::StripeFact;
use domain::ids::{DeliveryId, MailId};
use domain::mode::Mode;
use domain::time::{DAY_MS, Instant};
use domain::webhook::schedule::LOG_KEPT_MS;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use stripe::event::{Event, Reading};

use crate::app::App;
use crate::error::ApiError;
use crate::idempotency::KEY_HOLDS_MS;
use crate::store::clicks::{self, ClickRecord};
use crate::store::overdue::{self, Sweep};
use crate::store::{
    DbError, Row, Scope, Statement, accounts, families, idempotency, mails, packs, sessions, stripe_events,
    stripe_lookups, webhooks,
};

/// Rows that one sweep takes up.
const SWEEP_ROWS_MAX: i64 = 200;
/// Raw Stripe bodies are kept this long (contract, section 10).
const BODIES_KEPT_DAYS: i64 = 90;
/// Look-ups that one sweep takes up: each may take as long as Stripe lets us wait.
const SWEEP_LOOKUPS_MAX: i64 = 50;
/// Look-ups and mails that are under way at once: of the six connections that the platform allows, one is left for others.
const LOOKUPS_AT_ONCE: usize = 5;
/// Partners to whom one sweep writes of what happened. A round trip or two for each.
const SWEEP_LETTERS_MAX: i64 = 50;
/// Deliveries that one sweep purges: well over a million a day.
const SWEEP_DELIVERIES_MAX: i64 = 1_000;
/// Packs of clicks that one sweep purges, and clicks that have a row of their own: well over a million clicks a day of each. And the
/// workspaces that it looks at for them.
const SWEEP_PACKS_MAX: i64 = 200;
const SWEEP_CLICKS_MAX: i64 = 1_000;
const PURGED_WORKSPACES_MAX: i64 = 20;
/// Answers kept under an `Idempotency-Key` that one sweep purges: over two million a day.
const SWEEP_ANSWERS_MAX: i64 = 2_000;
/// Links to sign in by, sessions and mails that are over are kept this long.
const ACCOUNTS_KEPT_MS: i64 = 7 * DAY_MS;

/// A message on the queue. Delivered at least once, in any order; losing one only costs time until the next sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// A click's record. Should it be lost, the click id still proves itself, and the conversion writes the record.
    Click(Box<ClickRecord>),
    /// The same of several clicks that came to one isolate shortly after one another.
    Clicks {
        /// Their records.
        records: Vec<ClickRecord>,
    },
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
    /// A mail of the outbox is to be sent.
    Mail {
        /// Its id.
        id: String,
    },
    /// Stripe's API is to be asked something.
    StripeLookup {
        /// Our id of it.
        id: String,
    },
}

impl Message {
    /// The records of clicks that it carries.
    pub fn clicks(&self) -> &[ClickRecord] {
        match self {
            Self::Click(record) => std::slice::from_ref(record),
            Self::Clicks { records } => records,
            _ => &[],
        }
    }
}

/// Clicks that one message carries, and their bytes: the queue takes 128 KB, and a record, its every character escaped, is under 30.
const CLICKS_PER_MESSAGE: usize = 25;
const CLICK_BYTES_MAX: usize = 90_000;

/// Records in as few messages as carry them.
pub fn messages_of(records: Vec<ClickRecord>) -> Vec<Message> {
    let (mut messages, mut some, mut bytes) = (Vec::new(), Vec::new(), 0);
    for record in records {
        let length = serde_json::to_string(&record).map_or(CLICK_BYTES_MAX, |text| text.len());
        if !some.is_empty() && (some.len() >= CLICKS_PER_MESSAGE || bytes + length > CLICK_BYTES_MAX) {
            messages.push(Message::Clicks { records: std::mem::take(&mut some) });
            bytes = 0;
        }
        bytes += length;
        some.push(record);
    }
    if !some.is_empty() {
        messages.push(Message::Clicks { records: some });
    }
    messages
}

/// What is sent to a queue at once: so many messages, and so many bytes as JSON. The platform takes 100, and 256 KB.
const SENT_AT_ONCE: usize = 100;
const SENT_BYTES_MAX: usize = 200_000;

/// Messages in batches that a queue takes.
pub fn batches_of(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let (mut batches, mut some, mut bytes) = (Vec::new(), Vec::new(), 0);
    for message in messages {
        let length = serde_json::to_string(&message).map_or(SENT_BYTES_MAX, |text| text.len());
        if !some.is_empty() && (some.len() >= SENT_AT_ONCE || bytes + length > SENT_BYTES_MAX) {
            batches.push(std::mem::take(&mut some));
            bytes = 0;
        }
        bytes += length;
        some.push(message);
    }
    if !some.is_empty() {
        batches.push(some);
    }
    batches
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

/// What came of a batch of messages.
#[derive(Debug, Default)]
pub struct Handled {
    /// For each message, whether it is done with. What is not is delivered again.
    pub done: Vec<bool>,
    /// What follows from them, to be queued.
    pub next: Vec<Message>,
}

/// What waits for somebody else's server.
enum Outside {
    Lookup(String),
    Mail(String),
}

impl Outside {
    fn id(&self) -> &str {
        match self {
            Self::Lookup(id) | Self::Mail(id) => id,
        }
    }

    async fn run(&self, app: &App) -> Result<Vec<Message>, ApiError> {
        match self {
            Self::Lookup(id) => stripe_lookup::run(app, id).await,
            Self::Mail(id) => mail::send(app, id).await,
        }
    }
}

/// Handles a batch. What waits for somebody else's server comes last, so that it holds nothing else up.
pub async fn handle(app: &App, messages: Vec<Message>) -> Handled {
    let mut clicks_written = write_all_clicks(app, &messages).await.into_iter();
    let mut handled = Handled::default();
    let mut outside = Vec::new();
    for (place, message) in messages.into_iter().enumerate() {
        let (what, result) = match message {
            Message::Clicks { records } if records.is_empty() => {
                handled.done.push(true);
                continue;
            }
            Message::Click(_) | Message::Clicks { .. } => {
                handled.done.push(clicks_written.next().unwrap_or(false));
                continue;
            }
            Message::StripeLookup { id } => {
                outside.push((place, Outside::Lookup(id)));
                handled.done.push(false);
                continue;
            }
            Message::Mail { id } => {
                outside.push((place, Outside::Mail(id)));
                handled.done.push(false);
                continue;
            }
            Message::StripeEvent { id, told } => {
                let result = stripe_event::process(app, &id, told).await;
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
    for some in outside.chunks(LOOKUPS_AT_ONCE) {
        let results = join_all(some.iter().map(|(_, what)| what.run(app))).await;
        for ((place, what), result) in some.iter().zip(results) {
            let done = handled.take(what.id(), result);
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

/// Clicks that one batch of D1 brings, unless one message has more: one that fails takes no more than these with it.
const CLICKS_PER_BATCH: usize = 250;

/// Writes the clicks of all messages that carry any; for each of these, whether that is done.
async fn write_all_clicks(app: &App, messages: &[Message]) -> Vec<bool> {
    let mut done = Vec::new();
    let (mut some, mut carriers): (Vec<ClickRecord>, usize) = (Vec::new(), 0);
    for records in messages.iter().map(Message::clicks).filter(|records| !records.is_empty()) {
        if carriers > 0 && some.len() + records.len() > CLICKS_PER_BATCH {
            let written = write_clicks(app, &some).await;
            done.extend(std::iter::repeat_n(written, carriers));
            (some, carriers) = (Vec::new(), 0);
        }
        some.extend_from_slice(records);
        carriers += 1;
    }
    let written = write_clicks(app, &some).await;
    done.extend(std::iter::repeat_n(written, carriers));
    done
}

/// Clicks in one round trip to each database that has some of them.
async fn write_clicks(app: &App, records: &[ClickRecord]) -> bool {
    if records.is_empty() {
        return true;
    }
    let written = async {
        app.db.batch_by_home(packs::insert_all(records)?).await?;
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
/// purges what was kept long enough; then notes that it ran. It sends no webhook: whoever runs it nudges the lanes of all endpoints
/// that are owed something by then (`store::webhooks::due_endpoints`), which is what makes webhooks certain.
pub async fn sweep(app: &App) -> Vec<Message> {
    let now: Instant = app.clock.now();
    let (mut messages, mut failed) = (Vec::new(), Vec::new());
    for what in OVERLOOKED {
        match overlooked(app, what, now).await {
            Ok(some) => messages.extend(some),
            Err(error) => {
                crate::log(&format!("{}: {error}", what.name()));
                failed.push(what.name().to_owned());
            }
        }
    }
    // What was found goes on all the same: one commission that cannot be approved holds up no sale.
    if let Err(error) = approvals::approve_due(app, now, SWEEP_ROWS_MAX).await {
        crate::log(&format!("approvals: {error}"));
        failed.push("approvals".to_owned());
    }
    match notices::write_letters(app, now, SWEEP_LETTERS_MAX).await {
        Ok(letters) => messages.extend(letters),
        Err(error) => {
            crate::log(&format!("notices: {}", error.log_detail().unwrap_or("refused")));
            failed.push("notices".to_owned());
        }
    }
    if let Err(error) = click_sums::run(app, now, click_sums::LEAST).await {
        crate::log(&format!("sums of clicks: {error}"));
        failed.push("sums of clicks".to_owned());
    }
    for (what, statements) in purges(now) {
        if let Err(error) = app.db.batch(statements).await {
            crate::log(&format!("purge of {what}: {error}"));
            failed.push(format!("purge of {what}"));
        }
    }
    let found = i64::try_from(messages.len()).unwrap_or(i64::MAX);
    let noted = Sweep { began_at: now, ended_at: app.clock.now(), found, failed };
    let written = async { app.db.batch(vec![overdue::note_sweep(&noted)?]).await };
    if let Err(error) = written.await {
        crate::log(&format!("note of a sweep: {error}"));
    }
    messages
}

/// What a lost message was for, and what only time brings.
#[derive(Clone, Copy)]
enum Overlooked {
    StripeEvents,
    Sales,
    Lookups,
    Mails,
}

const OVERLOOKED: [Overlooked; 4] =
    [Overlooked::StripeEvents, Overlooked::Sales, Overlooked::Lookups, Overlooked::Mails];

impl Overlooked {
    fn name(self) -> &'static str {
        match self {
            Self::StripeEvents => "Stripe events that wait",
            Self::Sales => "sales whose time has come",
            Self::Lookups => "questions to Stripe",
            Self::Mails => "mails",
        }
    }

    fn due(self, now: Instant) -> Statement {
        match self {
            Self::StripeEvents => stripe_events::due(now, SWEEP_ROWS_MAX),
            Self::Sales => families::due(now, SWEEP_ROWS_MAX),
            Self::Lookups => stripe_lookups::due(now, SWEEP_LOOKUPS_MAX),
            Self::Mails => mails::due(now, SWEEP_LOOKUPS_MAX),
        }
    }

    fn message(self, row: &Row) -> Result<Message, DbError> {
        Ok(match self {
            Self::StripeEvents => Message::StripeEvent { id: row.text("id")?, told: None },
            Self::Sales => {
                let (workspace_id, mode) = (row.text("workspace_id")?, row.text("mode")?);
                Message::SaleDue { workspace_id, mode, key: row.text("key")? }
            }
            Self::Lookups => Message::StripeLookup { id: row.text("id")? },
            Self::Mails => Message::Mail { id: row.text("id")? },
        })
    }
}

async fn overlooked(app: &App, what: Overlooked, now: Instant) -> Result<Vec<Message>, DbError> {
    app.db.rows(what.due(now)).await?.iter().map(|row| what.message(row)).collect()
}

/// What was kept long enough: each a batch of its own, bounded.
fn purges(now: Instant) -> Vec<(&'static str, Vec<Statement>)> {
    let bodies = stripe_events::purge_bodies(now.plus_ms(-BODIES_KEPT_DAYS * DAY_MS), SWEEP_ROWS_MAX);
    let kept_since = DeliveryId::least(now.plus_ms(-LOG_KEPT_MS));
    let over = now.plus_ms(-ACCOUNTS_KEPT_MS);
    vec![
        ("bodies", vec![bodies]),
        ("deliveries", webhooks::purge(&kept_since, SWEEP_DELIVERIES_MAX)),
        ("links and sessions", vec![accounts::purge_links(over), sessions::purge(over)]),
        ("mails", vec![mails::purge(&MailId::least(over))]),
        ("answers", vec![idempotency::purge(now.plus_ms(-KEY_HOLDS_MS), SWEEP_ANSWERS_MAX)]),
        ("clicks", clicks::purge(now, PURGED_WORKSPACES_MAX, SWEEP_PACKS_MAX, SWEEP_CLICKS_MAX)),
    ]
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
        check(Message::Mail { id: "mail_1".to_owned() }, r#"{"kind":"mail","id":"mail_1"}"#);
        check(Message::StripeLookup { id: "slk_1".to_owned() }, r#"{"kind":"stripe_lookup","id":"slk_1"}"#);
        let message = Message::SaleDue { workspace_id: "ws".into(), mode: "test".into(), key: "cs_1".into() };
        assert_eq!(
            serde_json::to_string(&message).unwrap(),
            r#"{"kind":"sale_due","workspace_id":"ws","mode":"test","key":"cs_1"}"#
        );
    }
}
