//! `cargo xtask admin`: what the operator does with workspaces, over `/operator/v1` with the operator's token.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::http::Client;
use crate::operator::{self, Operator, Whose};

/// Workspaces that one question is answered with.
const PAGE: usize = 100;

/// What `cargo xtask admin` can be told.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    whose: Whose,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// List all workspaces
    List,
    /// Make a workspace, and print its keys and its owner's link, which are shown only here
    Create {
        /// Its name
        name: String,
        /// The first owner's e-mail address
        #[arg(long, value_name = "ADDRESS")]
        owner: Option<String>,
        /// Which database it lies in; the smallest without
        #[arg(long, value_name = "INDEX")]
        database: Option<u8>,
        #[command(flatten)]
        limits: PerMinute,
    },
    /// Make somebody one more owner, and print the link by which they sign in
    AddOwner {
        /// The workspace's id
        id: String,
        /// Their e-mail address
        email: String,
    },
    /// Change limits; what is not given stays
    Limits {
        /// The workspace's id
        id: String,
        #[command(flatten)]
        limits: PerMinute,
    },
    /// Refuse its keys, count no click, and shut its members out, within a minute; nothing is deleted
    Suspend {
        /// The workspace's id
        id: String,
    },
    /// Let it go on
    Resume {
        /// The workspace's id
        id: String,
    },
}

#[derive(clap::Args)]
struct PerMinute {
    /// Clicks a minute, for each public key
    #[arg(long, value_name = "N")]
    clicks: Option<u64>,
    /// Reported conversions a minute, for each secret key
    #[arg(long, value_name = "N")]
    conversions: Option<u64>,
    /// Other requests a minute, for each address
    #[arg(long, value_name = "N")]
    other: Option<u64>,
}

impl PerMinute {
    fn given(&self) -> Value {
        let all = [
            ("clicks_per_minute", self.clicks),
            ("conversions_per_minute", self.conversions),
            ("other_per_minute", self.other),
        ];
        let given: Map<String, Value> =
            all.into_iter().filter_map(|(name, limit)| limit.map(|limit| (name.to_owned(), json!(limit)))).collect();
        if given.is_empty() { Value::Null } else { Value::Object(given) }
    }
}

/// Does it, and prints what the Worker says.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let (operator, client) = operator::of(root, &options.whose)?;
    println!("{}", done(&operator, &client, &options.what)?);
    Ok(())
}

fn done(operator: &Operator, client: &Client, what: &What) -> Result<String> {
    let said = match what {
        What::List => return list(operator, client),
        What::Create { name, owner, database, limits } => {
            let body = json!({"name": name, "owner_email": owner, "database": database, "limits": limits.given()});
            operator.ask(client, "POST", "workspaces", &body)?
        }
        What::AddOwner { id, email } => {
            operator.ask(client, "POST", &format!("workspaces/{id}/owners"), &json!({"owner_email": email}))?
        }
        What::Limits { id, limits } => {
            let limits = limits.given();
            if limits.is_null() {
                bail!("say at least one of --clicks, --conversions and --other");
            }
            operator.ask(client, "PATCH", &format!("workspaces/{id}"), &json!({ "limits": limits }))?
        }
        What::Suspend { id } => {
            operator.ask(client, "PATCH", &format!("workspaces/{id}"), &json!({"suspended": true}))?
        }
        What::Resume { id } => {
            operator.ask(client, "PATCH", &format!("workspaces/{id}"), &json!({"suspended": false}))?
        }
    };
    Ok(format!("{said:#}"))
}

fn list(operator: &Operator, client: &Client) -> Result<String> {
    let mut lines = vec![format!("{:<30} {:>2} {:<24} {}", "id", "db", "suspended since", "name")];
    let mut cursor = String::new();
    loop {
        let page = operator.ask(client, "GET", &format!("workspaces?limit={PAGE}{cursor}"), &Value::Null)?;
        for one in page["data"].as_array().context("the list has no data")? {
            let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
            lines.push(format!(
                "{:<30} {:>2} {:<24} {}",
                text("id"),
                one["database"],
                text("suspended_at"),
                text("name")
            ));
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(lines.join("\n")),
        }
    }
}
