//! The demo and bench workspaces, made through the same HTTP API that merchants use. Nothing here knows a table.

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::Client;

/// Limits that no bench reaches.
const BENCH_LIMIT: u64 = 1_000_000_000;
const BENCH_LINKS: usize = 5;
/// Owns the demo workspace.
const OWNER: &str = "owner@demo.example";
/// The demo's one partner, in both modes.
const PARTNER: (&str, &str) = ("Anna Partner", "anna@partner.example");
const MODES: [&str; 2] = ["test", "live"];

/// Makes both workspaces, and returns the whole of `dev.json`.
pub fn make(port: u16, operator_token: &str) -> Result<Value> {
    let maker = Maker { client: Client::new(), url: origin(port), port, operator_token };
    let demo = maker.demo().context("the demo workspace could not be made")?;
    let bench = maker.bench().context("the bench workspace could not be made")?;
    let mut dev = demo;
    dev["url"] = json!(maker.url);
    dev["bench"] = bench;
    maker.people(&mut dev)?;
    Ok(dev)
}

/// What a state of an earlier version lacks: an owner of its demo workspace, and where people sign in.
pub fn complete(dev: &mut Value, port: u16, operator_token: &str) -> Result<()> {
    match dev.get("sign_in_url") {
        Some(Value::String(_)) => Ok(()),
        _ => Maker { client: Client::new(), url: origin(port), port, operator_token }.people(dev),
    }
}

/// The same data on another port than last time: addresses are rewritten, and the new host is registered.
pub fn move_to_port(dev: &mut Value, port: u16, operator_token: &str) -> Result<()> {
    let now = origin(port);
    let before = text(dev, "/url")?.to_owned();
    if before == now {
        return Ok(());
    }
    let maker = Maker { client: Client::new(), url: now.clone(), port, operator_token };
    for key in ["/keys/sk_test", "/keys/sk_live", "/bench/keys/sk_test"] {
        maker.hosts(text(dev, key)?)?;
    }
    rewrite(dev, &before, &now);
    Ok(())
}

