//! The platform's side of the port: Cloudflare's `send_email` binding, and `fetch` to a provider.

use std::pin::pin;

use futures_util::future::{BoxFuture, Either, select};
use serde_json::json;
use wasm_bindgen::JsValue;
use worker::send::SendFuture;
use worker::{AbortController, AbortSignal, Delay, Fetch, Headers, Method, Request, RequestInit, RequestRedirect};
use worker::{SendEmail, SendEmailBuilder};

use super::{Letter, Mail, TIMEOUT, Unsent};

/// Cloudflare's own mail.
pub struct BoundMail {
    /// The binding.
    pub binding: SendEmail,
    /// The sender, an address of a domain that Cloudflare sends for.
    pub from: String,
}

impl Mail for BoundMail {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), Unsent>> {
        Box::pin(SendFuture::new(async move {
            let mail = SendEmailBuilder::builder(&self.from, &letter.to, &letter.subject).text(&letter.text).build();
            match self.binding.send_with_builder(&mail).await {
                Ok(_) => Ok(()),
                Err(error) => Err(Unsent(format!("send_email: {}", String::from(error.message())))),
            }
        }))
    }
}

/// A provider that takes `{"from","to","subject","text"}` as JSON, with a Bearer token.
pub struct HttpMail {
    /// `https://…`.
    pub url: String,
    /// Its token.
    pub token: String,
    /// The sender.
    pub from: String,
}

impl HttpMail {
    async fn post(&self, letter: &Letter, signal: &AbortSignal) -> worker::Result<u16> {
        let headers = Headers::new();
        headers.set("authorization", &format!("Bearer {}", self.token))?;
        headers.set("content-type", "application/json")?;
        let body = json!({ "from": self.from, "to": letter.to, "subject": letter.subject, "text": letter.text });
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_headers(headers).with_redirect(RequestRedirect::Manual);
        init.with_body(Some(JsValue::from_str(&body.to_string())));
        let request = Request::new_with_init(&self.url, &init)?;
        Ok(Fetch::Request(request).send_with_signal(signal).await?.status_code())
    }
}

impl Mail for HttpMail {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), Unsent>> {
        Box::pin(SendFuture::new(async move {
            let controller = AbortController::default();
            let signal = controller.signal();
            let (answer, delay) = (pin!(self.post(letter, &signal)), pin!(Delay::from(TIMEOUT)));
            match select(answer, delay).await {
                Either::Left((Ok(200..=299), _)) => Ok(()),
                // Not what it said: it may repeat the letter.
                Either::Left((Ok(status), _)) => Err(Unsent(format!("the mail provider answered {status}"))),
                Either::Left((Err(_), _)) => Err(Unsent("the mail provider could not be reached".to_owned())),
                Either::Right(_) => {
                    controller.abort();
                    Err(Unsent("the mail provider took too long".to_owned()))
                }
            }
        }))
    }
}
