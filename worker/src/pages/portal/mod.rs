//! `/partner`: the portal of whoever is a partner, with every membership of one address. A page shows one membership at a time,
//! named by `?in=`; whatever else is asked for by its id is there only if it is one of theirs.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use domain::ids::Kind;
use domain::status::ParticipantStatus;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::seals::Seals;
use super::{private, sign_in};
use crate::app::App;
use crate::auth::people::{self, Person};
use crate::call::Call;
use crate::error::ApiError;
use crate::routes::listing::{self, Query};
use crate::store::page::Page;
use crate::store::portal::{self as table, Membership, Place};
use crate::store::{Row, Statement};

mod activity;
mod commissions;
mod links;
mod notices;
mod overview;
mod qr;
mod questions;
mod settings;
mod statements;

/// The portal's table of routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/partner", get(overview::show))
        .route("/partner/", get(overview::show))
        .route("/partner/links", get(links::list).post(links::create))
        .route("/partner/links/{id}/archive", post(links::archive))
        .route("/partner/links/{id}/restore", post(links::restore))
        .route("/partner/links/{id}/qr.svg", get(links::qr_svg))
        .route("/partner/links/{id}/qr.png", get(links::qr_png))
        .route("/partner/codes", get(activity::codes))
        .route("/partner/clicks", get(activity::clicks))
        .route("/partner/conversions", get(activity::conversions))
        .route("/partner/commissions", get(commissions::list))
        .route("/partner/commissions/{id}", get(commissions::show))
        .route("/partner/questions", get(questions::list).post(questions::create))
        .route("/partner/statements", get(statements::list))
        .route("/partner/statements/{id}", get(statements::show))
        .route("/partner/statements/{id}/csv", get(statements::csv))
        .route("/partner/notices", get(notices::list))
        .route("/partner/settings", get(settings::show))
        .route("/partner/settings/name", post(settings::set_name))
        .route("/partner/settings/payout", post(settings::set_payout))
        .route("/partner/settings/mail", post(settings::set_mail))
        .route("/partner/settings/density", post(settings::set_density))
        .route("/partner/settings/export", get(settings::export))
        .route("/partner/settings/erase", get(settings::ask_to_erase).post(settings::erase))
}

/// Somebody in the portal, looking at one of their places.
pub struct Portal {
    person: Person,
    places: Vec<Place>,
    at: usize,
    seals: Seals,
    is_compact: bool,
}

/// The portal, or the answer that stands for it.
enum Entry {
    In(Box<Portal>),
    Out(Response),
}

/// The portal; leaves the handler with the answer that stands for it.
macro_rules! enter {
    ($entry:expr) => {
        match $entry {
            Entry::In(portal) => portal,
            Entry::Out(response) => return Ok(response),
        }
    };
}
use enter;

/// What is known of a request once its body is read.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self { method: request.method().clone(), uri: request.uri().clone(), headers: request.headers().clone() }
    }

    /// A field of the query.
    fn query(&self, name: &str) -> Option<String> {
        super::field(self.uri.query().unwrap_or("").as_bytes(), name)
    }
}

/// Which place is looked at.
enum At {
    /// The one with this key, or the first one.
    Key(Option<String>),
    /// Where something is theirs whose participant the statement finds.
    OwnerOf(Statement),
}

/// A page of the place that `?in=` names.
async fn here(app: &App, call: &Call, asked: &Asked) -> Result<Entry, ApiError> {
    find(app, call, asked, At::Key(asked.query("in"))).await
}

