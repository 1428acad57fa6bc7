//! Holds the room: `domain` depends on nothing that reads a clock, waits, or knows a platform.

/// What `domain` may depend on, with the reason.
const ALLOWED: [(&str, &str); 10] = [
    ("aes", "the block cipher under click ids"),
    ("base64", "visitor tokens as text"),
    ("fpe", "click ids: FF1"),
    ("hex", "digests as text"),
    ("hmac", "visitor tokens, keyed e-mail hashes, webhook signatures"),
    ("iso_currency", "currencies and their decimals"),
    ("jiff", "ISO 8601"),
    ("serde", "stored inputs and verdicts are these types themselves"),
    ("sha2", "digests"),
    ("subtle", "comparison in constant time"),
];

#[test]
fn domain_depends_on_nothing_else() {
    let manifest = include_str!("../Cargo.toml");
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in section.lines().filter(|line| !line.trim().is_empty()) {
        let name = line.split(['.', ' ', '=']).next().unwrap();
        assert!(ALLOWED.iter().any(|(allowed, _)| *allowed == name), "domain must not depend on {name}");
    }
}
