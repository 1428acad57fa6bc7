//! Buyers' addresses become keyed hashes here, and whether their domain belongs to a provider of throw-away addresses is told
//! beside. The list of those domains is a built file, read once by an isolate and only when there is an address: in the Worker
//! itself it would be half of its size.

use std::sync::OnceLock;

use bytes::Bytes;
use domain::email::{self, EmailHashes};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::secrets::Secret;

/// Where the list lies among the built files. No route leads there.
pub const LIST: &str = "/data/disposable-domains.bin";
/// The list is the first so many bytes of the SHA-256 of each domain, sorted: of two million domains one is taken for another.
pub const ENTRY_BYTES: usize = 5;

/// The list, once it was read.
#[derive(Default)]
pub struct Disposable(OnceLock<Bytes>);

/// Hashes addresses of one workspace.
pub struct Addresses {
    key: Secret,
    disposable: Bytes,
}

/// What hashes addresses of this workspace. Without the list, no address is taken for a throw-away one.
pub async fn of_workspace(app: &App, workspace: &str) -> Addresses {
    let disposable = match app.disposable.0.get() {
        Some(list) => list.clone(),
        None => {
            let list = read(app).await;
            // Two requests may read it at once; it is the same list.
            if !list.is_empty() {
                let _ = app.disposable.0.set(list.clone());
            }
            list
        }
    };
    Addresses { key: app.secrets.email_key(workspace), disposable }
}

async fn read(app: &App) -> Bytes {
    let Some(response) = app.assets.get(LIST).await else {
        crate::log(&format!("{LIST} is not among the built files"));
        return Bytes::new();
    };
    response.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default()
}

impl Addresses {
    /// Reduces an address to hashes; `None` when the text is no address.
    pub fn hash(&self, address: &str) -> Option<EmailHashes> {
        let mut hashes = email::hash_email(&self.key, address)?;
        let address = address.trim().to_lowercase();
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        hashes.disposable = is_disposable(&self.disposable, domain);
        Some(hashes)
    }
}

/// Whether the list has this domain, or one that it lies under.
fn is_disposable(list: &[u8], domain: &str) -> bool {
    let (entries, _) = list.as_chunks::<ENTRY_BYTES>();
    let mut rest = domain;
    loop {
        if !rest.contains('.') {
            return false;
        }
        if entries.binary_search(&entry(rest)).is_ok() {
            return true;
        }
        rest = rest.split_once('.').map_or("", |(_, parent)| parent);
    }
}

/// What the list holds of a domain.
pub fn entry(domain: &str) -> [u8; ENTRY_BYTES] {
    let digest = Sha256::digest(domain);
    let mut entry = [0; ENTRY_BYTES];
    entry.copy_from_slice(&digest[..ENTRY_BYTES]);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_and_what_lies_under_it_is_found_in_the_list() {
        let mut entries = [entry("throwaway.test"), entry("gone.example")];
        entries.sort_unstable();
        let list = entries.concat();
        for (domain, expected) in [
            ("throwaway.test", true),
            ("mx.throwaway.test", true),
            ("gone.example", true),
            ("example", false),
            ("notthrowaway.test", false),
            ("", false),
        ] {
            assert_eq!(is_disposable(&list, domain), expected, "{domain}");
        }
        assert!(!is_disposable(&[], "throwaway.test"));
    }

    #[test]
    fn list_format_unchanged() {
        assert_eq!(hex::encode(entry("mailinator.com")), "c2486832d6");
    }
}
