//! The shop's own pages: where a visitor lands, what is for sale, and the thanks afterwards.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;

use super::purchase::{CLUB, NOTEBOOK, Product};
use super::{POLICY, other_origin, query, scope};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::pages::page;
use crate::store::page::Page;
use crate::store::{Scope, keys, links, partners};

/// More links than the demo workspace has.
const LINKS_MAX: i64 = 20;

#[derive(Template)]
#[template(path = "demo/landing.html")]
struct Landing {
    merchant: String,
    /// What the visitor came by.
    link_ref: Option<String>,
    /// Whose link that is, when there is one of this ref.
    partner: Option<String>,
    links: Vec<PartnerLink>,
}

struct PartnerLink {
    link_ref: String,
    partner: String,
}

#[derive(Template)]
#[template(path = "demo/product.html")]
struct ProductPage {
    merchant: String,
    notebook: &'static Product,
    club: &'static Product,
    /// Where the stand-in checkout is.
    checkout_origin: String,
    /// Its host, for the snippet.
    checkout_host: String,
}

#[derive(Template)]
#[template(path = "demo/thanks.html")]
struct Thanks {
    merchant: String,
    session_id: Option<String>,
}

/// `GET /demo`.
pub async fn landing(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let scope = scope(&app).await?;
    let links = partner_links(&app, &scope).await?;
    let link_ref = query(&request, "ref");
    let came_by = links.iter().find(|link| Some(&link.link_ref) == link_ref.as_ref());
    let template = Landing {
        merchant: public_key(&app, &scope).await?,
        partner: came_by.map(|link| link.partner.clone()),
        link_ref,
        links,
    };
    page(StatusCode::OK, &template, POLICY)
}

/// `GET /demo/product`.
pub async fn product(State(app): State<Arc<App>>, Extension(call): Extension<Call>) -> Result<Response, ApiError> {
    let scope = scope(&app).await?;
    let checkout_origin = other_origin(&call.origin);
    let template = ProductPage {
        merchant: public_key(&app, &scope).await?,
        notebook: &NOTEBOOK,
        club: &CLUB,
        checkout_host: checkout_origin.split("//").last().unwrap_or("").to_owned(),
        checkout_origin,
    };
    page(StatusCode::OK, &template, POLICY)
}

/// `GET /demo/thanks`: where Stripe sends the buyer after the payment.
pub async fn thanks(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let scope = scope(&app).await?;
    let template = Thanks { merchant: public_key(&app, &scope).await?, session_id: query(&request, "session_id") };
    page(StatusCode::OK, &template, POLICY)
}

async fn public_key(app: &App, scope: &Scope) -> Result<String, ApiError> {
    let rows = app.db.rows(keys::public(scope)).await?;
    let newest = rows.first().ok_or(ApiError::NotFound("public key of the demo shop"))?;
    Ok(keys::decode_shown(newest)?)
}

/// The active links, oldest first, each with the name of the partner whose it is.
async fn partner_links(app: &App, scope: &Scope) -> Result<Vec<PartnerLink>, ApiError> {
    let names = partners::decode_names(&app.db.rows(partners::names(scope)).await?)?;
    let all = Page { limit: LINKS_MAX, after: None };
    let mut found = Vec::new();
    for row in app.db.rows(links::list(scope, None, None, &all)).await?.iter().rev() {
        let link = links::decode(row)?;
        if link.status == domain::status::LinkStatus::Active {
            found.push(PartnerLink {
                partner: names.get(link.participant_id.as_str()).cloned().unwrap_or_default(),
                link_ref: link.link_ref,
            });
        }
    }
    Ok(found)
}
