//! Files that were built before: the snippet, styles, the demo shop's pictures.

use axum::response::Response;
use futures_util::future::BoxFuture;
use http::HeaderMap;

/// Gives files. Two run: the platform's store of assets, and a few files in memory in tests.
pub trait Assets: Send + Sync {
    /// The file at this path, answered as the store answers it (with an ETag, and 304 where the caller's holds); `None`
    /// when there is none.
    fn get(&self, path: &str, headers: &HeaderMap) -> BoxFuture<'_, Option<Response>>;
}
