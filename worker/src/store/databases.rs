//! The databases of a deployment: a list that only grows. A workspace belongs to one of them, which its id names; nothing joins across.
//!
//! The first is also the directory: who signs in and is a member where (`people`, `members`, `sessions`, `sign_in_links`), a copy of each
//! workspace's own row, and the local mailbox. What is asked of each database is asked of all at once.

use std::sync::Arc;

use domain::ids::WorkspaceId;
use futures_util::future::{BoxFuture, join_all, try_join_all};

use super::{Database, DbError, Home, Row, Statement};

/// A click id has four bits for a database.
pub const DATABASES_MAX: usize = 16;

/// All databases, in the order of the deployment's list.
pub struct Databases {
    first: Arc<dyn Database>,
    others: Vec<Arc<dyn Database>>,
}

/// Where a batch goes.
enum Whither<'a> {
    One(&'a Arc<dyn Database>),
    Each,
    /// To each, of which those that answer suffice if they have anything.
    Any,
}

impl Databases {
    /// The first one, and those that were added later.
    pub fn new(first: Arc<dyn Database>, others: Vec<Arc<dyn Database>>) -> Self {
        Self { first, others }
    }

    /// Each, with its index.
    pub fn each(&self) -> impl Iterator<Item = (u8, &Arc<dyn Database>)> {
        (0u8..).zip(std::iter::once(&self.first).chain(&self.others).take(DATABASES_MAX))
    }

    /// The one in which a workspace lies. What no workspace of ours says: nothing of it is found in the first.
    pub fn of(&self, workspace: &WorkspaceId) -> &Arc<dyn Database> {
        self.at(workspace.database())
    }

    fn at(&self, database: u8) -> &Arc<dyn Database> {
        let place = usize::from(database).checked_sub(1);
        place.and_then(|place| self.others.get(place)).unwrap_or(&self.first)
    }

    /// Whether there is one of this index.
    pub fn has(&self, database: u8) -> bool {
        self.each().any(|(index, _)| index == database)
    }

    /// Runs one statement where it belongs.
    pub async fn rows(&self, statement: Statement) -> Result<Vec<Row>, DbError> {
        match self.whither(std::slice::from_ref(&statement))? {
            Whither::One(database) => database.rows(statement).await,
            whither => {
                let all = self.each().map(|(_, database)| database.rows(statement.clone()));
                let said = join_all(all).await.into_iter().map(|one| one.map(|rows| vec![rows])).collect();
                Ok(together(said, 1, matches!(whither, Whither::Any))?.pop().unwrap_or_default())
            }
        }
    }

    /// Runs all statements where they belong, in one transaction of that database. Of those that belong to each, each runs all.
    pub async fn batch(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, DbError> {
        if statements.is_empty() {
            return Ok(Vec::new());
        }
        match self.whither(&statements)? {
            Whither::One(database) => database.batch(statements).await,
            whither => {
                let all = self.each().map(|(_, database)| database.batch(statements.clone()));
                together(join_all(all).await, statements.len(), matches!(whither, Whither::Any))
            }
        }
    }

    /// Runs statements that need not run together: those of one workspace's database in a batch, the batches at once. The results
    /// are in the order of the databases.
    pub async fn batch_by_home(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, DbError> {
        let mut batches: Vec<(Option<Home>, Vec<Statement>)> = Vec::new();
        for statement in statements {
            match batches.iter_mut().find(|(home, _)| *home == statement.home()) {
                Some((_, batch)) => batch.push(statement),
                None => batches.push((statement.home(), vec![statement])),
            }
        }
        let results = try_join_all(batches.into_iter().map(|(_, batch)| self.batch(batch))).await?;
        Ok(results.into_iter().flatten().collect())
    }

    /// How large each is, in bytes.
    pub async fn sizes_bytes(&self) -> Result<Vec<i64>, DbError> {
        try_join_all(self.each().map(|(_, database)| database.size_bytes())).await
    }

    /// How large the largest is, which has the least room.
    pub async fn largest_bytes(&self) -> Result<i64, DbError> {
        Ok(self.sizes_bytes().await?.into_iter().max().unwrap_or(0))
    }

    /// Which one a new workspace is put into: the smallest, of equals the first.
    pub async fn roomiest(&self) -> Result<u8, DbError> {
        let sizes = self.sizes_bytes().await?;
        Ok((0u8..).zip(sizes).min_by_key(|(_, size)| *size).map_or(0, |(index, _)| index))
    }

    /// Where statements go that run together: where one of them says. What says nothing goes with the others.
    fn whither(&self, statements: &[Statement]) -> Result<Whither<'_>, DbError> {
        if self.others.is_empty() {
            return Ok(Whither::One(&self.first));
        }
        let mut one: Option<&Arc<dyn Database>> = None;
        let (mut each, mut somewhere) = (false, false);
        for home in statements.iter().filter_map(Statement::home) {
            let found = match home {
                Home::Each => {
                    each = true;
                    continue;
                }
                // It goes where the others find what it is about.
                Home::Somewhere => {
                    somewhere = true;
                    continue;
                }
                Home::Directory => &self.first,
                // What no workspace of ours says: nothing of it is found in the first.
                Home::Of(database) if !self.has(database) && statements.iter().any(is_write) => {
                    return Err(unclear("write to a database that is not bound", statements));
                }
                Home::Of(database) => self.at(database),
            };
            match one {
                Some(before) if !Arc::ptr_eq(before, found) => return Err(unclear("say two databases", statements)),
                _ => one = Some(found),
            }
        }
        match (one, each) {
            (Some(database), false) => Ok(Whither::One(database)),
            (None, true) => Ok(Whither::Each),
            (None, false) if somewhere => Ok(Whither::Any),
            (Some(_), true) => Err(unclear("say one database and each", statements)),
            (None, _) => Err(unclear("say no database", statements)),
        }
    }
}

/// What each database said, statement by statement; or what was found at all, where that is enough.
fn together(
    said: Vec<Result<Vec<Vec<Row>>, DbError>>,
    statements: usize,
    some_are_enough: bool,
) -> Result<Vec<Vec<Row>>, DbError> {
    let (mut all, mut failed) = (vec![Vec::new(); statements], None);
    for one in said {
        match one {
            Ok(results) => all.iter_mut().zip(results).for_each(|(rows, more)| rows.extend(more)),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) if all.iter().all(Vec::is_empty) || !some_are_enough => Err(error),
        Some(error) => {
            crate::log(&format!("one of the databases was passed over: {error}"));
            Ok(all)
        }
        None => Ok(all),
    }
}

/// Whatever does not only read.
fn is_write(statement: &Statement) -> bool {
    let text = statement.sql().trim_start();
    !(text.starts_with("SELECT") || text.starts_with("WITH"))
}

fn unclear(what: &str, statements: &[Statement]) -> DbError {
    let texts: Vec<String> = statements
        .iter()
        .map(|statement| format!("{:?} {}", statement.home(), statement.sql().chars().take(120).collect::<String>()))
        .collect();
    DbError::Failed(format!("statements that run together {what}: {}", texts.join("; ")))
}

impl Database for Databases {
    fn rows(&self, statement: Statement) -> BoxFuture<'_, Result<Vec<Row>, DbError>> {
        Box::pin(Databases::rows(self, statement))
    }

    fn batch(&self, statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, DbError>> {
        Box::pin(Databases::batch(self, statements))
    }

    fn size_bytes(&self) -> BoxFuture<'_, Result<i64, DbError>> {
        Box::pin(self.largest_bytes())
    }
}
