//! Notices whose webhooks may be owed, so that they leave at once: whatever wrote an event need not say so. A notice that is lost
//! costs time only; the sweep finds what is due.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::{Database, DbError, Row, Scope, Statement};

/// The workspaces and modes that may be owed something since somebody last looked.
#[derive(Clone, Default)]
pub struct Owed(Arc<Mutex<HashSet<Scope>>>);

impl Owed {
    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Takes them all.
    pub fn take(&self) -> Vec<Scope> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain().collect()
    }

    fn note(&self, scopes: Vec<Scope>) {
        if !scopes.is_empty() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(scopes);
        }
    }
}

/// A driver that notices.
pub struct Noticing {
    db: Arc<dyn Database>,
    owed: Owed,
}

impl Noticing {
    /// Notices in `owed` what goes to `db`.
    pub fn new(db: Arc<dyn Database>, owed: Owed) -> Self {
        Self { db, owed }
    }
}

impl Database for Noticing {
    fn rows(&self, statement: Statement) -> BoxFuture<'_, Result<Vec<Row>, DbError>> {
        let scopes = statement.owes().cloned().into_iter().collect();
        Box::pin(async move {
            let rows = self.db.rows(statement).await;
            self.owed.note(scopes);
            rows
        })
    }

    fn batch(&self, statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, DbError>> {
        let scopes = statements.iter().filter_map(Statement::owes).cloned().collect();
        Box::pin(async move {
            let rows = self.db.batch(statements).await;
            // After a failure too: what was reported as failed may have landed.
            self.owed.note(scopes);
            rows
        })
    }

    fn size_bytes(&self) -> BoxFuture<'_, Result<i64, DbError>> {
        self.db.size_bytes()
    }
}
