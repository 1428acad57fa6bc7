//! The database as values: a [`Statement`] goes in, [`Row`]s come out. Two engines run it, D1 in production and SQLite in
//! memory in tests, with the same migrations.

use std::fmt;

use domain::ids::WorkspaceId;
use domain::mode::Mode;
use domain::time::Instant;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json};

pub mod accounts;
pub mod acts;
pub mod bookings;
pub mod checklist;
pub mod clicks;
pub mod commissions;
pub mod conversions;
pub mod customers;
pub mod databases;
pub mod erasure;
pub mod events;
pub mod exports;
pub mod families;
pub mod fraud_alerts;
pub mod idempotency;
pub mod imports;
pub mod invites;
pub mod keys;
pub mod links;
pub mod mails;
pub mod names;
pub mod notices;
pub mod overdue;
pub mod owing;
pub mod packs;
pub mod page;
pub mod partners;
pub mod payees;
pub mod payouts;
pub mod portal;
pub mod programs;
pub mod questions;
pub mod refunds;
pub mod replay;
pub mod rewards;
pub mod schema;
pub mod search;
pub mod sessions;
pub mod slugs;
pub mod story;
pub mod stripe_events;
pub mod stripe_lookups;
pub mod totals;
pub mod webhooks;
pub mod wipe;
pub mod workspaces;

#[cfg(target_arch = "wasm32")]
pub mod d1;

/// The workspace and mode that a statement is confined to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The mode.
    pub mode: Mode,
}

impl Scope {
    /// Continues a statement with the condition that every row is of this workspace and mode.
    pub fn bound(&self, statement: Statement) -> Statement {
        statement.push("WHERE workspace_id = ? AND mode = ?").bind_workspace(&self.workspace_id).bind(self.mode)
    }

    /// The same where a `narrow` condition follows that has an index of its own: the pluses keep SQLite, which knows no sizes, from
    /// the index of the whole workspace.
    pub fn bound_unless(&self, narrow: bool, statement: Statement) -> Statement {
        match narrow {
            true => statement
                .push("WHERE +workspace_id = ? AND +mode = ?")
                .bind_workspace(&self.workspace_id)
                .bind(self.mode),
            false => self.bound(statement),
        }
    }
}

/// A value as JSON text, for a column that holds JSON.
pub fn to_json(value: &impl serde::Serialize) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|error| DbError::Failed(format!("could not be written as JSON: {error}")))
}

/// Something bound to a `?` of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// Below 2^53 in magnitude: D1 carries numbers as doubles.
    Integer(i64),
    /// Text.
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}
impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Integer(i64::from(value))
    }
}
impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Integer(i64::from(value))
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}
impl From<Instant> for Value {
    fn from(value: Instant) -> Self {
        Self::Integer(value.ms())
    }
}
impl From<Mode> for Value {
    fn from(value: Mode) -> Self {
        Self::Text(value.as_str().to_owned())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One SQL statement with its arguments. The text is built of static pieces only: nothing that came in can become SQL.
///
/// What is run for each conversion or delivery compares `CAST(?1 AS TEXT)` where it joins, sorts, or takes the largest. D1's engine
/// (workerd 2026-11-17) keeps a statement, but plans it anew whenever a bare parameter that such a statement compares is bound
/// again; planning what a booking loads took a quarter of a busy local server's time.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    sql: String,
    args: Vec<Value>,
    owes: Option<Scope>,
    home: Option<Home>,
}

/// In which database a statement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// In the one that a workspace belongs to, of this index.
    Of(u8),
    /// In the first, which knows who signs in and which workspaces there are.
    Directory,
    /// In each. Each gives its rows, in the order of the databases.
    Each,
    /// In whichever has it: what it is about says nowhere whose it is. One that cannot be asked is of no matter where another has
    /// something.
    Somewhere,
}

impl Statement {
    /// A statement of this text.
    pub fn new(sql: &'static str) -> Self {
        Self { sql: sql.to_owned(), args: Vec::new(), owes: None, home: None }
    }

    /// A statement for the first database, the directory.
    pub fn directory(sql: &'static str) -> Self {
        Self::new(sql).at(Home::Directory)
    }

    /// A statement for each database.
    pub fn each(sql: &'static str) -> Self {
        Self::new(sql).at(Home::Each)
    }

    /// A statement about something unique, for whichever database has it.
    pub fn somewhere(sql: &'static str) -> Self {
        Self::new(sql).at(Home::Somewhere)
    }

    /// Binds the next `?`.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        self
    }

    /// Binds a workspace, in whose database the statement then runs, if nothing else was said.
    pub fn bind_workspace(mut self, workspace: &WorkspaceId) -> Self {
        self.home.get_or_insert(Home::Of(workspace.database()));
        self.bind(workspace.as_str())
    }

    /// Says that it runs where this workspace lies.
    pub fn in_home_of(self, workspace: &WorkspaceId) -> Self {
        self.at(Home::Of(workspace.database()))
    }

    /// Says in which database it runs.
    pub fn at(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }

    /// In which database it runs, where that was said.
    pub fn home(&self) -> Option<Home> {
        self.home
    }

    /// Appends a piece of text with no argument.
    pub fn push(mut self, piece: &'static str) -> Self {
        self.sql.push_str(piece);
        self
    }

    /// Appends a piece with one `?` where there is a value for it, and nothing where there is none.
    pub fn push_if(self, piece: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.push(piece).bind(value),
            None => self,
        }
    }

    /// Marks a statement after which endpoints of this workspace and mode may be owed a webhook.
    pub fn owing(mut self, scope: &Scope) -> Self {
        self.owes = Some(scope.clone());
        self
    }

    /// Whose endpoints may be owed a webhook after it.
    pub fn owes(&self) -> Option<&Scope> {
        self.owes.as_ref()
    }

    /// The text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// What is bound, in order.
    pub fn args(&self) -> &[Value] {
        &self.args
    }
}

