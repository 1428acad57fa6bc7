//! What a partner says of themselves: a name, how they are paid, what is mailed to them; and their data, to take along and to
//! erase.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::money::Currency;
use domain::partner::{MailSwitch, PAYOUT_DETAILS_CHARS_MAX, PAYOUT_METHOD_CHARS_MAX};
use http::{HeaderValue, StatusCode, header};

use super::{Asked, At, Entry, Frame, Portal, enter, find, here};
use crate::app::App;
use crate::auth::people;
use crate::call::Call;
use crate::error::ApiError;
use crate::pages::{density, field, own_form, private};
use crate::partner_side::payee::{self, Payee, Way};
use crate::partner_side::{erasure, export};
use crate::store::portal::Membership;
use crate::store::{notices, partners};

/// What a partner is called, at most.
const NAME_CHARS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "partner/settings.html")]
struct Settings {
    frame: Frame,
    workspace: String,
    name: String,
    way: Way,
    tax_id: String,
    minimum: Option<String>,
    mail: Vec<Switch>,
    problem: Option<&'static str>,
}

struct Switch {
    word: &'static str,
    label: &'static str,
    is_on: bool,
}

#[derive(Template)]
#[template(path = "partner/erase.html")]
struct Erase {
    frame: Frame,
    problem: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "partner/erased.html")]
struct Erased {
    is_member: bool,
}

/// What each switch says.
const SWITCHES: [(MailSwitch, &str); 6] = [
    (MailSwitch::Earned, "A sale earned me something"),
    (MailSwitch::Approved, "A commission is approved"),
    (MailSwitch::Reversed, "A commission is turned down or taken back"),
    (MailSwitch::Paid, "A payout is paid"),
    (MailSwitch::Membership, "I am let into a program, turned down or suspended"),
    (MailSwitch::Answers, "A question has its answer"),
];

/// `GET /partner/settings`.
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    page(&app, &Asked::of(&request), &portal, StatusCode::OK, None, None).await
}

/// The page; with what a form held where that was wrong.
async fn page(
    app: &App,
    asked: &Asked,
    portal: &Portal,
    status: StatusCode,
    given: Option<Payee>,
    problem: Option<&'static str>,
) -> Result<Response, ApiError> {
    let place = portal.place()?;
    let payee = match given {
        Some(given) => given,
        None => payee::read(app, &place.scope, place.partner_id.as_str()).await?.unwrap_or_default(),
    };
    let rows = app.db.rows(notices::reader(place.partner_id.as_str())).await?;
    let reader = rows.first().map(notices::decode_reader).transpose()?;
    let unmailed = reader.map(|reader| reader.unmailed).unwrap_or_default();
    let switch = |(switch, label): &(MailSwitch, &'static str)| Switch {
        word: switch.as_str(),
        label,
        is_on: !unmailed.contains(switch),
    };
    let template = Settings {
        frame: portal.frame(&asked.uri, "Settings", "/settings")?,
        workspace: place.workspace_name.clone(),
        name: place.partner_name.clone(),
        way: payee.way.unwrap_or_default(),
        tax_id: payee.tax_id.unwrap_or_default(),
        minimum: minimum(place.membership.as_ref()),
        mail: SWITCHES.iter().map(switch).collect(),
        problem,
    };
    private(status, &template)
}

/// What a payout must reach: the same number in each currency, as the program says it.
fn minimum(membership: Option<&Membership>) -> Option<String> {
    let cents = membership.map(|one| one.minimum_payout_cents).filter(|cents| *cents > 0)?;
    Some(format!("{} EUR, or {cents} JPY,", Currency::EUR.decimal(cents)))
}

/// `POST /partner/settings/name`.
pub async fn set_name(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let form = own_form(&call, &asked.headers, request).await?;
    let portal = enter!(find(&app, &call, &asked, At::Key(field(&form, "in"))).await?);
    let name = field(&form, "name").unwrap_or_default().trim().to_owned();
    if name.is_empty() || is_over(&name, NAME_CHARS_MAX) {
        let problem = Some("A name has 1 to 200 characters.");
        return page(&app, &asked, &portal, StatusCode::UNPROCESSABLE_ENTITY, None, problem).await;
    }
    let place = portal.place()?;
    app.db.batch(vec![partners::change(&place.scope, place.partner_id.as_str(), Some(&name), None)]).await?;
    portal.done("/settings", "saved")
}

