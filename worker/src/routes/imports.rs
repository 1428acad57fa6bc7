//! `/api/v1/imports`: partners, links and promo codes of a spreadsheet, row by row.
//!
//! A request brings at most [`sheet::ROWS_MAX`] rows with their header line. Each row is judged by itself: what it names is made, or was
//! there before, or is wrong, and then it says what of it. Nothing that is there is ever changed, so that the same file again changes
//! nothing. Everything that is made is made in one batch.

mod codes;
mod links;
mod partners;
mod sheet;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::account::Permission;
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value as Json, json};

use super::listing::Query;
use super::management::{self, Actor};
use crate::app::App;
use crate::call::{self, BODY_BYTES_MAX, Call};
use crate::error::{ApiError, FieldError};
use crate::fields::Fields;
use crate::jobs::Message;
use crate::known;
use crate::store::acts::{self, NewAct};
use crate::store::links::Link;
use crate::store::programs::{self, Change};
use crate::store::{DbError, Row, Scope, Statement, slugs, workspaces};

pub use self::sheet::Kind;

/// How often an import is judged anew because somebody else made something of it meanwhile.
const ATTEMPTS_MAX: u32 = 3;
/// The text of a request in JSON; what JSON adds to it must fit into the body too.
const CSV_CHARS_MAX: usize = 60 * 1024;
/// Where a file may come from that brings settings along.
const TRAAACTION: &str = "traaaction";

/// What is asked.
struct Asked {
    kind: Kind,
    text: String,
    dry_run: bool,
    /// Traaaction's, whose programs take back pending commissions when a subscription ends, and whose scripts name the workspace's
    /// id, which an owner's import lets suffice.
    from_traaaction: bool,
}

/// What came of a row.
pub struct Line {
    /// In the file, from 1.
    number: u64,
    outcome: Outcome,
    /// What it made, or what was there.
    id: Option<String>,
    errors: Vec<FieldError>,
    /// Columns that say something else than what is there.
    differs: Vec<&'static str>,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Created,
    Unchanged,
    Error,
}

impl Line {
    fn created(number: u64, id: &impl ToString) -> Self {
        Self { number, outcome: Outcome::Created, id: Some(id.to_string()), errors: Vec::new(), differs: Vec::new() }
    }

    fn unchanged(number: u64, id: &impl ToString, differs: Vec<&'static str>) -> Self {
        Self { number, outcome: Outcome::Unchanged, id: Some(id.to_string()), errors: Vec::new(), differs }
    }

    fn wrong(number: u64, errors: Vec<FieldError>) -> Self {
        Self { number, outcome: Outcome::Error, id: None, errors, differs: Vec::new() }
    }

