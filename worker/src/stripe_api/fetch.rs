//! The platform's side of the port: `fetch`, with a time and a length that it may take.

use std::pin::pin;

use futures_util::future::{BoxFuture, Either, select};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use worker::RequestRedirect;
use worker::send::SendFuture;
use worker::{AbortController, AbortSignal, Delay, Fetch, Headers, HttpResponse, Method, Request, RequestInit};

use super::{ANSWER_BYTES_MAX, Answer, StripeApi, TIMEOUT, Unreached};

/// Stripe's API at an origin.
pub struct PlatformStripe {
    base: String,
}

impl PlatformStripe {
    /// At `base`, such as `https://api.stripe.com`. Plain HTTP is for a local server only: the key is in every request.
    pub fn at(base: &str, may_be_plain: bool) -> Self {
        let base = base.trim().trim_end_matches('/');
        let is_fit = base.starts_with("https://") || may_be_plain;
        Self { base: if is_fit { base.to_owned() } else { String::new() } }
    }

    async fn send(&self, path: &str, key: &str, signal: &AbortSignal) -> Result<Answer, Unreached> {
        if self.base.is_empty() {
            return Err(Unreached::Failed("STRIPE_API_BASE must be an https:// origin".to_owned()));
        }
        let request = request(&format!("{}{path}", self.base), key).map_err(failed)?;
        let response = Fetch::Request(request).send_with_signal(signal).await.map_err(failed)?;
        let response: HttpResponse = response.try_into().map_err(failed)?;
        let status = response.status().as_u16();
        match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
            Ok(collected) => Ok(Answer { status, body: collected.to_bytes().to_vec() }),
            Err(error) if error.is::<LengthLimitError>() => Err(Unreached::TooLong),
            Err(error) => Err(Unreached::Failed(error.to_string())),
        }
    }
}

impl StripeApi for PlatformStripe {
    fn get<'a>(&'a self, path: &'a str, key: &'a str) -> BoxFuture<'a, Result<Answer, Unreached>> {
        Box::pin(SendFuture::new(async move {
            let controller = AbortController::default();
            let signal = controller.signal();
            let (answer, delay) = (pin!(self.send(path, key, &signal)), pin!(Delay::from(TIMEOUT)));
            match select(answer, delay).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => {
                    controller.abort();
                    Err(Unreached::TimedOut)
                }
            }
        }))
    }
}

fn request(url: &str, key: &str) -> worker::Result<Request> {
    let headers = Headers::new();
    headers.set("authorization", &format!("Bearer {key}"))?;
    headers.set("accept", "application/json")?;
    let mut init = RequestInit::new();
    init.with_method(Method::Get).with_headers(headers).with_redirect(RequestRedirect::Manual);
    Request::new_with_init(url, &init)
}

/// What the platform says of its network; requests are not in it.
fn failed(error: worker::Error) -> Unreached {
    Unreached::Failed(error.to_string())
}