fn rewrite(value: &mut Value, before: &str, now: &str) {
    match value {
        Value::String(text) => {
            if let Some(path) = text.strip_prefix(before) {
                *text = format!("{now}{path}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, before, now)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rewrite(field, before, now)),
        _ => {}
    }
}

fn origin(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The plain one is the test mode's.
fn slug(name: &str, mode: &str) -> String {
    match mode {
        "test" => name.to_owned(),
        _ => format!("{name}-{mode}"),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).ok_or_else(|| anyhow!("no text at {pointer} in {value}"))
}

struct Maker<'a> {
    client: Client,
    url: String,
    port: u16,
    operator_token: &'a str,
}

/// A program with its one participant.
struct Programme {
    program_id: String,
    participant_id: String,
}

impl Maker<'_> {
    fn demo(&self) -> Result<Value> {
        let workspace = self.workspace(&json!({"name": "Demo shop"}))?;
        let mut dev = self.described(&workspace)?;
        for mode in MODES {
            let key = text(&workspace, &format!("/keys/sk_{mode}"))?;
            self.hosts(key)?;
            let programme = self.programme(key, "Demo shop partners", &slug("demo", mode), PARTNER)?;
            let links = ["demo", "anna"].map(|name| self.link(key, &programme.participant_id, name, "/demo/"));
            let links = links.into_iter().collect::<Result<Vec<_>>>()?;
            let code = json!({"participant_id": programme.participant_id, "code": "DEMO20"});
            self.post(key, "promo-codes", &code)?;
            if mode == "test" {
                dev["program_id"] = json!(programme.program_id);
                dev["participant_id"] = json!(programme.participant_id);
                dev["links"] = json!(links);
            }
        }
        dev["promo_codes"] = json!(["DEMO20"]);
        Ok(dev)
    }

    fn bench(&self) -> Result<Value> {
        let limits = json!({
            "clicks_per_minute": BENCH_LIMIT, "conversions_per_minute": BENCH_LIMIT, "other_per_minute": BENCH_LIMIT,
        });
        let workspace = self.workspace(&json!({"name": "Bench", "limits": limits}))?;
        let mut bench = self.described(&workspace)?;
        for mode in MODES {
            let key = text(&workspace, &format!("/keys/sk_{mode}"))?;
            let programme = self.programme(key, "Bench", &slug("bench", mode), ("Ben Bench", "ben@partner.example"))?;
            if mode == "test" {
                // Of live mode they are the demo's alone: a page there that sends no key is then the demo's.
                self.hosts(key)?;
                let link = |n| self.link(key, &programme.participant_id, &format!("bench{n}"), "/demo/");
                bench["links"] = json!((1..=BENCH_LINKS).map(link).collect::<Result<Vec<_>>>()?);
            }
        }
        Ok(bench)
    }

    /// An owner of the demo workspace, and the addresses at which this machine's server signs in anew each time they are used.
    fn people(&self, dev: &mut Value) -> Result<()> {
        let owners = format!("{}/operator/v1/workspaces/{}/owners", self.url, text(dev, "/workspace_id")?);
        self.client.create(&owners, self.operator_token, &json!({"owner_email": OWNER}))?;
        dev["sign_in_url"] = json!(format!("{}/dev/sign-in?email={OWNER}", self.url));
        dev["partner_sign_in_url"] = json!(format!("{}/dev/sign-in?email={}", self.url, PARTNER.1));
        dev["mailbox_url"] = json!(format!("{}/dev/mailbox", self.url));
        Ok(())
    }

    fn workspace(&self, body: &Value) -> Result<Value> {
        self.client.create(&format!("{}/operator/v1/workspaces", self.url), self.operator_token, body)
    }

    /// Id, keys and Stripe connections: what both workspaces say of themselves.
    fn described(&self, workspace: &Value) -> Result<Value> {
        let id = text(workspace, "/id")?;
        let mut stripe = json!({});
        for mode in MODES {
            let key = text(workspace, &format!("/keys/sk_{mode}"))?;
            // In life Stripe shows this secret to the merchant. Here nobody but us has to know it.
            let digest = Sha256::digest(format!("{} {id} {mode}", self.operator_token));
            let secret = format!("whsec_{}", hex::encode(digest));
            let connection = self.post(key, "stripe-connections", &json!({"signing_secret": secret}))?;
            let url = format!("{}/webhooks/stripe/{}", self.url, text(&connection, "/id")?);
            stripe[mode] = json!({"url": url, "secret": secret});
        }
        Ok(json!({"workspace_id": id, "keys": workspace.get("keys"), "stripe": stripe}))
    }

    /// Registers this port's hosts. They may be registered from an earlier start on it.
    fn hosts(&self, key: &str) -> Result<()> {
        for name in ["127.0.0.1", "localhost"] {
            let body = json!({"host": format!("{name}:{}", self.port)});
            self.client.create_unless_there(&self.resource("hosts"), key, &body)?;
        }
        Ok(())
    }

    fn programme(&self, key: &str, name: &str, slug: &str, partner: (&str, &str)) -> Result<Programme> {
        let reward = |trigger| json!({"trigger": trigger, "percent_bps": 2000, "basis": "gross", "hold_days": 0, "auto_approve": true});
        let mut program = json!({
            "name": name, "slug": slug, "status": "active", "attribution_window_days": 30,
            "rewards": [reward("sale"), reward("recurring")],
        });
        let program_id = match self.client.create_unless_there(&self.resource("programs"), key, &program)? {
            Some(made) => text(&made, "/id")?.to_owned(),
            // Slugs are unique per installation, and a start that was killed half-way left this one behind.
            None => {
                program["slug"] = Value::Null;
                self.post_for_id(key, "programs", &program)?
            }
        };
        let partner_id = self.post_for_id(key, "partners", &json!({"name": partner.0, "email": partner.1}))?;
        let participant = json!({"program_id": program_id, "partner_id": partner_id, "status": "approved"});
        let participant_id = self.post_for_id(key, "participants", &participant)?;
        Ok(Programme { program_id, participant_id })
    }

    fn link(&self, key: &str, participant_id: &str, name: &str, path: &str) -> Result<Value> {
        let landing_url = format!("{}{path}", self.url);
        let body = json!({"participant_id": participant_id, "ref": name, "landing_url": landing_url, "name": name});
        let link = self.post(key, "links", &body)?;
        let field = |name| link.get(name).cloned();
        Ok(json!({"id": field("id"), "ref": field("ref"), "slug": field("slug"), "landing_url": field("landing_url")}))
    }

    fn post_for_id(&self, key: &str, resource: &str, body: &Value) -> Result<String> {
        Ok(text(&self.post(key, resource, body)?, "/id")?.to_owned())
    }

    fn post(&self, key: &str, resource: &str, body: &Value) -> Result<Value> {
        self.client.create(&self.resource(resource), key, body)
    }

    fn resource(&self, name: &str) -> String {
        format!("{}/api/v1/{name}", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_another_port_every_own_address_changes_and_nothing_else() {
        let mut dev =
            json!({"url": "http://127.0.0.1:1", "links": [{"landing_url": "http://127.0.0.1:1/demo/"}], "n": 1});
        rewrite(&mut dev, "http://127.0.0.1:1", "http://127.0.0.1:2");
        let expected =
            json!({"url": "http://127.0.0.1:2", "links": [{"landing_url": "http://127.0.0.1:2/demo/"}], "n": 1});
        assert_eq!(dev, expected);
    }
}
