//! The export of a workspace: all of its rows as lines of JSON, in pages, of which each holds the digest of the one before and the
//! last one a signature. A page is read when it is asked for: nothing of an export is kept, and nothing large is held.
//!
//! A page is a head, a line for each row, and a foot. Its digest is SHA-256 over head and rows, as they stand; where the next page
//! begins, what came before and how much that was is sealed into the foot's `next`, so that a chain is of our making or breaks.
//!
//! A replay opens click ids, which takes the deployment's secret. What it would learn of those that facts name goes out beside the
//! facts, in lines of `opened_clicks`: a link's number and a time for each, which tell nothing of the secret.

use domain::ids::WorkspaceId;
use domain::mode::Mode;
use domain::time::{DAY_MS, Instant};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::booking;
use crate::error::ApiError;
use crate::store::Scope;
use crate::store::exports::{self as table, Export, LEFT_OUT, Of, STEPS, Step, WITHHELD};
use crate::store::families::StoredFact;

/// What a head begins with. Another form of the file is another one of these.
pub const FORMAT: &str = "selgeo export 1";
/// The lines beside the tables'.
pub const OPENED_CLICKS: &str = "opened_clicks";
/// How long an export's pages can be had.
pub const PAGES_HAD_MS: i64 = DAY_MS;
/// A page ends once it is so long; its last row may be a megabyte.
const PAGE_BYTES: usize = 512 * 1024;
/// Reads of one page; a Worker may make 50 without a paid plan.
const READS_MAX: u32 = 30;

/// Where a page begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    page: u64,
    /// The digest of the page before.
    previous: String,
    /// Rows before this page.
    rows: u64,
    step: usize,
    mode: usize,
    after: Vec<Json>,
}

/// What was exported, to be signed.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    /// The last page's digest.
    pub digest: &'a str,
    /// How many pages.
    pub pages: u64,
    /// How many rows.
    pub rows: u64,
}

/// A page, from its beginning or from where the one before said.
pub async fn page(app: &App, export: &Export, next: Option<&str>) -> Result<String, ApiError> {
    let mut place = match next {
        None => Place { page: 1, previous: start(export), rows: 0, step: 0, mode: 0, after: Vec::new() },
        Some(sealed) => opened(app, export, sealed).ok_or(ApiError::NotFound("page"))?,
    };
    let mut text = String::new();
    push(&mut text, &head(export, &place));
    let (before, mut reads) = (place.rows, 0);
    while let Some(step) = STEPS.get(place.step)
        && text.len() < PAGE_BYTES
        && reads < READS_MAX
    {
        let Some(mode) = export.modes.get(place.mode).copied() else { break };
        reads += 1;
        let rows = app.db.rows(table::read(step, &export.workspace_id, mode, &place.after)).await?;
        let mut written = 0;
        for row in &rows {
            if text.len() >= PAGE_BYTES {
                break;
            }
            let cells = row.shown();
            place.after = step.key(&cells);
            place.rows += opened_clicks(app, export, step, &cells, &mut text);
            push(&mut text, &json!({ "table": step.table, "row": told(step, cells) }));
            place.rows += 1;
            written += 1;
        }
        if written == rows.len() && i64::try_from(written).unwrap_or(i64::MAX) < step.rows_max {
            on(&mut place, step, export);
        }
    }
    let digest = hex::encode(Sha256::digest(&text));
    let (rows, is_last) = (place.rows - before, place.step >= STEPS.len());
    let mut foot = json!({ "end_of_page": place.page, "digest": digest, "rows": rows, "next": null });
    match is_last {
        false => {
            let next = Place { page: place.page + 1, previous: digest, ..place };
            foot["next"] =
                json!(app.secrets.seal(&*app.random, &purpose(export), json!(next).to_string().as_bytes())?);
        }
        true => {
            let signed = Signed { digest: &digest, pages: place.page, rows: place.rows };
            foot["pages_total"] = json!(signed.pages);
            foot["rows_total"] = json!(signed.rows);
            foot["signature"] = json!(signature(app, export, &signed));
            foot["changed_meanwhile"] = json!(changed(app, export).await?);
        }
    }
    push(&mut text, &foot);
    Ok(text)
}

/// Whether a signature is this deployment's, of this export.
pub fn is_signed(app: &App, export: &Export, signed: &Signed<'_>, signature_given: &str) -> bool {
    signature(app, export, signed).as_bytes().ct_eq(signature_given.as_bytes()).into()
}

