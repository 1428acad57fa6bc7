//! The lane of one endpoint: what it is owed is sent here, and nowhere else, so that a slow receiver delays no other.
//!
//! One Durable Object per endpoint runs it (`objects::webhook_lane`), so two runs at once are rare: after a restart, one may
//! still wait for an answer. What a run notes holds only if nothing else was noted meanwhile; the receiver may see an event
//! twice, and knows it by its id.

use std::cell::Cell;
use std::pin::pin;

use domain::ids::MailId;
use domain::status::EndpointStatus;
use domain::time::Instant;
use domain::webhook::schedule::{self, FAILING_MS_MAX, TIMEOUT_MS};
use domain::webhook::signature::{Message, Secret};
use futures_util::future::{Either, select};
use futures_util::stream::{self, StreamExt};

use super::target::{self, Unsendable};
use super::{Post, Unreached};
use crate::app::App;
use crate::error::ApiError;
use crate::mail::{Disabled, Waiting};
use crate::shapes;
use crate::store::webhooks::{self as table, After, Attempt, DisablesItself, Endpoint, Owed};
use crate::store::{Row, Statement, mails};

/// Requests under way at once: of the six connections that the platform allows, one is left for the database.
const AT_ONCE: usize = 5;
/// Deliveries that are read at once.
const READ_AT_ONCE: i64 = 50;
/// Outcomes that one batch notes at most; what is there is not kept waiting for more.
const NOTED_AT_ONCE: usize = 25;
/// Rounds of one run. A run that is not through goes on in the next one. The platform may allow 1,000 requests to an invocation:
/// a round makes up to three for each delivery (two questions of its name, if none before was answered well, and itself), and one
/// for each batch and read.
const ROUNDS_MAX: usize = 4;
/// No request of a round begins later than this after it. A run thus ends within the time that an alarm may take.
const ROUND_MS: i64 = TIMEOUT_MS;
/// Deliveries that are given up at once.
pub const GIVEN_UP_AT_ONCE: i64 = 500;

/// What an endpoint's secrets are sealed for.
pub fn secret_purpose(endpoint: &domain::ids::EndpointId) -> String {
    format!("webhook secret {endpoint}")
}

/// What a round begins with.
struct Read {
    now: Instant,
    endpoint: Option<Endpoint>,
    /// Due by now; not decoded, since a disabled endpoint's are not sent.
    owed: Vec<Row>,
    /// When it is owed the next thing, due or not.
    next: Option<Instant>,
}

impl Read {
    fn statements(endpoint_id: &str, now: Instant) -> [Statement; 3] {
        [table::of_lane(endpoint_id), table::due(endpoint_id, now, READ_AT_ONCE), table::next_due(endpoint_id)]
    }

    /// Of the last rows of a batch that ends with these statements.
    fn of(mut results: Vec<Vec<Row>>, now: Instant) -> Result<Self, ApiError> {
        let [.., endpoint, owed, next] = results.as_mut_slice() else {
            return Err(ApiError::Internal("a batch gave fewer results than it has statements".to_owned()));
        };
        Ok(Self {
            now,
            endpoint: endpoint.first().map(table::decode).transpose()?,
            owed: std::mem::take(owed),
            next: next.first().map(|row| row.instant("next_attempt_at")).transpose()?,
        })
    }
}

/// Sends what the endpoint is owed and due. Gives when it is owed the next thing, if it is: now, if there is more.
pub async fn run(app: &App, endpoint_id: &str) -> Result<Option<Instant>, ApiError> {
    let mut read = None;
    for _ in 0..ROUNDS_MAX {
        let round = match read.take() {
            Some(read) => read,
            None => {
                let now = app.clock.now();
                Read::of(app.db.batch(Read::statements(endpoint_id, now).into()).await?, now)?
            }
        };
        let Some(endpoint) = round.endpoint else { return Ok(None) };
        if endpoint.status == EndpointStatus::Disabled {
            let given_up = app
                .db
                .of(&endpoint.scope.workspace_id)
                .rows(table::give_up(&endpoint.id, round.now, GIVEN_UP_AT_ONCE))
                .await?;
            if given_up.is_empty() {
                return Ok(None);
            }
        } else if round.owed.is_empty() {
            return Ok(round.next);
        } else {
            let owed: Vec<Owed> = round.owed.iter().map(table::decode_owed).collect::<Result<_, _>>()?;
            read = send_all(app, &endpoint, &owed).await?;
        }
    }
    Ok(Some(app.clock.now()))
}

