//! Holds the room: `stripe` depends on nothing that reads a clock, waits, or knows a platform.

/// What `stripe` may depend on, with the reason.
const ALLOWED: [(&str, &str); 6] = [
    ("domain", "the facts that events are read into"),
    ("hex", "signatures as text"),
    ("hmac", "signatures"),
    ("serde_json", "events are JSON of any shape"),
    ("sha2", "signatures"),
    ("subtle", "comparison in constant time"),
];

#[test]
fn stripe_depends_on_nothing_else() {
    let manifest = include_str!("../Cargo.toml");
    let after = manifest.split("[dependencies]").nth(1).unwrap();
    let section = after.split("\n[").next().unwrap();
    for line in section.lines().filter(|line| !line.trim().is_empty()) {
        let name = line.split(['.', ' ', '=']).next().unwrap();
        assert!(ALLOWED.iter().any(|(allowed, _)| *allowed == name), "stripe must not depend on {name}");
    }
}
