//! The stand-in for Stripe's checkout: it takes no money, and sends the events that Stripe would send, signed with the demo
//! workspace's signing secret, through the ingress that Stripe's own come by.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value as Json;

use super::purchase::{Product, Purchase, taken_reference};
use super::{POLICY, field, other_origin, query, scope};
use crate::app::App;
use crate::call::{self, AfterAnswer, BODY_BYTES_MAX, Call};
use crate::error::ApiError;
use crate::jobs::Message;
use crate::pages::{FORM, page};
use crate::routes::stripe_connections::secret_purpose;
use crate::routes::stripe_ingress;
use crate::store::Scope;
use crate::store::page::Page;
use crate::store::stripe_events::{self as table, Connection};

const EMAIL_CHARS_MAX: usize = 254;

#[derive(Template)]
#[template(path = "demo/checkout.html")]
struct Checkout {
    product: &'static Product,
    /// The shop, which is another origin.
    shop_origin: String,
    /// As the link carried it.
    given: Option<String>,
    /// As Stripe keeps it.
    taken: Option<String>,
    email: String,
    problem: Option<&'static str>,
}

/// `GET /demo/checkout/{product}`: what a Payment Link opens.
pub async fn show(
    Extension(call): Extension<Call>,
    Path(slug): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let product = Product::of(&slug).ok_or(ApiError::NotFound("product"))?;
    let given = query(&request, "client_reference_id");
    let template = Checkout {
        product,
        shop_origin: other_origin(&call.origin),
        taken: taken_reference(given.as_deref()).map(str::to_owned),
        given,
        email: "buyer@example.com".to_owned(),
        problem: None,
    };
    page(StatusCode::OK, &template, POLICY)
}

/// `POST /demo/checkout/{product}`: the buyer pays. Refusals in this order: 404, 403, 413, 415, and 422 with
/// the form again.
pub async fn pay(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(slug): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let product = Product::of(&slug).ok_or(ApiError::NotFound("product"))?;
    let headers = request.headers().clone();
    must_be_own_form(&headers, &call)?;
    let form = call::body(request, BODY_BYTES_MAX).await?;
    if !call::has_media_type(&headers, &[FORM]) {
        return Err(ApiError::UnsupportedMediaType(FORM));
    }
    let given = field(&form, "client_reference_id");
    let email = field(&form, "email").unwrap_or_default();
    if !email.contains('@') || email.chars().count() > EMAIL_CHARS_MAX {
        let template = Checkout {
            product,
            shop_origin: other_origin(&call.origin),
            taken: taken_reference(given.as_deref()).map(str::to_owned),
            given,
            email,
            problem: Some("Enter an e-mail address, such as buyer@example.com."),
        };
        return page(StatusCode::UNPROCESSABLE_ENTITY, &template, POLICY);
    }
    let purchase =
        Purchase { product, client_reference_id: taken_reference(given.as_deref()), email: &email, now: call.now };
    let sent = purchase.events(&*app.random);
    let sender = Sender::of_shop(&app, &call, &scope(&app).await?).await?;
    let mut messages = Vec::new();
    for event in &sent.events {
        messages.extend(sender.send(event).await?);
    }
    Ok(call::after(to_thanks(&call, &sent.session_id)?, messages))
}

/// Only this page's own form pays. A client that says no origin is no browser, and has no visitor to deceive.
fn must_be_own_form(headers: &HeaderMap, call: &Call) -> Result<(), ApiError> {
    match headers.get(header::ORIGIN) {
        Some(origin) if origin.as_bytes() != call.origin.as_bytes() => {
            Err(ApiError::Forbidden("The checkout takes its own form only, not one of another origin.".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Back to the shop, as Stripe does after a payment.
fn to_thanks(call: &Call, session_id: &str) -> Result<Response, ApiError> {
    let shop = other_origin(&call.origin);
    let location = HeaderValue::try_from(format!("{shop}/demo/thanks?session_id={session_id}"))
        .map_err(|_| ApiError::Internal("the shop's address is no header value".to_owned()))?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// Stripe's part: knows the signing secret, and sends to the connection's address.
struct Sender<'a> {
    app: &'a Arc<App>,
    call: &'a Call,
    connection: Connection,
    secret: String,
}

impl<'a> Sender<'a> {
    async fn of_shop(app: &'a Arc<App>, call: &'a Call, scope: &Scope) -> Result<Self, ApiError> {
        let newest = Page { limit: 1, after: None };
        let rows = app.db.rows(table::list_connections(scope, &newest)).await?;
        let row = rows.first().ok_or(ApiError::NotFound("Stripe connection of the demo shop"))?;
        let connection = table::decode_connection(row)?;
        let secret = app
            .secrets
            .open(&secret_purpose(&connection.id), &connection.signing_secret)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| ApiError::Internal(format!("the signing secret of {} does not open", connection.id)))?;
        Ok(Self { app, call, connection, secret })
    }

    /// Sends one event, and gives what is to be queued once this request is answered.
    async fn send(&self, event: &Json) -> Result<Vec<Message>, ApiError> {
        let body = event.to_string();
        let signature = stripe::signature::sign(&self.secret, self.call.now.seconds(), body.as_bytes());
        let request = Request::post(format!("/webhooks/stripe/{}", self.connection.id))
            .header(header::CONTENT_TYPE, "application/json")
            .header("stripe-signature", signature)
            .body(Body::from(body))
            .map_err(|error| ApiError::Internal(format!("the event is no request: {error}")))?;
        let mut response = stripe_ingress::receive(
            State(self.app.clone()),
            Extension(self.call.clone()),
            Path(self.connection.id.to_string()),
            request,
        )
        .await?;
        let after = response.extensions_mut().remove::<AfterAnswer>();
        Ok(after.unwrap_or_default().0)
    }
}
