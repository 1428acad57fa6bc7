//! Which deployment a command of the operator's is for, and asking it with the operator's token: the local server that runs, or one
//! at a URL, whose token is in the environment so that no list of processes shows it.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::dev::{self, STATE_DEFAULT};
use crate::http::Client;

/// Where the token is looked for.
pub const TOKEN: &str = "OPERATOR_TOKEN";

/// Whom a command of the operator's is for.
#[derive(clap::Args)]
pub struct Whose {
    /// A deployment, whose operator's token is in OPERATOR_TOKEN; the running `cargo xtask dev` without
    #[arg(long)]
    pub url: Option<String>,
    /// Where the running `cargo xtask dev` keeps its data
    #[arg(long, default_value = STATE_DEFAULT)]
    pub state: PathBuf,
}

/// A deployment, and the token of whoever runs it.
pub struct Operator {
    /// Where it answers, without a slash at the end.
    pub url: String,
    /// The token, if there is one.
    pub token: Option<String>,
    /// What the local server says of itself; nothing of a deployment.
    pub dev: Option<Value>,
}

/// Finds both, and a client that reaches it.
pub fn of(root: &Path, options: &Whose) -> Result<(Operator, Client)> {
    let Some(url) = &options.url else {
        let operator = local(&dev::absolute(root, &options.state)?)?;
        return Ok((operator, Client::new()));
    };
    let url = url.trim_end_matches('/').to_owned();
    let token = env::var(TOKEN).ok().filter(|token| !token.is_empty());
    let client = Client::reaching(root, &url)?;
    Ok((Operator { url, token, dev: None }, client))
}

fn local(state: &Path) -> Result<Operator> {
    let read = |name: &str| -> Result<Value> {
        let path = state.join(name);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| {
            format!("{} cannot be read. Start `cargo xtask dev` first, or say --url", path.display())
        })?;
        Ok(serde_json::from_str(&text)?)
    };
    let (dev, secrets) = (read("dev.json")?, read("secrets.json")?);
    let url = dev["url"].as_str().context("dev.json has no url")?.to_owned();
    Ok(Operator { url, token: secrets[TOKEN].as_str().map(str::to_owned), dev: Some(dev) })
}

impl Operator {
    /// Asks `/operator/v1/{path}`; anything but 2xx is an error with the Worker's own sentence.
    pub fn ask(&self, client: &Client, method: &str, path: &str, body: &Value) -> Result<Value> {
        let token = self.token.as_ref();
        let token = token.with_context(|| format!("{TOKEN} is not set: put the operator's token there"))?;
        let (url, bearer) = (format!("{}/operator/v1/{path}", self.url), format!("Bearer {token}"));
        let headers = [("authorization", bearer.as_str())];
        let answer = match method {
            "GET" => client.get(&url, &headers)?,
            "PATCH" => client.patch(&url, &headers, &body.to_string())?,
            _ => client.post(&url, &headers, &body.to_string())?,
        };
        if !(200..300).contains(&answer.status) {
            let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
            let why = said["error"]["message"].as_str().unwrap_or(answer.body.as_str());
            bail!("{method} {url} answered {}: {why}", answer.status);
        }
        serde_json::from_str(&answer.body).with_context(|| format!("{method} {url} answered no JSON"))
    }
}
