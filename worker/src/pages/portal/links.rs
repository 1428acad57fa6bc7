//! A partner's own links: listed, made, archived and taken back, and as QR codes.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use domain::partner::{OWN_LINKS_MAX, may_make_links};
use domain::status::LinkStatus;
use http::{HeaderValue, StatusCode, header};

use super::qr::Symbol;
use super::{Asked, At, Entry, Frame, Pager, Portal, cut, decoded, enter, find, here, missing, part_of};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::known;
use crate::pages::{field, own_form, private};
use crate::routes::links::{self as rules, LANDING_CHARS_MAX, NAME_CHARS_MAX};
use crate::store::DbError;
use crate::store::links::{self as table, Link};
use crate::store::page::Page;
use crate::store::portal;
use crate::store::slugs::{self, Slugged};

/// Hosts that are named to somebody who makes a link.
const HOSTS_SHOWN_MAX: i64 = 20;

#[derive(Template)]
#[template(path = "partner/links.html")]
struct Links {
    frame: Frame,
    links: Vec<Shown>,
    pager: Pager,
    /// Where links may lead; none where they may make none.
    hosts: Option<Vec<String>>,
    given: Given,
    problem: Option<String>,
}

struct Shown {
    id: String,
    name: String,
    short_url: String,
    landing_url: String,
    status: &'static str,
    is_archived: bool,
    is_restorable: bool,
    clicks: i64,
}

/// What a form held, to be shown again.
#[derive(Default)]
struct Given {
    name: String,
    landing_url: String,
}

/// `GET /partner/links`.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    page(&app, &call, &Asked::of(&request), &portal, StatusCode::OK, Given::default(), None).await
}

async fn page(
    app: &App,
    call: &Call,
    asked: &Asked,
    portal: &Portal,
    status: StatusCode,
    given: Given,
    problem: Option<String>,
) -> Result<Response, ApiError> {
    let asked_for = part_of::<ids::Link>(&asked.uri)?;
    let place = portal.place()?;
    let (mut found, mut hosts) = (Vec::new(), None);
    if let Some(one) = &place.membership {
        let id = one.participant_id.to_string();
        let reads = vec![
            table::list(&place.scope, Some(&id), None, &asked_for),
            table::list_hosts(&place.scope, &Page { limit: HOSTS_SHOWN_MAX, after: None }),
        ];
        let mut read = app.db.batch(reads).await?.into_iter();
        let links = decoded(read.next(), |row| Ok((table::decode(row)?, table::is_restorable(row)?)))?;
        let known = decoded(read.next(), |row| row.text("host"))?;
        found = links.into_iter().map(|(link, is_restorable)| shown(link, is_restorable, &call.origin)).collect();
        hosts = may_make_links(one.status, one.program_status).then_some(known);
    }
    let part = cut(found, &asked_for, portal.href("/links")?, |link| link.id.as_str());
    let frame = portal.frame(&asked.uri, "Links", "/links")?;
    private(status, &Links { frame, links: part.rows, pager: part.pager, hosts, given, problem })
}

fn shown(link: Link, is_restorable: bool, origin: &str) -> Shown {
    Shown {
        is_restorable,
        clicks: link.clicks,
        short_url: format!("{origin}/r/{}", link.slug),
        is_archived: link.status == LinkStatus::Archived,
        status: link.status.as_str(),
        id: link.id.to_string(),
        name: link.name,
        landing_url: link.landing_url,
    }
}

/// `POST /partner/links`: makes one, as long as they are approved.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let form = own_form(&call, &asked.headers, request).await?;
    let portal = enter!(find(&app, &call, &asked, At::Key(field(&form, "in"))).await?);
    let given = Given {
        name: field(&form, "name").unwrap_or_default().trim().to_owned(),
        landing_url: field(&form, "landing_url").unwrap_or_default().trim().to_owned(),
    };
    let problem = match make(&app, &call, &portal, &given).await? {
        Ok(()) => return portal.done("/links", "made"),
        Err(problem) => problem,
    };
    page(&app, &call, &asked, &portal, StatusCode::UNPROCESSABLE_ENTITY, given, Some(problem)).await
}

