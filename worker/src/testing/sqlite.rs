//! SQLite in memory, as D1's stand-in: the same migrations, all or nothing per batch, integers bound as doubles as D1
//! binds them, and faults on demand.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};
use serde_json::{Map, Value as Json};

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
    longest_argument: Mutex<usize>,
}

impl Sqlite {
    /// A new database with every migration, in order.
    pub fn migrated() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        // The statements of a booking are long and always the same: each is planned once, whatever is bound to it.
        connection.set_prepared_statement_cache_capacity(128);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).unwrap();
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

    /// Bytes of the longest text that was ever bound.
    pub fn longest_argument(&self) -> usize {
        *self.longest_argument.lock().unwrap()
    }

    /// The one number that a query gives.
    pub fn count(&self, sql: &str) -> i64 {
        self.connection.lock().unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn run(&self, statements: &[Statement]) -> Result<Vec<Vec<Row>>, DbError> {
        *self.round_trips.lock().unwrap() += 1;
        for value in statements.iter().flat_map(Statement::args) {
            if let Value::Text(text) = value {
                let mut longest = self.longest_argument.lock().unwrap();
                *longest = text.len().max(*longest);
            }
        }
        let writes = statements.iter().any(|statement| !statement.sql().trim_start().starts_with("SELECT"));
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
        let mut connection = self.connection.lock().unwrap();
        let transaction = connection.transaction().unwrap();
        let results = statements.iter().map(|statement| one(&transaction, statement)).collect::<Result<Vec<_>, _>>()?;
        transaction.commit().map_err(sorted)?;
        if fate == NextWrite::LandsButReportsFailure {
            return Err(DbError::Failed("the connection broke after the write".to_owned()));
        }
        Ok(results)
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
}

fn one(connection: &Connection, statement: &Statement) -> Result<Vec<Row>, DbError> {
    let mut prepared = connection.prepare_cached(statement.sql()).map_err(sorted)?;
    let names: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let args = statement.args().iter().map(|value| match value {
        Value::Null => rusqlite::types::Value::Null,
        // As D1 binds every number.
        Value::Integer(whole) => rusqlite::types::Value::Real(*whole as f64),
        Value::Text(text) => rusqlite::types::Value::Text(text.clone()),
    });
    let mut rows = prepared.query(params_from_iter(args)).map_err(sorted)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(sorted)? {
        let mut cells = Map::new();
        for (place, name) in names.iter().enumerate() {
            let cell = match row.get_ref(place).map_err(sorted)? {
                ValueRef::Null => Json::Null,
                ValueRef::Integer(whole) => Json::from(whole),
                ValueRef::Real(double) => Json::from(double),
                ValueRef::Text(text) => Json::from(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(_) => return Err(DbError::Failed("blobs are not used".to_owned())),
            };
            cells.insert(name.clone(), cell);
        }
        all.push(Row::new(cells));
    }
    Ok(all)
}

fn sorted(error: rusqlite::Error) -> DbError {
    DbError::from_message(error.to_string())
}
