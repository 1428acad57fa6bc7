//! The file that an export's pages make, one behind the other: read line by line, and believed only as a whole chain.

use std::io::{BufRead, Read};

use domain::ids::WorkspaceId;
use domain::mode::Mode;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use crate::export::{FORMAT, first_digest};

/// A row has at most 2 MB in D1, and its text is written as JSON once more.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// An export that is whole and unchanged since its pages were made, as far as its digests tell. That it was this deployment which
/// made them, its signature tells to whoever asks the deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its id.
    pub export_id: String,
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// What of it.
    pub modes: Vec<Mode>,
    /// When it was begun.
    pub created_at: String,
    /// The last page's digest.
    pub digest: String,
    /// How many pages.
    pub pages: u64,
    /// How many rows.
    pub rows: u64,
    /// Of digest, pages and rows.
    pub signature: String,
    /// Something was booked while it was made.
    pub changed_meanwhile: bool,
}

#[derive(Deserialize)]
struct Head {
    format: String,
    export_id: String,
    workspace_id: WorkspaceId,
    page: u64,
    previous: String,
    #[serde(default)]
    modes: Vec<Mode>,
    #[serde(default)]
    created_at: String,
}

#[derive(Deserialize)]
struct Foot {
    end_of_page: u64,
    digest: String,
    rows: u64,
    next: Option<String>,
    pages_total: Option<u64>,
    rows_total: Option<u64>,
    signature: Option<String>,
    #[serde(default)]
    changed_meanwhile: bool,
}

#[derive(Deserialize)]
struct Line {
    table: String,
    row: Map<String, Json>,
}

/// Takes a row of a table, of the page with this head.
type Take<'a> = dyn FnMut(&Head, &str, Map<String, Json>) -> Result<(), String> + 'a;

/// Where reading is.
struct Reading<'a, B> {
    lines: B,
    number: u64,
    take: &'a mut Take<'a>,
}

/// Reads an export and hands over each row with its table. Nothing that was handed over counts before all is read: an error says
/// which line is not as it was made.
pub fn read<B: BufRead>(
    lines: B,
    mut take: impl FnMut(&WorkspaceId, &str, Map<String, Json>) -> Result<(), String>,
) -> Result<Whole, String> {
    let mut taken = |head: &Head, table: &str, row: Map<String, Json>| take(&head.workspace_id, table, row);
    let mut reading = Reading { lines, number: 0, take: &mut taken };
    let mut first: Option<Head> = None;
    let (mut pages, mut rows, mut previous) = (0, 0, String::new());
    loop {
        let Some(line) = reading.line()? else {
            return Err(match pages {
                0 => "this is no export: it is empty".to_owned(),
                many => format!("it ends after page {many}, which is not the last one"),
            });
        };
        let head: Head = serde_json::from_str(&line).map_err(|_| reading.wrong("is no head of a page of an export"))?;
        if head.format != FORMAT {
            return Err(reading.wrong(&format!("is of the form {:?}, and this reads {FORMAT:?}", head.format)));
        }
        match &first {
            None if head.page != 1 => return Err(reading.wrong(&format!("page 1 is missing: this is {}", head.page))),
            None => previous = first_digest(&head.export_id, head.workspace_id.as_str()),
            Some(first) if head.workspace_id != first.workspace_id => {
                let whose = &head.workspace_id;
                return Err(reading.wrong(&format!("is a page of another workspace, {whose}")));
            }
            Some(first) if head.export_id != first.export_id => {
                return Err(reading.wrong(&format!("is a page of another export, {}", head.export_id)));
            }
            Some(_) if head.page <= pages => {
                return Err(reading.wrong(&format!("page {} is there twice, or out of order", head.page)));
            }
            Some(_) if head.page > pages + 1 => {
                return Err(reading.wrong(&format!("page {} is missing: this is {}", pages + 1, head.page)));
            }
            Some(_) => {}
        }
        if head.previous != previous {
            return Err(reading.wrong(&format!("page {} does not follow the page before it here", head.page)));
        }
        pages = head.page;
        let foot = reading.page(&head, &line)?;
        previous.clone_from(&foot.digest);
        rows += foot.rows;
        let first = first.get_or_insert(head);
        if foot.next.is_some() {
            continue;
        }
        if let Some(more) = reading.line()? {
            let twice = more.contains("\"format\"");
            let what = if twice { "is a page behind the last one: one is there twice" } else { "is behind the end" };
            return Err(reading.wrong(what));
        }
        if foot.pages_total != Some(pages) || foot.rows_total != Some(rows) {
            return Err(reading.wrong("counts other pages or rows than there are"));
        }
        let signature = foot.signature.ok_or_else(|| reading.wrong("has no signature"))?;
        return Ok(Whole {
            export_id: first.export_id.clone(),
            workspace_id: first.workspace_id.clone(),
            modes: first.modes.clone(),
            created_at: first.created_at.clone(),
            digest: foot.digest,
            pages,
            rows,
            signature,
            changed_meanwhile: foot.changed_meanwhile,
        });
    }
}

impl<B: BufRead> Reading<'_, B> {
    /// The next line without its end; none behind the last.
    fn line(&mut self) -> Result<Option<String>, String> {
        let mut line = String::new();
        let read = (&mut self.lines).take(LINE_BYTES_MAX).read_line(&mut line);
        self.number += 1;
        match read {
            Err(error) => Err(self.wrong(&format!("cannot be read: {error}"))),
            Ok(0) => Ok(None),
            Ok(_) => match line.strip_suffix('\n') {
                Some(line) => Ok(Some(line.to_owned())),
                None => Err(self.wrong("is broken off, or longer than any line of an export")),
            },
        }
    }

    fn wrong(&self, what: &str) -> String {
        format!("line {}: {what}", self.number)
    }

    /// The rest of a page. Its rows are handed over before its digest is known to hold; whoever takes them waits for the end.
    fn page(&mut self, head: &Head, first: &str) -> Result<Foot, String> {
        let mut digest = Sha256::new();
        digest.update(first);
        digest.update("\n");
        let mut rows = 0;
        loop {
            let cut = || format!("it ends within page {}", head.page);
            let line = self.line()?.ok_or_else(cut)?;
            if let Ok(Line { table, row }) = serde_json::from_str(&line) {
                digest.update(&line);
                digest.update("\n");
                rows += 1;
                let said = row.get("workspace_id").and_then(Json::as_str);
                if said.is_some_and(|said| said != head.workspace_id.as_str()) {
                    return Err(self.wrong("is a row of another workspace"));
                }
                (self.take)(head, &table, row).map_err(|why| self.wrong(&why))?;
                continue;
            }
            let foot: Foot =
                serde_json::from_str(&line).map_err(|_| self.wrong("is neither a row nor a page's end"))?;
            if foot.end_of_page != head.page || foot.rows != rows || foot.digest != hex::encode(digest.finalize()) {
                return Err(self.wrong(&format!("page {} was changed: its digest is another", head.page)));
            }
            return Ok(foot);
        }
    }
}
