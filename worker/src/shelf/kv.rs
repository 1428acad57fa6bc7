//! The shelf on Workers KV.

use futures_util::future::BoxFuture;
use worker::kv::KvStore;
use worker::send::SendFuture;

use super::Shelf;
use crate::asked;

/// For so long a place keeps what it read, in seconds: the least that the platform takes.
const CACHED_S: u64 = 60;

/// A namespace of Workers KV. What it fails at is as good as not there.
pub struct Kv(pub KvStore);

impl Shelf for Kv {
    fn get(&self, name: String) -> BoxFuture<'_, Option<String>> {
        Box::pin(SendFuture::new(async move {
            asked::note_shelf();
            self.0.get(&name).cache_ttl(CACHED_S).text().await.ok().flatten()
        }))
    }

    fn put(&self, name: String, text: String, kept_s: u64) -> BoxFuture<'_, ()> {
        Box::pin(SendFuture::new(async move {
            asked::note_shelf();
            let Ok(put) = self.0.put(&name, text) else { return };
            // A second write of one name within a second is refused; what is there is as good.
            let _ = put.expiration_ttl(kept_s.max(CACHED_S)).execute().await;
        }))
    }

    fn delete(&self, name: String) -> BoxFuture<'_, ()> {
        Box::pin(SendFuture::new(async move {
            asked::note_shelf();
            if let Err(error) = self.0.delete(&name).await {
                crate::log(&format!("shelf: {error}"));
            }
        }))
    }
}