/// Sends these, a few at once, and notes each outcome as soon as it is there. What has not begun when a slow receiver has used
/// up the round's time, or when the endpoint is seen to be changed, is left to the next round. Whatever was noted last has read
/// what that one begins with.
async fn send_all(app: &App, endpoint: &Endpoint, owed: &[Owed]) -> Result<Option<Read>, ApiError> {
    let round = &Round { app, endpoint, signer: Signer::of(app, endpoint)?, is_led_well: Cell::new(false) };
    let end = app.clock.now().plus_ms(ROUND_MS);
    let is_changed = &Cell::new(false);
    let in_time = owed.iter().take_while(|_| app.clock.now() < end && !is_changed.get());
    let sent = stream::iter(in_time).map(|one| async move { (one, round.send(one).await) });
    let mut outcomes = pin!(sent.buffer_unordered(AT_ONCE).ready_chunks(NOTED_AT_ONCE));
    let mut ended: Vec<(&Owed, Outcome)> = Vec::new();
    // While the database notes some, the next ones are sent.
    let mut noting = None;
    let (mut unnoted, mut read) = (owed.len(), None);
    loop {
        if noting.is_none() && !ended.is_empty() {
            let some: Vec<_> = ended.drain(..ended.len().min(NOTED_AT_ONCE)).collect();
            unnoted -= some.len();
            noting = Some(Box::pin(note(app, endpoint, is_changed, some, unnoted == 0)));
        }
        let Some(under_way) = noting.take() else {
            match outcomes.next().await {
                Some(some) => ended.extend(some),
                None => return Ok(read),
            }
            continue;
        };
        match select(outcomes.next(), under_way).await {
            Either::Left((Some(some), under_way)) => {
                ended.extend(some);
                noting = Some(under_way);
            }
            Either::Left((None, under_way)) => read = under_way.await?,
            Either::Right((noted, _)) => read = noted?,
        }
    }
}

/// Notes how some deliveries ended, in one batch, and whether the endpoint is another than it was. Where nothing of the round is
/// under way any more, it reads in the same batch what the next one begins with.
async fn note(
    app: &App,
    endpoint: &Endpoint,
    is_changed: &Cell<bool>,
    some: Vec<(&Owed, Outcome)>,
    is_last: bool,
) -> Result<Option<Read>, ApiError> {
    let now = app.clock.now();
    let mut batch = Vec::new();
    for (one, outcome) in &some {
        batch.extend(table::record(one, &outcome.attempt, outcome.after, now)?);
    }
    // One success among failures ends the time of only failing.
    let has_succeeded = some.iter().any(|(_, outcome)| outcome.after == After::Delivered);
    let too_long = now.plus_ms(-FAILING_MS_MAX);
    if some.iter().any(|(_, outcome)| outcome.attempt.status == Some(GONE)) {
        batch.extend(disable(app, endpoint, DisablesItself::Gone, now)?);
    } else if !has_succeeded && endpoint.failing_since.is_some_and(|since| since <= too_long) {
        batch.extend(disable(app, endpoint, DisablesItself::FailingSince(too_long), now)?);
    }
    batch.push(if has_succeeded { table::succeeded(&endpoint.id) } else { table::failed(&endpoint.id, now) });
    if is_last {
        batch.extend(Read::statements(endpoint.id.as_str(), now));
    } else {
        // Whoever has switched, disabled or moved it meanwhile wants that to count from now on.
        batch.push(table::of_lane(endpoint.id.as_str()));
    }
    let rows = app.db.of(&endpoint.scope.workspace_id).batch(batch).await?;
    if is_last {
        return Read::of(rows, now).map(Some);
    }
    let seen = rows.last().and_then(|rows| rows.first()).map(table::decode).transpose()?;
    let is_same = seen.is_some_and(|seen| Endpoint { failing_since: endpoint.failing_since, ..seen } == *endpoint);
    is_changed.set(!is_same);
    Ok(None)
}

const GONE: i64 = 410;

/// Disables an endpoint and has its workspace's owners told, both or neither. The sweep finds the mail.
fn disable(app: &App, endpoint: &Endpoint, why: DisablesItself, now: Instant) -> Result<[Statement; 2], ApiError> {
    let mail_id: MailId = app.fresh(now);
    let disabled = Waiting::EndpointDisabled(Disabled {
        workspace_id: endpoint.scope.workspace_id.clone(),
        mode: endpoint.scope.mode,
        endpoint_id: endpoint.id.clone(),
        url: target::in_a_letter(&endpoint.url),
        reason: why.reason(),
        at: now,
        origin: endpoint.origin.clone(),
    });
    let mail = mails::insert_of_disabling(&mail_id, &disabled.seal(app, &mail_id)?, &endpoint.id, now);
    Ok([table::disable(endpoint, why, &mail_id), mail])
}

/// The endpoint's secrets, opened.
struct Signer {
    /// Signs `X-Selgeo-Signature`: the old one, until it is over with it.
    selgeo: Secret,
    /// Sign `webhook-signature`.
    standard: Vec<Secret>,
}

