//! The driver for D1: the only file that sees it.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value as Json};
use wasm_bindgen::JsValue;
use worker::send::SendFuture;
use worker::{D1Database, D1Result};

use super::{Database, DbError, Row, Statement, Value};
use crate::asked;

fn count(results: &[D1Result]) {
    let metas = results.iter().filter_map(|result| result.meta().ok().flatten());
    let (mut read, mut written) = (0, 0);
    for meta in metas {
        read += meta.rows_read.unwrap_or(0);
        written += meta.rows_written.unwrap_or(0);
    }
    asked::note_trip(u32::try_from(read).unwrap_or(u32::MAX), u32::try_from(written).unwrap_or(u32::MAX));
}

/// A D1 database.
pub struct D1(pub D1Database);

impl D1 {
    fn prepare(&self, statement: &Statement) -> Result<worker::D1PreparedStatement, DbError> {
        let args: Vec<JsValue> = statement.args().iter().map(js_value).collect();
        self.0.prepare(statement.sql()).bind(&args).map_err(sorted)
    }
}

impl Database for D1 {
    fn rows(&self, statement: Statement) -> BoxFuture<'_, Result<Vec<Row>, DbError>> {
        Box::pin(SendFuture::new(async move {
            let result = self.prepare(&statement)?.all().await.map_err(sorted)?;
            count(std::slice::from_ref(&result));
            rows_of(&result)
        }))
    }

    fn batch(&self, statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, DbError>> {
        Box::pin(SendFuture::new(async move {
            let prepared = statements.iter().map(|s| self.prepare(s)).collect::<Result<Vec<_>, _>>()?;
            let results = self.0.batch(prepared).await.map_err(sorted)?;
            count(&results);
            results.iter().map(rows_of).collect()
        }))
    }

    /// Every result says how large the database is after it.
    fn size_bytes(&self) -> BoxFuture<'_, Result<i64, DbError>> {
        Box::pin(SendFuture::new(async move {
            let result = self.prepare(&Statement::new("SELECT 1"))?.all().await.map_err(sorted)?;
            let size = result.meta().map_err(sorted)?.and_then(|meta| meta.size_after);
            size.and_then(|size| i64::try_from(size).ok())
                .ok_or_else(|| DbError::Failed("a result did not tell the database's size".to_owned()))
        }))
    }
}

/// Numbers are bound as doubles because D1 knows no others; they are exact below 2^53.
fn js_value(value: &Value) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        Value::Integer(whole) => JsValue::from_f64(*whole as f64),
        Value::Text(text) => JsValue::from_str(text),
    }
}

fn rows_of(result: &D1Result) -> Result<Vec<Row>, DbError> {
    if let Some(message) = result.error() {
        return Err(DbError::from_message(message));
    }
    let rows: Vec<Map<String, Json>> = result.results().map_err(sorted)?;
    Ok(rows.into_iter().map(Row::new).collect())
}

fn sorted(error: worker::Error) -> DbError {
    DbError::from_message(error.to_string())
}
