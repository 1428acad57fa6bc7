//! A buyer's e-mail address, kept only as keyed hashes: enough to join one person's sales and to see a self-referral,
//! not enough to write to anybody.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What is kept of an e-mail address: hex of the first 16 bytes of HMAC-SHA256 under the workspace's hash key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EmailHashes {
    /// The whole address, lower case.
    pub exact: String,
    /// The address without its plus part: `ann+shop@example.com` and `ann@example.com` agree.
    pub plain: String,
    /// The domain alone.
    pub domain: String,
    /// The domain belongs to a provider of throw-away addresses.
    #[serde(default)]
    pub disposable: bool,
}

/// Reduces an address to hashes under `key`. `None` when the text is no address: one `@`, something on both sides, no
/// white space, at most 254 bytes (RFC 5321's limit of a path).
pub fn hash_email(key: &[u8], address: &str) -> Option<EmailHashes> {
    let address = address.trim().to_lowercase();
    let (local, domain) = address.rsplit_once('@')?;
    let plausible = !local.is_empty()
        && !local.contains('@')
        && !domain.is_empty()
        && address.len() <= 254
        && !address.chars().any(|c| c.is_whitespace() || c.is_control());
    if !plausible {
        return None;
    }
    let plain_local = local.split_once('+').map_or(local, |(before, _)| before);
    Some(EmailHashes {
        exact: keyed(key, "exact", &address),
        plain: keyed(key, "plain", &format!("{plain_local}@{domain}")),
        domain: keyed(key, "domain", domain),
        disposable: false,
    })
}

/// Whether anybody can have an address of this address's domain, so that two of them have nothing in common by it: the largest
/// providers by users, and those that have a domain for each country.
pub fn has_shared_domain(address: &str) -> bool {
    const SHARED: [&str; 58] = [
        "126.com",
        "163.com",
        "aol.com",
        "att.net",
        "bigpond.com",
        "bluewin.ch",
        "bol.com.br",
        "btinternet.com",
        "comcast.net",
        "duck.com",
        "fastmail.com",
        "free.fr",
        "freenet.de",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "icloud.com",
        "interia.pl",
        "laposte.net",
        "libero.it",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "naver.com",
        "neuf.fr",
        "o2.pl",
        "online.de",
        "orange.fr",
        "pm.me",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "rambler.ru",
        "rediffmail.com",
        "rocketmail.com",
        "seznam.cz",
        "sfr.fr",
        "sina.com",
        "sky.com",
        "t-online.de",
        "tiscali.it",
        "tutanota.com",
        "uol.com.br",
        "verizon.net",
        "virgilio.it",
        "wanadoo.fr",
        "web.de",
        "wp.pl",
        "ymail.com",
        "zoho.com",
        "yeah.net",
    ];
    const IN_MANY_COUNTRIES: [&str; 5] = ["hotmail", "live", "outlook", "yahoo", "yandex"];
    let domain = address.trim().rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
    let label = domain.split_once('.').map_or("", |(label, _)| label);
    SHARED.contains(&domain.as_str()) || IN_MANY_COUNTRIES.contains(&label)
}

fn keyed(key: &[u8], purpose: &str, text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        // HMAC takes keys of any length; no hash is better than one without a key.
        return String::new();
    };
    mac.update(b"selgeo email ");
    mac.update(purpose.as_bytes());
    mac.update(b"\0");
    mac.update(text.as_bytes());
    hex::encode(&mac.finalize().into_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_compared_without_case_and_without_its_plus_part() {
        let ann = hash_email(b"key", "ann@example.com").unwrap();
        let shop = hash_email(b"key", " Ann+Shop@Example.com ").unwrap();
        assert_ne!(ann.exact, shop.exact);
        assert_eq!(ann.plain, shop.plain);
        assert_eq!(ann.domain, shop.domain);
        assert_ne!(ann.exact, hash_email(b"other", "ann@example.com").unwrap().exact);
    }

    #[test]
    fn domains_of_the_large_providers_are_shared_in_every_country() {
        for (address, expected) in [
            ("a@Gmail.com", true),
            ("a@hotmail.fr", true),
            ("a@yahoo.co.uk", true),
            ("a@yahoo-inc.test", false),
            ("a@own.test", false),
        ] {
            assert_eq!(has_shared_domain(address), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_address_has_no_hash() {
        for text in ["", "@", "ann", "ann@", "@example.com", "a b@example.com", "a@b@example.com"] {
            assert_eq!(hash_email(b"key", text), None, "{text}");
        }
        assert_eq!(hash_email(b"key", &format!("{}@example.com", "a".repeat(250))), None);
    }

    #[test]
    fn email_hash_format_unchanged() {
        let hashes = hash_email(&[7; 32], "ann@example.com").unwrap();
        assert_eq!(hashes.exact.len(), 32);
        assert_eq!(hashes.plain, hash_email(&[7; 32], "ann+x@example.com").unwrap().plain);
    }
}