/// One row, read by column name.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Map<String, Json>);

impl Row {
    /// A row of named cells.
    pub fn new(cells: Map<String, Json>) -> Self {
        Self(cells)
    }

    /// Every cell, whole numbers as such whichever engine gave them.
    pub fn shown(&self) -> Map<String, Json> {
        let whole = |cell: &Json| cell.as_f64().filter(|double| cell.is_f64() && double.fract() == 0.0);
        let cells = self.0.iter().map(|(name, cell)| match whole(cell) {
            Some(double) => (name.clone(), Json::from(double as i64)),
            None => (name.clone(), cell.clone()),
        });
        cells.collect()
    }

    fn cell(&self, column: &'static str) -> Result<&Json, DbError> {
        self.0.get(column).ok_or(DbError::Row { column, expected: "a column of that name" })
    }

    /// A text that may be NULL.
    pub fn text_opt(&self, column: &'static str) -> Result<Option<String>, DbError> {
        match self.cell(column)? {
            Json::Null => Ok(None),
            Json::String(text) => Ok(Some(text.clone())),
            _ => Err(DbError::Row { column, expected: "text" }),
        }
    }

    /// A text.
    pub fn text(&self, column: &'static str) -> Result<String, DbError> {
        self.text_opt(column)?.ok_or(DbError::Row { column, expected: "text, not NULL" })
    }

    /// A whole number that may be NULL.
    pub fn integer_opt(&self, column: &'static str) -> Result<Option<i64>, DbError> {
        let wrong = DbError::Row { column, expected: "a whole number" };
        match self.cell(column)? {
            Json::Null => Ok(None),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Ok(Some(whole)),
                // D1 hands numbers over as doubles; every integer we store is below 2^53 and thus exact.
                (None, Some(double)) if double.fract() == 0.0 && double.abs() < 9_007_199_254_740_992.0 => {
                    Ok(Some(double as i64))
                }
                _ => Err(wrong),
            },
            _ => Err(wrong),
        }
    }

    /// A whole number.
    pub fn integer(&self, column: &'static str) -> Result<i64, DbError> {
        self.integer_opt(column)?.ok_or(DbError::Row { column, expected: "a whole number, not NULL" })
    }

    /// A sum, for show: one beyond what D1 hands over exactly is the nearest that fits.
    pub fn sum(&self, column: &'static str) -> Result<i64, DbError> {
        match self.cell(column)? {
            Json::Number(number) => number
                .as_i64()
                .or_else(|| number.as_f64().map(|double| double as i64))
                .ok_or(DbError::Row { column, expected: "a number" }),
            _ => Err(DbError::Row { column, expected: "a number, not NULL" }),
        }
    }

    /// A number stored as 0 or 1.
    pub fn flag(&self, column: &'static str) -> Result<bool, DbError> {
        Ok(self.integer(column)? != 0)
    }

    /// An instant stored in milliseconds.
    pub fn instant(&self, column: &'static str) -> Result<Instant, DbError> {
        self.integer(column).map(Instant::from_ms)
    }

    /// An instant that may be NULL.
    pub fn instant_opt(&self, column: &'static str) -> Result<Option<Instant>, DbError> {
        Ok(self.integer_opt(column)?.map(Instant::from_ms))
    }

    /// A mode.
    pub fn mode(&self, column: &'static str) -> Result<Mode, DbError> {
        Mode::parse(&self.text(column)?).ok_or(DbError::Row { column, expected: "test or live" })
    }

    /// A value stored as JSON text.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: &'static str) -> Result<T, DbError> {
        serde_json::from_str(&self.text(column)?).map_err(|_| DbError::Row { column, expected: "JSON of its type" })
    }

    /// A value parsed from text by a function that may refuse it.
    pub fn parsed<T>(
        &self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<T, DbError> {
        parse(&self.text(column)?).ok_or(DbError::Row { column, expected })
    }
}

/// Why the database did not do what was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum DbError {
    /// A constraint refused the statement; nothing of its batch was written. The text names the constraint.
    Constraint(String),
    /// It failed, and whether a write of it landed is unknown: only a repeatable write may follow.
    Failed(String),
    /// A row that cannot be: the column and what was expected there.
    Row {
        /// The column.
        column: &'static str,
        /// What should have stood there.
        expected: &'static str,
    },
}

impl DbError {
    /// Sorts an engine's message.
    pub fn from_message(message: String) -> Self {
        if message.contains("constraint failed") || message.contains("SQLITE_CONSTRAINT") {
            Self::Constraint(message)
        } else {
            Self::Failed(message)
        }
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constraint(message) => write!(f, "constraint: {message}"),
            Self::Failed(message) => write!(f, "database failed: {message}"),
            Self::Row { column, expected } => write!(f, "impossible row: column {column} is not {expected}"),
        }
    }
}

/// A driver. Two run: D1, and SQLite in tests.
pub trait Database: Send + Sync {
    /// Runs one statement and gives its rows.
    fn rows(&self, statement: Statement) -> BoxFuture<'_, Result<Vec<Row>, DbError>>;

    /// Runs all statements in one transaction, all or none, in one round trip; the rows of each.
    fn batch(&self, statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, DbError>>;

    /// How large the database is, in bytes; one round trip. No SQL that D1 allows tells it.
    fn size_bytes(&self) -> BoxFuture<'_, Result<i64, DbError>>;
}