fn is_over(text: &str, chars_max: usize) -> bool {
    text.chars().count() > chars_max || text.contains('\0')
}

/// `POST /partner/settings/payout`.
pub async fn set_payout(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let form = own_form(&call, &asked.headers, request).await?;
    let portal = enter!(find(&app, &call, &asked, At::Key(field(&form, "in"))).await?);
    let text = |name: &str| field(&form, name).unwrap_or_default().trim().to_owned();
    let (way, tax_id) = (Way { method: text("method"), details: text("details") }, text("tax_id"));
    let is_too_long = is_over(&way.method, PAYOUT_METHOD_CHARS_MAX)
        || is_over(&way.details, PAYOUT_DETAILS_CHARS_MAX)
        || is_over(&tax_id, PAYOUT_DETAILS_CHARS_MAX);
    let given = Payee { way: (way != Way::default()).then_some(way), tax_id: (!tax_id.is_empty()).then_some(tax_id) };
    if is_too_long {
        let problem = Some("The way has at most 40 characters, the details and the tax id 500 each.");
        return page(&app, &asked, &portal, StatusCode::UNPROCESSABLE_ENTITY, Some(given), problem).await;
    }
    let place = portal.place()?;
    app.db.batch(vec![payee::set(&app, &place.scope, &place.partner_id, &given)?]).await?;
    portal.done("/settings", "saved")
}

/// `POST /partner/settings/mail`: what is ticked is mailed.
pub async fn set_mail(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let form = own_form(&call, &asked.headers, request).await?;
    let portal = enter!(find(&app, &call, &asked, At::Key(field(&form, "in"))).await?);
    let unmailed: Vec<MailSwitch> =
        SWITCHES.iter().map(|(switch, _)| *switch).filter(|switch| field(&form, switch.as_str()).is_none()).collect();
    let place = portal.place()?;
    app.db.batch(vec![notices::set_unmailed(&place.scope, &place.partner_id, &unmailed)?]).await?;
    portal.done("/settings", "saved")
}

/// `POST /partner/settings/density`: how closely pages are set in this browser.
pub async fn set_density(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let form = own_form(&call, &asked.headers, request).await?;
    let portal = enter!(find(&app, &call, &asked, At::Key(field(&form, "in"))).await?);
    let mut response = portal.done("/settings", "saved")?;
    density::keep(&call, &form, &mut response)?;
    Ok(response)
}

/// `GET /partner/settings/export`: all of it, of every place.
pub async fn export(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let all = export::everything(&app, &portal.person.email, &portal.places, &call.origin, call.now).await?;
    let text = serde_json::to_string_pretty(&all).map_err(|error| ApiError::Internal(format!("an export: {error}")))?;
    let mut response = Response::new(Body::from(text));
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"selgeo-partner.json\""),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// `GET /partner/settings/erase`.
pub async fn ask_to_erase(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let frame = portal.frame(request.uri(), "Erase my data", "/settings")?;
    super::show(&Erase { frame, problem: None })
}

/// `POST /partner/settings/erase`: wherever they are a partner, once they have typed their address.
pub async fn erase(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let form = own_form(&call, &asked.headers, request).await?;
    let portal = enter!(find(&app, &call, &asked, At::Key(field(&form, "in"))).await?);
    if people::normal(&field(&form, "email").unwrap_or_default()) != portal.person.email {
        let frame = portal.frame(&asked.uri, "Erase my data", "/settings")?;
        let problem = Some("That is not the address that you are signed in with.");
        return private(StatusCode::UNPROCESSABLE_ENTITY, &Erase { frame, problem });
    }
    let mut last = None;
    for place in &portal.places {
        if last != Some(&place.partner_id) {
            // By nobody: whoever is erased is not named in an act, which is for good.
            erasure::one(&app, &call, &place.scope, place.partner_id.as_str(), None).await?;
            last = Some(&place.partner_id);
        }
    }
    let is_member = !portal.person.memberships.is_empty();
    let mut response = super::show(&Erased { is_member })?;
    if !is_member {
        response.headers_mut().insert(header::SET_COOKIE, people::set_cookie(&call, None)?);
    }
    Ok(response)
}
