//! API keys: `pk_test_`, `pk_live_`, `sk_test_`, `sk_live_` and 32 letters or digits. The infix alone decides the mode.

use sha2::{Digest, Sha256};

use crate::mode::Mode;
use crate::status::words;

/// Who may know a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Stands in pages; registers clicks.
    Public,
    /// Stays on servers.
    Secret,
}

impl KeyKind {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Secret => "secret",
        }
    }

    /// Reads what [`Self::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "public" => Some(Self::Public),
            "secret" => Some(Self::Secret),
            _ => None,
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Public => "pk",
            Self::Secret => "sk",
        }
    }
}

words! {
    /// What a secret key may be for.
    KeyScope {
        /// To report conversions and their refunds.
        Conversions = "conversions",
        /// To see what the workspace holds.
        Read = "read",
        /// Everything that a key may do.
        Manage = "manage",
    }
}

/// What a request needs its key to be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To report a conversion, or a refund of one.
    Report,
    /// To see something.
    Read,
    /// To change something.
    Change,
}

impl Need {
    /// The scopes of which any will do.
    pub const fn any_of(self) -> &'static [KeyScope] {
        match self {
            Self::Report => &[KeyScope::Conversions, KeyScope::Manage],
            Self::Read => &[KeyScope::Read, KeyScope::Manage],
            Self::Change => &[KeyScope::Manage],
        }
    }

    /// Whether a key of these scopes has one that will do.
    pub fn is_met_by(self, scopes: &[KeyScope]) -> bool {
        scopes.iter().any(|scope| self.any_of().contains(scope))
    }
}

/// The scopes of a key that nothing was said of.
pub const ALL_SCOPES: [KeyScope; 3] = [KeyScope::Conversions, KeyScope::Read, KeyScope::Manage];

/// A well-formed key. Whether it exists, the database tells by its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    kind: KeyKind,
    mode: Mode,
    text: String,
}

const BODY_CHARS: usize = 32;

impl ApiKey {
    /// Reads a key.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = match text.split_at_checked(3)? {
            ("pk_", rest) => (KeyKind::Public, rest),
            ("sk_", rest) => (KeyKind::Secret, rest),
            _ => return None,
        };
        let (infix, body) = rest.split_once('_')?;
        let mode = Mode::parse(infix)?;
        let sound = body.len() == BODY_CHARS && body.bytes().all(|byte| byte.is_ascii_alphanumeric());
        sound.then(|| Self { kind, mode, text: text.to_owned() })
    }

    /// A new key of random bytes. Bytes that would favour some characters are passed over: give plenty (64).
    /// `None` when they did not suffice.
    pub fn make(kind: KeyKind, mode: Mode, random: &[u8]) -> Option<Self> {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let body: String = random
            .iter()
            .filter(|byte| **byte < 248)
            .map(|byte| char::from(ALPHABET[usize::from(*byte) % 62]))
            .take(BODY_CHARS)
            .collect();
        Self::parse(&format!("{}_{}_{body}", kind.prefix(), mode.as_str()))
    }

    /// Public or secret.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The mode, by the infix.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is stored and looked up: SHA-256 of the whole text, hex. The key has 190 bits of its own, so no salt is needed.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }

    /// What may be shown later: a public key whole, of a secret one the beginning and the last four characters.
    pub fn shown(&self) -> String {
        match self.kind {
            KeyKind::Public => self.text.clone(),
            KeyKind::Secret => format!("{}…{}", &self.text[..8], &self.text[self.text.len() - 4..]),
        }
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_says_kind_and_mode() {
        let body = "0123456789abcdefghijABCDEFGHIJKL";
        let check = |text: String, expected: Option<(KeyKind, Mode)>| {
            assert_eq!(ApiKey::parse(&text).map(|key| (key.kind(), key.mode())), expected, "{text}");
        };
        check(format!("pk_test_{body}"), Some((KeyKind::Public, Mode::Test)));
        check(format!("sk_live_{body}"), Some((KeyKind::Secret, Mode::Live)));
        check(format!("sk_prod_{body}"), None);
        check(format!("xk_test_{body}"), None);
        check(format!("pk_test_{body}x"), None);
        check(format!("pk_test_{}-", &body[1..]), None);
        check(format!(" pk_test_{body}"), None);
        check(format!("pk_test_é{}", &body[2..]), None);
        check("é".to_owned(), None);
        check(String::new(), None);
    }

    #[test]
    fn a_made_key_is_well_formed_and_a_secret_one_is_not_shown() {
        let random: Vec<u8> = (0..=255).collect();
        let key = ApiKey::make(KeyKind::Secret, Mode::Live, &random).unwrap();
        assert_eq!(key.shown(), "sk_live_…cdef");
        assert_eq!(format!("{key:?}"), key.shown());
        assert_eq!(key.digest().len(), 64);
        assert_eq!(ApiKey::make(KeyKind::Public, Mode::Live, &[255; 64]), None);
    }
}
