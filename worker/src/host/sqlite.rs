//! SQLite as D1's stand-in: all or nothing per batch, integers bound as doubles as D1 binds them.

use std::path::Path;
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use serde_json::{Map, Value as Json};

use crate::store::{Database, DbError, Row, Statement, Value};

/// Statements that stay planned.
const STATEMENTS_KEPT: usize = 200;

/// A database that is only read.
pub struct Sqlite(Mutex<Connection>);

impl Sqlite {
    /// Opens a file for reading.
    pub fn open_read_only(file: &Path) -> Result<Self, DbError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags).map_err(sorted)?;
        prepare(&connection).map_err(sorted)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// A database that is there already.
    pub(super) fn of(connection: Connection) -> Result<Self, DbError> {
        prepare(&connection).map_err(sorted)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Whether it has a table of this name.
    pub fn has_table(&self, name: &str) -> bool {
        let Ok(connection) = self.0.lock() else { return false };
        connection.table_exists(None, name).unwrap_or(false)
    }

    fn run(&self, statements: &[Statement]) -> Result<Vec<Vec<Row>>, DbError> {
        let mut connection = self.0.lock().map_err(|_| DbError::Failed("the connection is broken".to_owned()))?;
        run(&mut connection, statements)
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
        let broken = |_| DbError::Failed("the connection is broken".to_owned());
        let size = self.0.lock().map_err(broken).and_then(|connection| size_bytes(&connection));
        Box::pin(std::future::ready(size))
    }
}

/// Has a connection plan each statement once, not anew for each of its arguments.
pub(crate) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// Runs statements in one transaction.
pub(crate) fn run(connection: &mut Connection, statements: &[Statement]) -> Result<Vec<Vec<Row>>, DbError> {
    let transaction = connection.transaction().map_err(sorted)?;
    let results = statements.iter().map(|statement| one(&transaction, statement)).collect::<Result<Vec<_>, _>>()?;
    transaction.commit().map_err(sorted)?;
    Ok(results)
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

/// How large a database is.
pub(crate) fn size_bytes(connection: &Connection) -> Result<i64, DbError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    connection.query_row(sql, [], |row| row.get(0)).map_err(sorted)
}

fn sorted(error: rusqlite::Error) -> DbError {
    DbError::from_message(error.to_string())
}
