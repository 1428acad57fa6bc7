//! SQLite in memory, as D1's stand-in: the same migrations, and faults on demand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use rusqlite::Connection;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;

use crate::host::sqlite;
use crate::store::{Database, DbError, Row, Statement, Value};

/// What happens to the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextWrite {
    /// It is written.
    Works,
    /// It is not written, and fails.
    IsLost,
    /// It is written, and reported as failed.
    LandsButReportsFailure,
}

/// What another request does meanwhile.
type Meanwhile = Box<dyn FnOnce() + Send>;

pub struct Sqlite {
    connection: Mutex<Connection>,
    next_write: Mutex<NextWrite>,
    before_next_write: Mutex<Option<Meanwhile>>,
    round_trips: Mutex<u32>,
    statements: Mutex<usize>,
    /// Whatever is asked fails.
    pub is_down: AtomicBool,
    longest_argument: Mutex<usize>,
}

impl Sqlite {
    /// A new database with every migration, in order.
    pub fn migrated() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        sqlite::prepare(&connection).unwrap();
        // As workerd limits D1 (its util/sqlite.c++): what is refused there must be refused here.
        for (limit, value) in [
            (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
            (Limit::SQLITE_LIMIT_COLUMN, 100),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 5),
            (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
            (Limit::SQLITE_LIMIT_FUNCTION_ARG, 32),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 100),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
        ] {
            connection.set_limit(limit, value).unwrap();
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            connection.execute_batch(&std::fs::read_to_string(&file).unwrap()).unwrap();
        }
        Self {
            connection: Mutex::new(connection),
            next_write: Mutex::new(NextWrite::Works),
            before_next_write: Mutex::new(None),
            round_trips: Mutex::new(0),
            statements: Mutex::new(0),
            is_down: AtomicBool::new(false),
            longest_argument: Mutex::new(0),
        }
    }

    /// What is to happen to the next batch that writes.
    pub fn next_write(&self, fate: NextWrite) {
        *self.next_write.lock().unwrap() = fate;
    }

    /// What happens after the next write was decided on and before it is written: another request, that is faster.
    pub fn before_next_write(&self, meanwhile: impl FnOnce() + Send + 'static) {
        *self.before_next_write.lock().unwrap() = Some(Box::new(meanwhile));
    }

    /// Runs SQL as it is; the engine's message where it is refused.
    pub fn execute(&self, sql: &str) -> Result<usize, String> {
        let connection = self.connection.lock().unwrap();
        connection.execute(sql, []).map_err(|error| error.to_string())
    }

    /// Round trips since this was last asked.
    pub fn round_trips(&self) -> u32 {
        std::mem::take(&mut *self.round_trips.lock().unwrap())
    }

    /// Statements since this was last asked.
    pub fn statements(&self) -> usize {
        std::mem::take(&mut *self.statements.lock().unwrap())
    }

    /// Bytes of the longest text that was ever bound.
    pub fn longest_argument(&self) -> usize {
        *self.longest_argument.lock().unwrap()
    }

    /// The one number that a query gives.
    pub fn count(&self, sql: &str) -> i64 {
        self.connection.lock().unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The one text that a query gives.
    pub fn text(&self, sql: &str) -> String {
        self.connection.lock().unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Every value of every row of every table, as text.
    pub fn everything(&self) -> String {
        let connection = self.connection.lock().unwrap();
        let mut names =
            connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").unwrap();
        let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut text = String::new();
        for name in names {
            let mut all = connection.prepare(&format!("SELECT * FROM {name}")).unwrap();
            let columns = all.column_count();
            let mut rows = all.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let cells = (0..columns).map(|place| shown(row.get_ref(place).unwrap()));
                text.extend(cells);
                text.push('\n');
            }
        }
        text
    }

    /// How a query is to be run, a line a step.
    pub fn plan(&self, sql: &str) -> String {
        let connection = self.connection.lock().unwrap();
        let mut prepared = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let count = prepared.parameter_count();
        let steps =
            prepared.query_map(rusqlite::params_from_iter(vec![0; count]), |row| row.get::<_, String>(3)).unwrap();
        steps.map(|step| step.unwrap() + "\n").collect()
    }

    fn run(&self, statements: &[Statement]) -> Result<Vec<Vec<Row>>, DbError> {
        *self.round_trips.lock().unwrap() += 1;
        *self.statements.lock().unwrap() += statements.len();
        if self.is_down.load(Ordering::SeqCst) {
            return Err(DbError::Failed("the database is down".to_owned()));
        }
        for value in statements.iter().flat_map(Statement::args) {
            if let Value::Text(text) = value {
                let mut longest = self.longest_argument.lock().unwrap();
                *longest = text.len().max(*longest);
            }
        }
        let reads = |sql: &str| sql.starts_with("SELECT") || sql.starts_with("WITH");
        let writes = statements.iter().any(|statement| !reads(statement.sql().trim_start()));
        let meanwhile = writes.then(|| self.before_next_write.lock().unwrap().take()).flatten();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        let fate = if writes {
            std::mem::replace(&mut *self.next_write.lock().unwrap(), NextWrite::Works)
        } else {
            NextWrite::Works
        };
        if fate == NextWrite::IsLost {
            return Err(DbError::Failed("the write was lost".to_owned()));
        }
        let results = sqlite::run(&mut self.connection.lock().unwrap(), statements)?;
        if fate == NextWrite::LandsButReportsFailure {
            return Err(DbError::Failed("the connection broke after the write".to_owned()));
        }
        Ok(results)
    }
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned() + " ",
        value => format!("{value:?} "),
    }
}

impl Database for Sqlite {
    fn rows(&self, statement: Statement) -> BoxFuture<'_, Result<Vec<Row>, DbError>> {
        let result = self.run(&[statement]).map(|mut all| all.pop().unwrap_or_default());
        Box::pin(std::future::ready(result))
    }

    fn batch(&self, statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, DbError>> {
        Box::pin(std::future::ready(self.run(&statements)))
    }

    fn size_bytes(&self) -> BoxFuture<'_, Result<i64, DbError>> {
        *self.round_trips.lock().unwrap() += 1;
        Box::pin(std::future::ready(sqlite::size_bytes(&self.connection.lock().unwrap())))
    }
}
