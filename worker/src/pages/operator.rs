//! `/app/operator`: how the whole deployment does, for those whose addresses it names (`OPERATOR_EMAILS`). For everybody else there is
//! no such page.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::ids::WorkspaceId;
use domain::time::{DAY_MS, HOUR_MS, Instant, MINUTE_MS, SECOND_MS};
use http::StatusCode;

use super::text::Moment;
use super::{here, private, query, sign_in};
use crate::app::App;
use crate::auth::people::{self, Person};
use crate::call::Call;
use crate::error::ApiError;
use crate::store::overdue::{self, AMISS_MAX, Amiss, Due, LATE_MS, SWEEP_LATE_MS, Sweep};
use crate::store::page::Page;
use crate::store::workspaces::{self, Workspace};

/// Workspaces on a page.
const ROWS: i64 = 25;

#[derive(Template)]
#[template(path = "operator.html")]
struct Operator<'a> {
    person: &'a Person,
    queues: Vec<Queue>,
    amiss: Vec<(&'static str, String, bool)>,
    sweep: Option<SweepShown>,
    size: String,
    workspaces: Vec<Workspace>,
    next_href: Option<String>,
    first_href: Option<&'static str>,
}

/// A kind of work, and how far behind it is.
struct Queue {
    name: &'static str,
    /// When the oldest is or was due.
    due: Option<Moment>,
    behind: String,
    is_late: bool,
}

struct SweepShown {
    began: Moment,
    ago: String,
    took: String,
    found: i64,
    failed: Vec<String>,
    is_late: bool,
}

/// `GET /app/operator`.
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let Some(person) = people::session(&app, &call, request.headers()).await? else {
        return sign_in::first(request.method(), request.uri());
    };
    if !app.config.is_operator(&person.email) {
        // As everywhere under /app: who is no member anywhere is told where they belong.
        return if person.memberships.is_empty() {
            here::no_member(&person)
        } else {
            here::nothing_there(&person, "/app")
        };
    }
    let after = query(&request, "after").and_then(|id| WorkspaceId::parse(&id)).map(String::from);
    let is_first = after.is_none();
    let page = Page { limit: ROWS, after };
    let waiting = app.db.batch(vec![overdue::due(), overdue::amiss()]).await?;
    let listed = app.db.batch(vec![overdue::last_sweep(), workspaces::list(&page)]).await?;
    let ([due, amiss], [sweep, rows]) = (waiting.as_slice(), listed.as_slice()) else {
        return Err(ApiError::Internal("a batch of two gave another number of results".to_owned()));
    };
    let (due, counted) = (overdue::decode_due(due)?, overdue::decode_amiss(amiss)?);
    let sweep = sweep.first().map(overdue::decode_sweep).transpose()?;
    let mut workspaces = rows.iter().map(workspaces::decode).collect::<Result<Vec<_>, _>>()?;
    let has_more = workspaces.len() > usize::try_from(ROWS).unwrap_or(0);
    workspaces.truncate(usize::try_from(ROWS).unwrap_or(0));
    let next = workspaces.last().filter(|_| has_more).map(|last| format!("/app/operator?after={}", last.id));
    // A page that shows what is wrong is worth most when something is.
    let size = match app.db.largest_bytes().await {
        Ok(bytes) => size_shown(bytes),
        Err(error) => {
            crate::log(&format!("{} size of the database: {error}", call.request_id));
            "unknown".to_owned()
        }
    };
    let shown = Operator {
        person: &person,
        queues: queues(&due, call.now),
        amiss: amiss_shown(&counted),
        sweep: sweep.map(|sweep| sweep_shown(&sweep, call.now)),
        size,
        workspaces,
        next_href: next,
        first_href: (!is_first).then_some("/app/operator"),
    };
    private(StatusCode::OK, &shown)
}

fn queues(due: &Due, now: Instant) -> Vec<Queue> {
    let queue = |name, due: Option<Instant>| {
        let behind_ms = due.map_or(0, |due| now.since_ms(due));
        let behind = match due {
            None => "nothing waits".to_owned(),
            Some(_) if behind_ms <= 0 => format!("due in {}", span(-behind_ms)),
            Some(_) => format!("{} behind", span(behind_ms)),
        };
        Queue { name, due: due.map(Moment::of), behind, is_late: behind_ms > LATE_MS }
    };
    vec![
        queue("Webhooks", due.delivery),
        queue("Mail", due.mail),
        queue("Stripe events", due.stripe_event),
        queue("Sales whose time has come", due.sale),
        queue("Questions to Stripe", due.lookup),
    ]
}

fn amiss_shown(amiss: &Amiss) -> Vec<(&'static str, String, bool)> {
    let shown = |name, count: i64| {
        let text = if count >= AMISS_MAX { format!("{AMISS_MAX} or more") } else { count.to_string() };
        (name, text, count > 0)
    };
    vec![
        shown("Stripe events that failed", amiss.failed_events),
        shown("Stripe events that are parked", amiss.parked_events),
        shown("Dead letters", amiss.dead_letters),
        shown("Mails that were given up", amiss.failed_mails),
    ]
}

fn sweep_shown(sweep: &Sweep, now: Instant) -> SweepShown {
    SweepShown {
        began: Moment::of(sweep.began_at),
        ago: span(now.since_ms(sweep.began_at)),
        took: span(sweep.ended_at.since_ms(sweep.began_at)),
        found: sweep.found,
        failed: sweep.failed.clone(),
        is_late: now.since_ms(sweep.began_at) > SWEEP_LATE_MS,
    }
}

/// `3 s`, `12 min`, `5 h`, `2 d`: in the largest unit that is reached.
fn span(ms: i64) -> String {
    match ms.max(0) {
        ms if ms < SECOND_MS => format!("{ms} ms"),
        ms if ms < 2 * MINUTE_MS => format!("{} s", ms / SECOND_MS),
        ms if ms < 2 * HOUR_MS => format!("{} min", ms / MINUTE_MS),
        ms if ms < 2 * DAY_MS => format!("{} h", ms / HOUR_MS),
        ms => format!("{} d", ms / DAY_MS),
    }
}

/// `1.5 MB`, of 10 GB at most.
fn size_shown(bytes: i64) -> String {
    let tenths = |unit: i64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        ..=999_999 => format!("{} kB", bytes / 1_000),
        1_000_000..=999_999_999 => format!("{} MB", tenths(1_000_000)),
        _ => format!("{} GB", tenths(1_000_000_000)),
    }
}

#[cfg(test)]
mod tests;
