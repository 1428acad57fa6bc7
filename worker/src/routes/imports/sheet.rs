//! The text of a spreadsheet as rows of named cells. UTF-8 with or without a byte order mark, commas, quotes, lines that end with LF or CRLF.

use serde_json::{Map, Value as Json};

use super::Cells;
use crate::error::{ApiError, FieldError};

/// Rows of one request. With the widest columns, 64 KiB hold fewer.
pub const ROWS_MAX: usize = 500;

/// What the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Partners, and in which program each takes part.
    Partners,
    /// Links of participants.
    Links,
    /// Promo codes of participants.
    PromoCodes,
}

impl Kind {
    /// All of them, as they are written.
    pub const WORDS: [&'static str; 3] = ["partners", "links", "promo_codes"];

    /// Reads a kind.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Partners, Self::Links, Self::PromoCodes].into_iter().find(|kind| kind.word() == text)
    }

    /// As it is written.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Partners => "partners",
            Self::Links => "links",
            Self::PromoCodes => "promo_codes",
        }
    }

    /// The columns that a sheet may have; the first ones it must.
    const fn columns(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Partners => (&["email"], &["name", "program", "status"]),
            Self::Links => (&["ref", "landing_url"], &["participant_id", "email", "program", "slug", "name"]),
            Self::PromoCodes => (&["code"], &["participant_id", "email", "program", "stripe_promotion_code_id"]),
        }
    }
}

/// What a text holds.
pub struct Sheet {
    /// Rows with as many cells as there are columns.
    pub rows: Vec<Cells>,
    /// Rows that have not.
    pub wrong: Vec<(u64, FieldError)>,
}

/// Reads a text. What is wrong with all of it, such as its columns, is a refusal; what is wrong with a row is that row's.
pub fn read(kind: Kind, text: &str) -> Result<Sheet, ApiError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Lines end with LF; the CR before it is white space of the last cell. The last line ends too.
    let text = format!("{text}\n");
    let mut builder = csv::ReaderBuilder::new();
    let mut reader =
        builder.flexible(true).has_headers(false).terminator(csv::Terminator::Any(b'\n')).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    let mut next = |record: &mut csv::StringRecord| -> Result<Option<u64>, ApiError> {
        let is_there =
            reader.read_record(record).map_err(|error| ApiError::field("csv", format!("cannot be read: {error}")))?;
        Ok(is_there.then(|| reader.position().line()))
    };
    let mut ends = next(&mut record)?.unwrap_or(2);
    let columns = columns(kind, record.iter())?;
    let mut sheet = Sheet { rows: Vec::new(), wrong: Vec::new() };
    while let Some(after) = next(&mut record)? {
        // Blank lines before a row are passed over with it; only those within its cells are its own.
        let own: u64 = record.iter().map(|cell| cell.matches('\n').count() as u64).sum();
        let number = after.saturating_sub(1 + own).max(ends);
        ends = after;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if sheet.rows.len() + sheet.wrong.len() >= ROWS_MAX {
            let message = format!("must have at most {ROWS_MAX} rows; send the others with another request");
            return Err(ApiError::field("csv", message));
        }
        match cells(&columns, &record) {
            Ok(cells) => sheet.rows.push((number, cells)),
            Err(wrong) => sheet.wrong.push((number, wrong)),
        }
    }
    Ok(sheet)
}

fn columns<'a>(kind: Kind, named: impl Iterator<Item = &'a str>) -> Result<Vec<String>, ApiError> {
    let (needed, more) = kind.columns();
    let all: Vec<&str> = needed.iter().chain(more).copied().collect();
    let columns: Vec<String> = named.map(|name| name.trim().to_lowercase()).collect();
    let mut errors = Vec::new();
    let mut error = |message: String| errors.push(FieldError { field: "csv".to_owned(), message });
    for (place, name) in columns.iter().enumerate() {
        if !all.contains(&name.as_str()) {
            let name: String = name.chars().take(100).collect();
            error(format!(
                "line 1: there is no column {name:?} of {}; there are {}, separated by commas",
                kind.word(),
                all.join(", ")
            ));
        } else if columns[..place].contains(name) {
            error(format!("line 1: the column {name} is there twice"));
        }
    }
    for name in needed.iter().filter(|name| !columns.iter().any(|column| column == *name)) {
        error(format!("line 1: the column {name} is missing"));
    }
    match errors.is_empty() {
        true => Ok(columns),
        // A file of something else may have any number of them.
        false => Err(ApiError::fields(errors.into_iter().take(10).collect())),
    }
}

/// The cells that say something. A line break in one is mostly a quote that nothing closes, which would take in all that follows.
fn cells(columns: &[String], record: &csv::StringRecord) -> Result<Map<String, Json>, FieldError> {
    let wrong = |field: &str, message: String| Err(FieldError { field: field.to_owned(), message });
    if record.len() != columns.len() {
        return wrong("", format!("has {} cells, and the header line {}", record.len(), columns.len()));
    }
    let mut cells = Map::new();
    for (name, cell) in columns.iter().zip(record) {
        let cell = cell.trim();
        if cell.chars().any(char::is_control) {
            return wrong(
                name,
                "must not contain line breaks or other control characters; is a quote not closed?".to_owned(),
            );
        }
        if !cell.is_empty() {
            cells.insert(name.clone(), Json::from(cell));
        }
    }
    Ok(cells)
}