    fn refused(number: u64, field: &str, message: impl Into<String>) -> Self {
        Self::wrong(number, vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    fn shown(&self, dry_run: bool) -> Json {
        let outcome = match self.outcome {
            Outcome::Created if dry_run => "would_create",
            Outcome::Created => "created",
            Outcome::Unchanged => "unchanged",
            Outcome::Error => "error",
        };
        // What nobody made has no id.
        let id = self.id.as_ref().filter(|_| !(dry_run && self.outcome == Outcome::Created));
        let errors: Vec<Json> =
            self.errors.iter().map(|wrong| json!({ "field": wrong.field, "message": wrong.message })).collect();
        let mut shown = json!({ "line": self.number, "outcome": outcome, "id": id, "errors": errors });
        if !self.differs.is_empty() {
            shown["differs"] = json!(self.differs);
        }
        shown
    }
}

/// What an import comes to: a line for each row, and what is to be written.
pub struct Plan {
    lines: Vec<Line>,
    batch: Vec<Statement>,
    /// Programs that rows name.
    programs: Vec<String>,
    /// Links that are made, of which somebody may be remembered to have found nothing.
    links: Vec<Link>,
    /// The place in the batch of rows that say whose sales are to be decided again.
    woken_at: Option<usize>,
}

/// Makes what a file names, or says what would be made.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let asked = asked(request).await?;
    let sheet = sheet::read(asked.kind, &asked.text)?;
    for _ in 0..ATTEMPTS_MAX {
        let rows = sheet.rows.clone();
        let mut plan = match asked.kind {
            Kind::Partners => partners::plan(&app, &call, &scope, rows).await?,
            Kind::Links => links::plan(&app, &call, &scope, rows).await?,
            Kind::PromoCodes => codes::plan(&app, &call, &scope, rows).await?,
        };
        plan.lines.extend(sheet.wrong.iter().map(|(number, wrong)| Line::wrong(*number, vec![wrong.clone()])));
        plan.lines.sort_by_key(|line| line.number);
        if asked.dry_run {
            return Ok(call::json(StatusCode::OK, &shown(&asked, (&actor, &scope), &plan)));
        }
        match write(&app, &call, (&actor, &scope), &asked, &plan).await {
            Ok(woken) => {
                return Ok(call::after(call::json(StatusCode::OK, &shown(&asked, (&actor, &scope), &plan)), woken));
            }
            // Somebody else made something of it since it was looked for.
            Err(DbError::Constraint(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Unavailable("an import lost its races against others".to_owned()))
}

/// Either form of a request: 413, 415, 400.
async fn asked(request: Request) -> Result<Asked, ApiError> {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    if is_csv(&headers) {
        let body = call::body(request, BODY_BYTES_MAX).await?;
        let mut query = Query::of(&uri);
        let kind = query.word("kind", &Kind::WORDS);
        let dry_run = query.boolean("dry_run").unwrap_or(false);
        let from_traaaction = query.word("source", &[TRAAACTION]).is_some();
        query.finish()?;
        let kind = kind.as_deref().and_then(Kind::parse);
        let kind = kind.ok_or_else(|| ApiError::field("kind", format!("must be one of {}", Kind::WORDS.join(", "))))?;
        let text = String::from_utf8(body.into()).map_err(|error| {
            let line =
                1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            ApiError::malformed(format!("The file must be UTF-8; line {line} is not. Save it as \"CSV UTF-8\"."))
        })?;
        return Ok(Asked { kind, text, dry_run, from_traaaction });
    }
    let mut fields = match management::json_body(request).await {
        Err(ApiError::UnsupportedMediaType(_)) => {
            return Err(ApiError::UnsupportedMediaType("application/json or text/csv"));
        }
        read => read?,
    };
    let kind = fields.word("kind", &Kind::WORDS, Kind::parse);
    if fields.raw("kind").is_none() {
        fields.error("kind", "is required");
    }
    let text = fields.required_text("csv", CSV_CHARS_MAX);
    let dry_run = fields.boolean("dry_run").unwrap_or(false);
    let from_traaaction = fields.word("source", &[TRAAACTION], |word| (word == TRAAACTION).then_some(())).is_some();
    fields.finish()?;
    let kind = kind.ok_or_else(|| ApiError::field("kind", "is required"))?;
    Ok(Asked { kind, text, dry_run, from_traaaction })
}

fn is_csv(headers: &HeaderMap) -> bool {
    headers.contains_key(http::header::CONTENT_TYPE) && call::has_media_type(headers, &["text/csv"])
}

/// Writes what is new, with the act; then the settings that come along, which are the same however often they are written.
async fn write(
    app: &App,
    call: &Call,
    (actor, scope): (&Actor, &Scope),
    asked: &Asked,
    plan: &Plan,
) -> Result<Vec<Message>, DbError> {
    let created = plan.lines.iter().filter(|line| line.outcome == Outcome::Created).count();
    let detail = json!({ "kind": asked.kind.word(), "created": created, "from_traaaction": asked.from_traaaction });
    let act = NewAct {
        id: app.fresh(call.now),
        kind: "workspace.import",
        subject: scope.workspace_id.as_str(),
        reason: None,
        detail: Some(detail.to_string()),
        request_id: &call.request_id,
        person_id: actor.person_id(),
    };
    let brings_settings = asked.from_traaaction && plan.lines.iter().any(|line| line.outcome != Outcome::Error);
    if created == 0 && !brings_settings {
        return Ok(Vec::new());
    }
    let mut batch = plan.batch.clone();
    batch.push(acts::insert(scope, &act, call.now));
    if brings_settings {
        for id in &plan.programs {
            let change = Change { reverse_pending_on_end: Some(true), ..Change::default() };
            batch.push(programs::change(scope, id, &change)?);
        }
    }
    let slugs: Vec<String> = plan.links.iter().map(|link| link.slug.clone()).collect();
    slugs::claim_all(&app.db, &scope.workspace_id, &slugs).await?;
    let results = app.db.batch(batch).await?;
    join_all(plan.links.iter().map(|link| known::forget_link(app, scope, link))).await;
    if brings_settings && may_open(actor) {
        app.db.batch(vec![workspaces::change(&scope.workspace_id, None, None, Some(true))]).await?;
    }
    let mut woken = Vec::new();
    for row in plan.woken_at.and_then(|place| results.get(place)).into_iter().flatten() {
        let (workspace_id, mode) = (row.text("workspace_id")?, row.text("mode")?);
        woken.push(Message::SaleDue { workspace_id, mode, key: row.text("key")? });
    }
    Ok(woken)
}

/// Whether whoever imports may say that the workspace's id suffices to report live leads and sales: an owner, as in its settings.
fn may_open(actor: &Actor) -> bool {
    match actor {
        Actor::Member { membership, .. } => membership.role.may(Permission::Workspace),
        Actor::Key => false,
    }
}

fn shown(asked: &Asked, (actor, scope): (&Actor, &Scope), plan: &Plan) -> Json {
    let count = |outcome: Outcome| plan.lines.iter().filter(|line| line.outcome == outcome).count();
    let created = if asked.dry_run { "would_create" } else { "created" };
    let mut shown = json!({
        "kind": asked.kind.word(), "mode": scope.mode, "dry_run": asked.dry_run,
        "counts": { created: count(Outcome::Created), "unchanged": count(Outcome::Unchanged), "error": count(Outcome::Error) },
        "rows": plan.lines.iter().map(|line| line.shown(asked.dry_run)).collect::<Vec<_>>(),
    });
    if asked.from_traaaction {
        shown["settings"] =
            json!({ "track_by_workspace_id": may_open(actor), "reverse_pending_on_end": plan.programs });
    }
    shown
}

/// A row's cells, those that are not empty, with where it stands.
type Cells = (u64, Map<String, Json>);

/// A row that is read, or what is wrong with it.
fn read_all<T>(rows: Vec<Cells>, read: impl Fn(&mut Fields) -> Option<T>) -> (Vec<(u64, T)>, Vec<Line>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    // Cells are no fields of the request's body.
    #[cfg(test)]
    let noted = crate::openapi::asked::take();
    for (number, cells) in rows {
        let mut fields = Fields::of(cells);
        let row = read(&mut fields);
        match (row, fields.finish()) {
            (Some(row), Ok(())) => good.push((number, row)),
            (_, Err(ApiError::Validation { details, .. })) => bad.push(Line::wrong(number, details)),
            _ => bad.push(Line::refused(number, "", "says nothing that could be imported")),
        }
    }
    #[cfg(test)]
    crate::openapi::asked::put_back(noted);
    (good, bad)
}

/// The rows of a result, each read.
fn decoded<T>(rows: Option<&Vec<Row>>, decode: impl Fn(&Row) -> Result<T, DbError>) -> Result<Vec<T>, DbError> {
    rows.into_iter().flatten().map(decode).collect()
}

#[cfg(test)]
mod tests;
