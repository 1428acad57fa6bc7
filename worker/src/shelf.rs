//! The shelf near every place: what is read on a visitor's way, kept where reading is quick. It may be old, and other places see a
//! change a minute later; whatever must be so at once is said elsewhere (a key's validity by its Durable Object).

#[cfg(target_arch = "wasm32")]
pub mod kv;

use domain::ids::Id;
use domain::mode::Mode;
use domain::time::{DAY_MS, Instant};
use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::store::Scope;
use crate::store::links::{Owner, ShortLink};

/// Keeps texts under names. Two run: Workers KV, and a table in memory in tests. Losing any of it costs time only.
pub trait Shelf: Send + Sync {
    /// What is kept under this name.
    fn get(&self, name: String) -> BoxFuture<'_, Option<String>>;
    /// Keeps it for so many seconds.
    fn put(&self, name: String, text: String, kept_s: u64) -> BoxFuture<'_, ()>;
    /// Takes it away.
    fn delete(&self, name: String) -> BoxFuture<'_, ()>;
}

/// What is looked up by a name on a visitor's way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// A public key, by its digest.
    Key(String),
    /// A link of a workspace and mode, by its ref.
    Link(Scope, String),
    /// A link, by its slug.
    Slug(String),
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Whose the key is.
    Owner(Owner),
    /// The active link's number.
    Number(u32),
    /// Where the active link leads, and whose it is.
    Short(ShortLink),
}

impl Fact {
    /// Whose a key is.
    pub fn owner(self) -> Option<Owner> {
        if let Self::Owner(owner) = self { Some(owner) } else { None }
    }

    /// A link's number.
    pub fn number(self) -> Option<u32> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// Where a short link leads.
    pub fn short(self) -> Option<ShortLink> {
        if let Self::Short(link) = self { Some(link) } else { None }
    }
}

impl Named {
    /// The name on the shelf: of one length, whatever a ref looks like. The number changes with the format.
    pub fn on_shelf(&self) -> String {
        let (kind, name) = match self {
            Self::Key(digest) => ("key", digest.clone()),
            Self::Link(scope, link_ref) => ("link", format!("{}/{}/{link_ref}", scope.workspace_id, scope.mode)),
            Self::Slug(slug) => ("slug", slug.clone()),
        };
        format!("{kind}/1/{}", hex::encode(Sha256::digest(name)))
    }

    /// For how long what is on the shelf is taken, and what an isolate remembers, since the database was asked. It may be old: with
    /// every lease comes whether a key is revoked, and when a link was changed.
    pub const KEPT_MS: i64 = DAY_MS;
}

/// As it lies on the shelf: the fact, and when the database said so.
pub fn written(fact: &Fact, at: Instant) -> String {
    let owner =
        |owner: &Owner| json!([owner.scope.workspace_id, owner.scope.mode, owner.key_id, owner.clicks_per_minute]);
    let fact = match fact {
        Fact::Owner(one) => json!({ "owner": owner(one) }),
        Fact::Number(number) => json!({ "number": number }),
        Fact::Short(link) => {
            let mut short = json!({ "owner": owner(&link.owner), "number": link.number, "ref": link.link_ref, "to": link.landing_url });
            if link.is_suspended {
                short["suspended"] = json!(true);
            }
            json!({ "short": short })
        }
    };
    json!([at.ms(), fact]).to_string()
}

/// Reads what [`written`] wrote. Anything else is as good as nothing.
pub fn read(text: &str) -> Option<(Fact, Instant)> {
    let parsed: Json = serde_json::from_str(text).ok()?;
    let at = Instant::from_ms(parsed.get(0)?.as_i64()?);
    let fact = parsed.get(1)?;
    let number = |value: &Json| u32::try_from(value.as_u64()?).ok();
    let owner = |value: &Json| {
        let (workspace, mode) = (Id::parse(value.get(0)?.as_str()?)?, Mode::parse(value.get(1)?.as_str()?)?);
        let scope = Scope { workspace_id: workspace, mode };
        Some(Owner { scope, key_id: value.get(2)?.as_str()?.to_owned(), clicks_per_minute: number(value.get(3)?)? })
    };
    let fact = if let Some(one) = fact.get("owner") {
        Fact::Owner(owner(one)?)
    } else if let Some(one) = fact.get("number") {
        Fact::Number(number(one)?)
    } else {
        let short = fact.get("short")?;
        let text = |name: &str| short[name].as_str().map(str::to_owned);
        Fact::Short(ShortLink {
            owner: owner(&short["owner"])?,
            number: number(&short["number"])?,
            link_ref: text("ref")?,
            landing_url: text("to")?,
            is_suspended: short["suspended"] == true,
        })
    };
    Some((fact, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> [Fact; 3] {
        let now = Instant::from_ms(1_767_225_600_000);
        let scope = Scope { workspace_id: Id::make(now, [7; 10]), mode: Mode::Live };
        let owner = Owner { scope, key_id: "key_1".to_owned(), clicks_per_minute: 1_000 };
        let short = ShortLink {
            owner: owner.clone(),
            number: 8,
            link_ref: "anna \u{e4}\"".to_owned(),
            landing_url: "https://shop.test/".to_owned(),
            is_suspended: false,
        };
        [Fact::Owner(owner), Fact::Number(7), Fact::Short(short)]
    }

    #[test]
    fn shelf_format_unchanged() {
        let at = Instant::from_ms(5);
        let texts = facts().map(|fact| written(&fact, at));
        let ws = "ws_01jtj6wq00e1rt7r3hyex0e1rt";
        let owner = texts[0].split('"').find(|part| part.starts_with("ws_")).unwrap().to_owned();
        assert_eq!(owner.len(), ws.len());
        assert_eq!(texts[0], format!(r#"[5,{{"owner":["{owner}","live","key_1",1000]}}]"#));
        assert_eq!(texts[1], r#"[5,{"number":7}]"#);
        assert_eq!(
            texts[2],
            format!(
                "[5,{{\"short\":{{\"number\":8,\"owner\":[\"{owner}\",\"live\",\"key_1\",1000],\"ref\":\"anna \u{e4}\\\"\",\
                 \"to\":\"https://shop.test/\"}}}}]"
            )
        );
        for fact in facts() {
            assert_eq!(read(&written(&fact, at)), Some((fact, at)));
        }
    }

    #[test]
    fn what_is_something_else_is_as_good_as_nothing() {
        for text in [
            "",
            "null",
            "[]",
            "[5]",
            "[5,{}]",
            r#"["5",{"number":7}]"#,
            r#"[5,{"number":-1}]"#,
            r#"[5,{"owner":[]}]"#,
            r#"[5,{"short":{"number":7}}]"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn names_on_the_shelf_are_of_one_length_and_apart() {
        let Fact::Owner(owner) = &facts()[0] else { panic!() };
        let other = Scope { mode: Mode::Test, ..owner.scope.clone() };
        let names = [
            Named::Key("a".repeat(64)),
            Named::Link(owner.scope.clone(), "\u{1F600}".repeat(255)),
            Named::Link(owner.scope.clone(), "anna".to_owned()),
            Named::Link(other, "anna".to_owned()),
            Named::Slug("anna".to_owned()),
        ]
        .map(|named| named.on_shelf());
        let apart: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(apart.len(), names.len());
        assert!(names.iter().all(|name| name.len() <= 71), "{names:?}");
    }
}
