//! Files that were built before: the snippet, styles, the demo shop's pictures.

use axum::response::Response;
use futures_util::future::BoxFuture;

/// Gives files. Two run: the platform's store of assets, and a few files in memory in tests.
pub trait Assets: Send + Sync {
    /// The file at this path, whole, with its type and an ETag of its bytes; `None` when there is none.
    fn get(&self, path: &str) -> BoxFuture<'_, Option<Response>>;
}