/// Whoever is signed in, at a place of theirs: to sign in, 403 for who is no partner, 404 where the place is not theirs.
async fn find(app: &App, call: &Call, asked: &Asked, at: At) -> Result<Entry, ApiError> {
    let Some(person) = people::session(app, call, &asked.headers).await? else {
        return sign_in::first(&asked.method, &asked.uri).map(Entry::Out);
    };
    let mut reads = vec![table::places(&person.email)];
    let wanted = match at {
        At::Key(key) => key,
        At::OwnerOf(statement) => {
            reads.push(statement);
            None
        }
    };
    let is_by_owner = reads.len() > 1;
    let mut found = app.db.batch(reads).await?.into_iter();
    let rows = found.next().unwrap_or_default();
    let mut places = rows.iter().map(table::decode_place).collect::<Result<Vec<_>, _>>()?;
    // Each database gave its own in this order.
    places.sort_by_key(|place| (place.scope.mode.as_str(), place.partner_id.clone()));
    if places.is_empty() {
        return super::here::no_partner(&person).map(Entry::Out);
    }
    let wanted = match is_by_owner {
        false => wanted,
        true => {
            let owner = found.next().unwrap_or_default();
            // A key that nobody has, where there is no such thing at all.
            Some(owner.first().map(|row| row.text("participant_id")).transpose()?.unwrap_or_default())
        }
    };
    let at = match &wanted {
        None => Some(first_to_show(&places)),
        Some(key) => places.iter().position(|place| place_key(place) == key),
    };
    match at {
        Some(at) => {
            let seals = Seals::of(app, call, &person.id);
            let is_compact = super::density::is_compact(call, &asked.headers);
            Ok(Entry::In(Box::new(Portal { person, places, at, seals, is_compact })))
        }
        None => super::here::nothing_there(&person, "/partner").map(Entry::Out),
    }
}

/// Where somebody is approved, rather in live mode; else the first one.
fn first_to_show(places: &[Place]) -> usize {
    let worth = |place: &Place| {
        let is_in = place.membership.as_ref().is_some_and(|one| one.status == ParticipantStatus::Approved);
        (is_in, place.is_live(), place.membership.is_some())
    };
    // Of equals the first: `max_by_key` takes the last.
    (0..places.len()).rev().max_by_key(|at| places.get(*at).map(worth)).unwrap_or(0)
}

/// What names a place in an address: the participant, or the partner who is in no program yet.
fn place_key(place: &Place) -> &str {
    place.membership.as_ref().map_or(place.partner_id.as_str(), |one| one.participant_id.as_str())
}

impl Portal {
    /// The place that is looked at. There is one: nobody without any is let in.
    fn place(&self) -> Result<&Place, ApiError> {
        self.places.get(self.at).ok_or_else(|| ApiError::Internal("a portal without its place".to_owned()))
    }

    /// The membership there, if they are in a program.
    fn membership(&self) -> Result<Option<&Membership>, ApiError> {
        Ok(self.place()?.membership.as_ref())
    }

    /// A path of the portal at this place.
    fn href(&self, path: &str) -> Result<String, ApiError> {
        Ok(format!("/partner{path}?in={}", place_key(self.place()?)))
    }

    /// What stands around a page.
    fn frame(&self, request: &Uri, title: &'static str, path: &'static str) -> Result<Frame, ApiError> {
        let place = self.place()?;
        let shown = |(at, place): (usize, &Place)| Choice {
            key: place_key(place).to_owned(),
            label: match &place.membership {
                Some(one) => format!("{}, {}", one.program_name, place.workspace_name),
                None => place.workspace_name.clone(),
            },
            is_test: !place.is_live(),
            is_current: at == self.at,
        };
        let told =
            |name| super::field(request.query().unwrap_or("").as_bytes(), name).filter(|_| self.seals.hold(request));
        let done = told("done");
        let undo = told("of").filter(|_| done.as_deref() == Some("archived"));
        Ok(Frame {
            undo: undo.map(|link| format!("/partner/links/{link}/restore")),
            title,
            path,
            key: place_key(place).to_owned(),
            email: self.person.email.clone(),
            is_member: !self.person.memberships.is_empty(),
            is_test: !place.is_live(),
            is_compact: self.is_compact,
            standing: standing(place),
            done: done.and_then(|word| DONE.iter().find(|(known, _)| *known == word)).map(|(_, text)| *text),
            places: self.places.iter().enumerate().map(shown).collect(),
        })
    }

    /// Back to a page of this place, which says what was done.
    fn done(&self, path: &str, word: &str) -> Result<Response, ApiError> {
        super::see(&self.seals.telling(&self.href(path)?, &[("done", word)]))
    }

