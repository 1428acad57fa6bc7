//! Notices when webhooks may be owed, so that they leave at once: whatever wrote an event need not say so. A notice that is lost
//! costs time only; the sweep finds what is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use super::{Database, DbError, Row, Statement};

/// A driver that notices.
pub struct Noticing {
    db: Arc<dyn Database>,
    owed: Arc<AtomicBool>,
}

impl Noticing {
    /// Notices in `owed` what goes to `db`.
    pub fn new(db: Arc<dyn Database>, owed: Arc<AtomicBool>) -> Self {
        Self { db, owed }
    }
}

impl Database for Noticing {
    fn rows(&self, statement: Statement) -> BoxFuture<'_, Result<Vec<Row>, DbError>> {
        let owes = statement.owes();
        Box::pin(async move {
            let rows = self.db.rows(statement).await;
            self.owed.fetch_or(owes, Ordering::Relaxed);
            rows
        })
    }

    fn batch(&self, statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, DbError>> {
        let owes = statements.iter().any(Statement::owes);
        Box::pin(async move {
            let rows = self.db.batch(statements).await;
            // After a failure too: what was reported as failed may have landed.
            self.owed.fetch_or(owes, Ordering::Relaxed);
            rows
        })
    }
}
