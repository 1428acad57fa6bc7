//! The list of domains of throw-away addresses, as the Worker reads it (`worker/src/addresses.rs`): the first five bytes of the
//! SHA-256 of each, sorted. The domains are those of the crate `mailchecker`, whose list is kept up with what providers use.

use std::fs;
use std::path::Path;

use anyhow::Result;
use sha2::{Digest, Sha256};

const ENTRY_BYTES: usize = 5;

/// Writes the list into the built files.
pub fn build(root: &Path) -> Result<()> {
    let folder = root.join("build/assets/data");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("disposable-domains.bin"), list(mailchecker::blacklist()))?;
    Ok(())
}

fn list<'a>(domains: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut entries: Vec<[u8; ENTRY_BYTES]> = domains
        .into_iter()
        .map(|domain| {
            let mut entry = [0; ENTRY_BYTES];
            entry.copy_from_slice(&Sha256::digest(domain.trim().to_lowercase())[..ENTRY_BYTES]);
            entry
        })
        .collect();
    entries.sort_unstable();
    entries.dedup();
    entries.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_format_unchanged() {
        let one = list(["Mailinator.com", "mailinator.com"]);
        assert_eq!(hex::encode(&one), "c2486832d6");
        let real = list(mailchecker::blacklist());
        assert!(real.chunks(ENTRY_BYTES).any(|entry| entry == one), "{}", real.len());
    }
}