/// Makes a link, or says why not.
async fn make(app: &App, call: &Call, portal: &Portal, given: &Given) -> Result<Result<(), String>, ApiError> {
    let refuse = |why: &str| Ok(Err(why.to_owned()));
    let place = portal.place()?;
    let Some(one) = place.membership.as_ref().filter(|one| may_make_links(one.status, one.program_status)) else {
        return refuse("You can make links once you are in the program, and while it is not over.");
    };
    if given.name.chars().count() > NAME_CHARS_MAX || given.name.contains('\0') {
        return refuse("A name has at most 100 characters.");
    }
    let fits = given.landing_url.chars().count() <= LANDING_CHARS_MAX && !given.landing_url.contains('\0');
    let Some(url) = rules::landing_url(&given.landing_url).filter(|_| fits) else {
        return refuse("Enter the whole address of a page, beginning with https://, of at most 2048 characters.");
    };
    let (is_registered, host) = rules::is_registered(app, &place.scope, &url).await?;
    if !is_registered {
        return Ok(Err(format!("Links cannot lead to {host}: it is no page of this merchant\u{2019}s.")));
    }
    let link = Link {
        id: app.fresh(call.now),
        participant_id: one.participant_id.clone(),
        link_ref: rules::made_up(app),
        slug: rules::made_up(app),
        landing_url: given.landing_url.clone(),
        name: given.name.clone(),
        status: LinkStatus::Active,
        clicks: 0,
        created_at: call.now,
    };
    if !slugs::claim(&app.db, &place.scope.workspace_id, Slugged::Link, &link.slug).await? {
        return refuse("That did not work. Try once more.");
    }
    match app.db.batch(vec![table::insert_own(&place.scope, &link, OWN_LINKS_MAX)]).await {
        Ok(rows) if rows.iter().all(Vec::is_empty) => {
            Ok(Err(format!("You have {OWN_LINKS_MAX} links already. Archive one that you do not use.")))
        }
        Ok(_) => {
            known::forget_link(app, &place.scope, &link).await;
            Ok(Ok(()))
        }
        Err(DbError::Constraint(_)) => refuse("That did not work. Try once more."),
        Err(error) => Err(error.into()),
    }
}

/// `POST /partner/links/{id}/archive`.
pub async fn archive(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    own_form(&call, &asked.headers, request).await?;
    let portal = enter!(find(&app, &call, &asked, At::OwnerOf(portal::owner_of_link(&id))).await?);
    let scope = &portal.place()?.scope;
    let both = vec![table::archive_own(scope, &id), table::by_id(scope, &id)];
    for link in decoded(app.db.batch(both).await?.into_iter().nth(1), table::decode)? {
        known::link_changed(&app, call.now, scope, &link).await;
    }
    portal.done_to("/links", "archived", &id)
}

/// `POST /partner/links/{id}/restore`: of what they archived themselves.
pub async fn restore(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    own_form(&call, &asked.headers, request).await?;
    let portal = enter!(find(&app, &call, &asked, At::OwnerOf(portal::owner_of_link(&id))).await?);
    let scope = &portal.place()?.scope;
    let both = vec![table::restore_own(scope, &id, OWN_LINKS_MAX), table::by_id(scope, &id)];
    let mut results = app.db.batch(both).await?.into_iter();
    let is_restored = results.next().is_some_and(|rows| !rows.is_empty());
    for link in decoded(results.next(), table::decode)? {
        known::link_changed(&app, call.now, scope, &link).await;
    }
    portal.done("/links", if is_restored { "restored" } else { "kept_archived" })
}

/// `GET /partner/links/{id}/qr.svg`.
pub async fn qr_svg(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(find(&app, &call, &Asked::of(&request), At::OwnerOf(portal::owner_of_link(&id))).await?);
    let Some((link, symbol)) = symbol(&app, &call, &portal, &id).await? else { return missing(&portal) };
    Ok(picture("image/svg+xml", &format!("{}.svg", link.slug), symbol.svg().into_bytes()))
}

/// `GET /partner/links/{id}/qr.png`.
pub async fn qr_png(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(find(&app, &call, &Asked::of(&request), At::OwnerOf(portal::owner_of_link(&id))).await?);
    let Some((link, symbol)) = symbol(&app, &call, &portal, &id).await? else { return missing(&portal) };
    Ok(picture("image/png", &format!("{}.png", link.slug), symbol.png()?))
}

async fn symbol(app: &App, call: &Call, portal: &Portal, id: &str) -> Result<Option<(Link, Symbol)>, ApiError> {
    let rows = app.db.rows(table::by_id(&portal.place()?.scope, id)).await?;
    let Some(link) = rows.first().map(table::decode).transpose()? else { return Ok(None) };
    let symbol = Symbol::of(&format!("{}/r/{}", call.origin, link.slug))?;
    Ok(Some((link, symbol)))
}

/// A picture that is theirs alone, and runs nothing where a browser opens it by itself.
fn picture(kind: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    for (header, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "private, max-age=3600"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(header, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::try_from(format!("inline; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