    /// The same of what can be undone, with what it was done to.
    fn done_to(&self, path: &str, word: &str, id: &str) -> Result<Response, ApiError> {
        super::see(&self.seals.telling(&self.href(path)?, &[("done", word), ("of", id)]))
    }
}

/// What a page says after something was done.
const DONE: &[(&str, &str)] = &[
    ("made", "The link is made."),
    ("archived", "The link is archived: it takes no clicks any more."),
    ("restored", "The link is as it was before."),
    ("kept_archived", "The link stays archived: it was not you who archived it, or you have as many links as you may."),
    ("asked", "Your question is with the merchant. The answer comes here."),
    ("saved", "Saved."),
];

/// Why there is nothing to see yet, or no more to do.
fn standing(place: &Place) -> Option<&'static str> {
    match place.membership.as_ref().map(|one| one.status) {
        None => {
            Some("You are in no program here yet. Whoever runs it can put you into one, or send you an invitation.")
        }
        Some(ParticipantStatus::Pending) => Some(
            "Your application is waiting: the merchant decides. Links and what they earn come here once you are in.",
        ),
        Some(ParticipantStatus::Rejected) => Some("Your application was turned down. Nothing earns here."),
        Some(ParticipantStatus::Suspended) => {
            Some("You are suspended: you see what there is, and your links earn nothing for now.")
        }
        Some(ParticipantStatus::Approved) => None,
    }
}

/// What stands around every page of the portal.
pub struct Frame {
    title: &'static str,
    path: &'static str,
    key: String,
    email: String,
    is_member: bool,
    is_test: bool,
    is_compact: bool,
    standing: Option<&'static str>,
    done: Option<&'static str>,
    /// Where a form is sent that takes it back.
    undo: Option<String>,
    places: Vec<Choice>,
}

/// A place to choose.
pub struct Choice {
    key: String,
    label: String,
    is_test: bool,
    is_current: bool,
}

/// The portal's pages, by their paths.
const PAGES: [(&str, &str); 10] = [
    ("", "Overview"),
    ("/links", "Links"),
    ("/codes", "Promo codes"),
    ("/clicks", "Clicks"),
    ("/conversions", "Conversions"),
    ("/commissions", "Commissions"),
    ("/statements", "Statements"),
    ("/questions", "Questions"),
    ("/notices", "Notices"),
    ("/settings", "Settings"),
];

impl Frame {
    fn pages(&self) -> &'static [(&'static str, &'static str)] {
        &PAGES
    }

    /// A path at the place that is looked at.
    fn href(&self, path: &str) -> String {
        format!("/partner{path}?in={}", self.key)
    }
}

/// Where a list goes on.
pub struct Pager {
    first: Option<String>,
    next: Option<String>,
}

/// Some of a list, and where it goes on.
struct Part<T> {
    rows: Vec<T>,
    pager: Pager,
}

/// Rows that a list shows at once.
fn part_of<K: Kind>(uri: &Uri) -> Result<Page, ApiError> {
    let mut asked = Query::of(uri);
    let page = asked.page::<K>();
    asked.finish()?;
    Ok(page)
}

/// Cuts off the row that only says that there is more.
fn cut<T>(mut rows: Vec<T>, page: &Page, base: String, id: impl Fn(&T) -> &str) -> Part<T> {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|row| format!("{base}&cursor={}", listing::cursor(id(row))));
    Part { rows, pager: Pager { first: page.after.is_some().then_some(base), next } }
}

/// All rows of one statement of a batch.
fn decoded<T>(
    rows: Option<Vec<Row>>,
    decode: impl Fn(&Row) -> Result<T, crate::store::DbError>,
) -> Result<Vec<T>, ApiError> {
    Ok(rows.unwrap_or_default().iter().map(decode).collect::<Result<_, _>>()?)
}

/// A page of the portal.
fn show(template: &impl Template) -> Result<Response, ApiError> {
    private(StatusCode::OK, template)
}

/// A page that says that what is asked for is not there.
fn missing(portal: &Portal) -> Result<Response, ApiError> {
    super::here::nothing_there(&portal.person, "/partner")
}

#[cfg(test)]
mod tests;
