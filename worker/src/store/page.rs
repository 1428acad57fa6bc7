//! Lists: newest first by id, since ids sort by when they were recorded; a page is stable while rows are added.

use super::Statement;

/// Which part of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// 1 to 100.
    pub limit: i64,
    /// Rows after this one, exclusive.
    pub after: Option<String>,
}

impl Page {
    /// Ends a `SELECT … WHERE …` over a table with an `id` with the page's bounds. One row more than asked for is read, to
    /// know whether there is a next page.
    pub fn bound(&self, statement: Statement) -> Statement {
        statement.push_if(" AND id < ?", self.after.as_ref()).push(" ORDER BY id DESC LIMIT ?").bind(self.limit + 1)
    }
}
