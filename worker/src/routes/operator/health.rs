//! `GET /operator/v1/health`: what only the Worker sees of itself. It answers whatever is wrong: what cannot be read is `null`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::time::Instant;
use futures_util::future::{join, join_all};
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::enter;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::store::overdue::{self, AMISS_MAX, LATE_MS, SWEEP_LATE_MS};
use crate::store::{Database, schema};

/// Which bindings are missing, which databases are migrated and how large, the last sweep, what is late, what was given up. Of secrets
/// only how many keys each has: without one the Worker would not answer.
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    enter(&app, &call, request.headers()).await?;
    let databases = join_all(app.db.each().map(|(index, database)| one_database(index, database.as_ref()))).await;
    let (work, sweep) =
        join(app.db.batch(vec![overdue::due(), overdue::amiss()]), app.db.rows(overdue::last_sweep())).await;
    let work = work.unwrap_or_default();
    let (due, amiss) = match work.as_slice() {
        [due, amiss] => (overdue::decode_due(due).ok(), overdue::decode_amiss(amiss).ok()),
        _ => (None, None),
    };
    let sweep = sweep.ok().and_then(|rows| rows.first().map(overdue::decode_sweep)).and_then(Result::ok);
    let late = |due: Option<Instant>| {
        due.map(|due| json!({ "due_at": due.to_string(), "is_late": call.now.since_ms(due) > LATE_MS }))
    };
    let secrets: serde_json::Map<String, Json> = app
        .secrets
        .counts()
        .into_iter()
        .map(|(name, count)| {
            (name.to_owned(), json!(if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }))
        })
        .collect();
    let answer = json!({
        "at": call.now.to_string(),
        "secrets": secrets,
        "unbound": app.config.unbound,
        "mail": app.config.sends_mail,
        "public_url": app.config.public_url,
        "databases": databases,
        "sweep": sweep.map(|sweep| json!({
            "began_at": sweep.began_at.to_string(),
            "ended_at": sweep.ended_at.to_string(),
            "found": sweep.found,
            "failed": sweep.failed,
            "is_late": call.now.since_ms(sweep.began_at) > SWEEP_LATE_MS,
        })),
        "due": due.map(|due| json!({
            "webhooks": late(due.delivery),
            "mail": late(due.mail),
            "stripe_events": late(due.stripe_event),
            "sales": late(due.sale),
            "questions_to_stripe": late(due.lookup),
        })),
        "amiss": amiss.map(|amiss| json!({
            "counted_up_to": AMISS_MAX,
            "stripe_events_failed": amiss.failed_events,
            "stripe_events_parked": amiss.parked_events,
            "dead_letters": amiss.dead_letters,
            "mails_failed": amiss.failed_mails,
        })),
    });
    Ok(call::json(StatusCode::OK, &answer))
}

async fn one_database(index: u8, database: &dyn Database) -> Json {
    let (migrated, size) = join(database.rows(schema::is_migrated()), database.size_bytes()).await;
    json!({
        "index": index,
        "is_migrated": migrated.is_ok(),
        "size_bytes": size.ok(),
        "error": migrated.err().map(|error| error.to_string()),
    })
}
