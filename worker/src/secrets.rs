//! The deployment's secrets, and sealing under them: what is stored encrypted, and can be opened under older secrets too.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use domain::click_id::{Click, ClickCipher, ClickId};
use domain::time::Instant;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::app::Random;
use crate::error::ApiError;

/// One 256-bit secret.
pub type Secret = [u8; 32];

/// All secrets, each list with the current one first.
pub struct Secrets {
    /// Click ids.
    pub clicks: ClickCipher,
    /// Visitor tokens: the same secrets as the click ids', for another purpose.
    pub visitors: Vec<Secret>,
    encryption: Vec<Secret>,
    hash: Secret,
    /// The hash secrets of before.
    older_hashes: Vec<Secret>,
    /// How many keys of each there are.
    counts: [(&'static str, usize); 4],
    /// Clicks of which somebody else told, who has the secret: then no other id is one of ours.
    told_clicks: Option<BTreeMap<ClickId, Click>>,
    operator_digest: [u8; 32],
}

/// A secret that the deployment lacks or has malformed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSecret(pub &'static str);

impl Secrets {
    /// From the texts of the bindings: comma-separated lists of 64 hex characters, and the operator's token.
    pub fn read(clicks: &str, encryption: &str, hash: &str, operator_token: &str) -> Result<Self, BadSecret> {
        let visitors = list(clicks).ok_or(BadSecret("CLICK_SECRETS"))?;
        let clicks = ClickCipher::new(&visitors).map_err(|_| BadSecret("CLICK_SECRETS"))?;
        let encryption = list(encryption).ok_or(BadSecret("ENCRYPTION_SECRETS"))?;
        let hashes = list(hash).ok_or(BadSecret("HASH_SECRETS"))?;
        let hash = *hashes.first().ok_or(BadSecret("HASH_SECRETS"))?;
        if operator_token.len() < 16 {
            return Err(BadSecret("OPERATOR_TOKEN"));
        }
        let counts = [
            ("CLICK_SECRETS", visitors.len()),
            ("ENCRYPTION_SECRETS", encryption.len()),
            ("HASH_SECRETS", hashes.len()),
            ("OPERATOR_TOKEN", 1),
        ];
        let older_hashes = hashes.into_iter().skip(1).collect();
        Ok(Self {
            clicks,
            visitors,
            encryption,
            hash,
            older_hashes,
            counts,
            told_clicks: None,
            operator_digest: Sha256::digest(operator_token).into(),
        })
    }

    /// The same, where clicks are not opened but looked up among these: an export holds them, and not the secret.
    pub fn with_told_clicks(self, clicks: BTreeMap<ClickId, Click>) -> Self {
        Self { told_clicks: Some(clicks), ..self }
    }

    /// What a click id holds, if it is one of ours.
    pub fn open_click(&self, text: &str) -> Option<Click> {
        let id = ClickId::parse(text)?;
        match &self.told_clicks {
            Some(told) => told.get(&id).copied(),
            None => self.clicks.open(id),
        }
    }

    /// When the click with this id was, if it is one of ours: its record lies in a pack of then.
    pub fn clicked_at(&self, click_id: &str) -> Option<Instant> {
        self.open_click(click_id).map(|click| click.at)
    }

    /// How many keys of each secret there are, by its name.
    pub fn counts(&self) -> [(&'static str, usize); 4] {
        self.counts
    }

    /// Whether this is the operator's token; in constant time.
    pub fn is_operator(&self, token: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(token).into();
        bool::from(digest.ct_eq(&self.operator_digest))
    }

    /// Seals a text under the current secret. `purpose` says what it is and whose; it must be the same at opening.
    pub fn seal(&self, random: &dyn Random, purpose: &str, text: &[u8]) -> Result<String, ApiError> {
        let mut nonce = [0; 24];
        random.fill(&mut nonce);
        let secret = self.encryption.first().ok_or_else(|| ApiError::Internal("no encryption secret".to_owned()))?;
        let payload = Payload { msg: text, aad: purpose.as_bytes() };
        let sealed = XChaCha20Poly1305::new(secret.into())
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| ApiError::Internal("sealing failed".to_owned()))?;
        Ok(format!("1.{}.{}", URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens what [`Self::seal`] made, under any of the secrets; `None` when it is not whole, or of another purpose.
    pub fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        let mut parts = sealed.split('.');
        let ("1", nonce, body, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
            return None;
        };
        let nonce: [u8; 24] = URL_SAFE_NO_PAD.decode(nonce).ok()?.try_into().ok()?;
        let body = URL_SAFE_NO_PAD.decode(body).ok()?;
        self.encryption.iter().find_map(|secret| {
            let payload = Payload { msg: &body, aad: purpose.as_bytes() };
            XChaCha20Poly1305::new(secret.into()).decrypt(&XNonce::from(nonce), payload).ok()
        })
    }

    /// The key of a workspace's e-mail hashes, so that two workspaces' hashes of one address have nothing in common.
    pub fn email_key(&self, workspace: &str) -> Secret {
        self.derived(&["email", workspace])
    }

    /// The keys of the hashes by which people are kept who sign in, the current one first. Every workspace's key is named by its id, which
    /// begins with ws_.
    pub fn people_keys(&self) -> impl Iterator<Item = Secret> {
        std::iter::once(&self.hash).chain(&self.older_hashes).map(|secret| mac(secret, &["email", "people"]))
    }

    /// What is kept of an address and a user agent: a hash under a salt of the day.
    pub fn visitor_hash(&self, day: i64, workspace: &str, address: &str, user_agent: &str) -> String {
        hex::encode(&self.derived(&["visitor", &day.to_string(), workspace, address, user_agent])[..16])
    }

    /// The key of a person's notices in one minute.
    pub fn notice_key(&self, person: &str, minute: i64) -> Secret {
        self.derived(&["notice", person, &minute.to_string()])
    }

    /// What stands for something that a workspace sent: nobody can guess from it what that was.
    pub fn sent_digest(&self, workspace: &str, parts: &[&str]) -> String {
        hex::encode(self.derived(&[&["sent", workspace], parts].concat()))
    }

    /// What says that this deployment made something of these parts: an HMAC under a key of its own, which whoever has not the
    /// deployment's secrets can neither make nor check.
    pub fn export_signature(&self, parts: &[&str]) -> String {
        hex::encode(mac(&self.derived(&["export"]), parts))
    }

    fn derived(&self, parts: &[&str]) -> Secret {
        mac(&self.hash, parts)
    }
}

/// An HMAC of texts, each with its length before it, so that no two lists are one.
pub fn mac(key: &Secret, parts: &[&str]) -> Secret {
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
        // HMAC takes keys of any length.
        return [0; 32];
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

/// A comma-separated list of secrets; `None` when one is malformed or there is none.
fn list(text: &str) -> Option<Vec<Secret>> {
    let all: Option<Vec<Secret>> = text
        .split(',')
        .map(|one| {
            let mut secret = [0; 32];
            hex::decode_to_slice(one.trim(), &mut secret).ok().map(|()| secret)
        })
        .collect();
    all.filter(|all: &Vec<Secret>| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    fn secrets(encryption: &[u8]) -> Secrets {
        let hex = |byte: u8| hex::encode([byte; 32]);
        let encryption: Vec<String> = encryption.iter().copied().map(hex).collect();
        Secrets::read(&hex(1), &encryption.join(","), &hex(2), "an operator's token").unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_under_a_rotated_secret() {
        let sealed = secrets(&[3]).seal(&Seeded::new(1), "stripe conn_1", b"whsec_x").unwrap();
        assert_eq!(secrets(&[3]).open("stripe conn_1", &sealed).unwrap(), b"whsec_x");
        assert_eq!(secrets(&[4, 3]).open("stripe conn_1", &sealed).unwrap(), b"whsec_x");
        assert_eq!(secrets(&[4]).open("stripe conn_1", &sealed), None);
        assert_eq!(secrets(&[3]).open("stripe conn_2", &sealed), None);
        for broken in ["", "1", "1..", "2.a.b", &sealed[..sealed.len() - 1], &format!("{sealed}.x")] {
            assert_eq!(secrets(&[3]).open("stripe conn_1", broken), None, "{broken}");
        }
    }

    #[test]
    fn a_missing_or_malformed_secret_is_named() {
        let good = hex::encode([1; 32]);
        let read = |a: &str, b: &str, c: &str, d: &str| Secrets::read(a, b, c, d).err().map(|bad| bad.0);
        assert_eq!(read("", &good, &good, "an operator's token"), Some("CLICK_SECRETS"));
        assert_eq!(read(&good, "zz", &good, "an operator's token"), Some("ENCRYPTION_SECRETS"));
        assert_eq!(read(&good, &good, "", "an operator's token"), Some("HASH_SECRETS"));
        assert_eq!(read(&good, &good, &good, "short"), Some("OPERATOR_TOKEN"));
    }

    #[test]
    fn a_visitor_has_another_hash_each_day_and_in_each_workspace() {
        let s = secrets(&[3]);
        assert_ne!(s.visitor_hash(1, "ws_a", "1.2.3.4", "x"), s.visitor_hash(2, "ws_a", "1.2.3.4", "x"));
        assert_ne!(s.visitor_hash(1, "ws_a", "1.2.3.4", "x"), s.visitor_hash(1, "ws_b", "1.2.3.4", "x"));
    }
}