fn signature(app: &App, export: &Export, signed: &Signed<'_>) -> String {
    let (pages, rows) = (signed.pages.to_string(), signed.rows.to_string());
    app.secrets.export_signature(&[export.workspace_id.as_str(), export.id.as_str(), signed.digest, &pages, &rows])
}

/// What the first page says of the one before: there is none, and whose export it is.
fn start(export: &Export) -> String {
    first_digest(export.id.as_str(), export.workspace_id.as_str())
}

/// The digest that the first page of an export names as the one before.
pub fn first_digest(export_id: &str, workspace_id: &str) -> String {
    hex::encode(Sha256::digest(format!("{FORMAT}\n{workspace_id}\n{export_id}\n")))
}

/// What goes out of an export and what does not, as the API and the first page say it.
pub fn contents() -> Json {
    let mut tables: Vec<&str> = Vec::new();
    for step in STEPS {
        if !tables.contains(&step.table) {
            tables.push(step.table);
        }
    }
    let left_out: Map<String, Json> = LEFT_OUT.iter().map(|(table, why)| ((*table).to_owned(), json!(why))).collect();
    let withheld: Map<String, Json> =
        WITHHELD.iter().map(|(table, column, why)| (format!("{table}.{column}"), json!(why))).collect();
    json!({ "tables": tables, "left_out": left_out, "withheld": withheld })
}

fn head(export: &Export, place: &Place) -> Json {
    let mut head = json!({
        "format": FORMAT, "export_id": export.id, "workspace_id": export.workspace_id, "page": place.page,
        "previous": place.previous,
    });
    if place.page == 1 {
        head["modes"] = json!(export.modes);
        head["created_at"] = json!(export.created_at.to_string());
        head["contents"] = contents();
    }
    head
}

/// Moves on to the next mode or table.
fn on(place: &mut Place, step: &Step, export: &Export) {
    place.after.clear();
    place.mode += 1;
    if step.of != Of::Mode || place.mode >= export.modes.len() {
        (place.mode, place.step) = (0, place.step + 1);
    }
}

/// A row as it goes out.
fn told(step: &Step, mut cells: Map<String, Json>) -> Map<String, Json> {
    for (_, column, _) in WITHHELD.iter().filter(|(table, ..)| *table == step.table) {
        cells.remove(*column);
    }
    cells
}

/// Lines for the clicks that a fact names; how many. Of what is no fact, which a replay will say, none.
fn opened_clicks(app: &App, export: &Export, step: &Step, cells: &Map<String, Json>, text: &mut String) -> u64 {
    let body = cells.get("body").and_then(Json::as_str).filter(|_| step.table == "facts");
    let Some(fact) = body.and_then(|body| serde_json::from_str::<StoredFact>(body).ok()) else { return 0 };
    let mut lines = 0;
    for (click_id, number, at) in booking::clicks_of(app, &export.workspace_id, &fact) {
        let row = json!({ "click_id": click_id, "link_number": number, "clicked_at": at.ms() });
        push(text, &json!({ "table": OPENED_CLICKS, "row": row }));
        lines += 1;
    }
    lines
}

/// Whether the workspace was changed since the export was asked for: some of its rows may be of before and others of after.
async fn changed(app: &App, export: &Export) -> Result<bool, ApiError> {
    let scope = |mode: &Mode| Scope { workspace_id: export.workspace_id.clone(), mode: *mode };
    let asked = export.modes.iter().map(|mode| table::moved_since(&scope(mode), export.created_at)).collect();
    for rows in app.db.batch(asked).await? {
        if let Some(row) = rows.first()
            && row.flag("moved")?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn push(text: &mut String, line: &Json) {
    text.push_str(&line.to_string());
    text.push('\n');
}

fn purpose(export: &Export) -> String {
    format!("export {} {}", export.workspace_id, export.id)
}

fn opened(app: &App, export: &Export, sealed: &str) -> Option<Place> {
    serde_json::from_slice(&app.secrets.open(&purpose(export), sealed)?).ok()
}

/// An export that nobody has recorded, of a database that is only read.
pub fn unrecorded(app: &App, workspace_id: WorkspaceId, modes: Vec<Mode>, now: Instant) -> Export {
    Export { id: app.fresh(now), workspace_id, modes, created_at: now }
}
