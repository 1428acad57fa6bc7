//! Stripe's API as a script: a test says what it answers to which path.

use std::sync::Mutex;

use futures_util::future::BoxFuture;
use serde_json::{Value as Json, json};

use crate::stripe_api::{ANSWER_BYTES_MAX, Answer, StripeApi, Unreached};

/// What the API does when it is asked.
#[derive(Clone)]
pub enum Says {
    /// 200 with this.
    Told(Json),
    /// 200 with these bytes.
    Bytes(Vec<u8>),
    /// Another status, with an error of Stripe's.
    Status(u16),
    /// Nothing, for too long.
    Nothing,
    /// The network fails.
    Unreached,
}

type Script = Box<dyn Fn(&str) -> Says + Send>;

#[derive(Default)]
pub struct ScriptedStripe {
    script: Mutex<Option<Script>>,
    asked: Mutex<Vec<(String, String)>>,
}

impl ScriptedStripe {
    /// What is said from now on, by path and query.
    pub fn say(&self, script: impl Fn(&str) -> Says + Send + 'static) {
        *self.script.lock().unwrap() = Some(Box::new(script));
    }

    /// The paths asked for since this was last asked, each with its query.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap()).into_iter().map(|(path, _)| path).collect()
    }

    /// The key of the last request that was not asked about yet.
    pub fn last_key(&self) -> Option<String> {
        self.asked.lock().unwrap().last().map(|(_, key)| key.clone())
    }

    fn answer(&self, path: &str) -> Result<Answer, Unreached> {
        let says = self.script.lock().unwrap().as_ref().map_or(Says::Status(404), |script| script(path));
        let (status, body) = match says {
            Says::Told(told) => (200, told.to_string().into_bytes()),
            Says::Bytes(bytes) => (200, bytes),
            Says::Status(status) => {
                let error = json!({"error": {"type": "api_error", "message": format!("status {status}")}});
                (status, error.to_string().into_bytes())
            }
            Says::Nothing => return Err(Unreached::TimedOut),
            Says::Unreached => return Err(Unreached::Failed("no network in tests".to_owned())),
        };
        if body.len() > ANSWER_BYTES_MAX { Err(Unreached::TooLong) } else { Ok(Answer { status, body }) }
    }
}

impl StripeApi for ScriptedStripe {
    fn get<'a>(&'a self, path: &'a str, key: &'a str) -> BoxFuture<'a, Result<Answer, Unreached>> {
        self.asked.lock().unwrap().push((path.to_owned(), key.to_owned()));
        Box::pin(std::future::ready(self.answer(path)))
    }
}