impl Signer {
    fn of(app: &App, endpoint: &Endpoint) -> Result<Self, ApiError> {
        let open = |sealed: &str| {
            let opened = app.secrets.open(&secret_purpose(&endpoint.id), sealed);
            let text = opened.and_then(|bytes| String::from_utf8(bytes).ok());
            let secret = text.and_then(|text| Secret::parse(&text));
            secret.ok_or_else(|| ApiError::Internal(format!("the secret of {} cannot be opened", endpoint.id)))
        };
        let current = open(&endpoint.secret)?;
        let now = app.clock.now();
        Ok(match &endpoint.previous {
            Some((previous, until)) if now < *until => {
                let previous = open(previous)?;
                Self { selgeo: previous.clone(), standard: vec![current, previous] }
            }
            _ => Self { selgeo: current.clone(), standard: vec![current] },
        })
    }
}

struct Outcome {
    attempt: Attempt,
    after: After,
}

/// What the deliveries of one round share.
struct Round<'a> {
    app: &'a App,
    endpoint: &'a Endpoint,
    signer: Signer,
    /// Whether the endpoint's name was found to lead where a webhook may go. That holds for the round, which is as long as one
    /// delivery may take; what was not found is asked for again.
    is_led_well: Cell<bool>,
}

/// Why there is no answer.
struct Unanswered {
    why: String,
    /// Whether anything may have been sent.
    was_sent: bool,
}

impl Round<'_> {
    async fn send(&self, owed: &Owed) -> Outcome {
        let Self { app, endpoint, signer, .. } = self;
        let at = app.clock.now();
        // The same bytes at every endpoint and in every attempt.
        let body = shapes::event(&owed.event, &endpoint.scope).to_string();
        let message = Message { id: &owed.event.id, at: at.seconds(), body: &body };
        let headers = vec![
            ("x-selgeo-signature", message.selgeo(&signer.selgeo)),
            ("webhook-id", owed.event.id.clone()),
            ("webhook-timestamp", at.seconds().to_string()),
            ("webhook-signature", message.standard(&signer.standard.iter().collect::<Vec<_>>())),
        ];
        let shown = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        let answered = self.post(headers, body).await;
        let now = app.clock.now();

        let mut attempt = Attempt {
            number: owed.attempts + 1,
            at,
            duration_ms: now.since_ms(at),
            url: endpoint.url.clone(),
            headers: serde_json::Value::Object(shown),
            status: None,
            error: None,
            answer: None,
        };
        let mut wish = None;
        match answered {
            Ok(answer) => {
                attempt.status = Some(i64::from(answer.status));
                attempt.answer = Some(shortened(&answer.body));
                wish = answer.retry_after.and_then(|value| schedule::retry_after_ms(&value, now));
            }
            Err(Unanswered { why, was_sent }) => {
                attempt.error = Some(why);
                if !was_sent {
                    attempt.headers = serde_json::json!({});
                }
            }
        }
        let after = match attempt.status {
            Some(200..=299) => After::Delivered,
            Some(GONE) => After::DeadLetter,
            _ => schedule::next(owed.run_attempts + 1, now, random(app), wish).map_or(After::DeadLetter, After::Again),
        };
        Outcome { attempt, after }
    }

    /// Judges the target once more, where its name leads now, and posts.
    async fn post(&self, headers: Vec<(&'static str, String)>, body: String) -> Result<super::Answer, Unanswered> {
        let unsent = |why| Unanswered { why, was_sent: false };
        let (mode, receivers) = (self.endpoint.scope.mode, &*self.app.receivers);
        let target = target::parse(&self.endpoint.url, mode, self.app.config.loopback_webhooks)
            .map_err(|bad| unsent(format!("target refused: {bad}")))?;
        if !self.is_led_well.get() {
            target.resolve(receivers).await.map_err(|why| match why {
                Unsendable::Bad(bad) => unsent(format!("target refused: {bad}")),
                Unsendable::Unresolved(why) => unsent(format!("name not resolved: {why}")),
            })?;
            self.is_led_well.set(true);
        }
        let post = Post { url: target.url, to_loopback: target.is_loopback, headers, body };
        receivers.post(&post).await.map_err(|unreached| {
            let why = match unreached {
                Unreached::TimedOut => "timed out".to_owned(),
                Unreached::Failed(why) => format!("not reached: {why}"),
            };
            Unanswered { why, was_sent: true }
        })
    }
}

/// As text, at most as long as what is kept of an answer.
fn shortened(body: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(body.get(..super::ANSWER_BYTES_MAX).unwrap_or(body)).into_owned();
    // A replaced byte takes three. SQL's text ends at a zero, and JSON takes six bytes for any other that shows nothing.
    text = text.replace(|c: char| c.is_ascii_control() && !"\t\n\r".contains(c), "\u{fffd}");
    let end = (0..=super::ANSWER_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}

fn random(app: &App) -> u32 {
    let mut bytes = [0; 4];
    app.random.fill(&mut bytes);
    u32::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests;
