//! Changes: the forms that ask for them, and what is done with them. The API does it and judges it; a page says what came of it.

use askama::Template;
use axum::extract::{Path, Request};
use axum::response::Response;
use domain::{account, ids};
use http::{Method, StatusCode};
use serde_json::Value as Json;

use super::desk::Desk;
use super::form::{Field, Form, Offers, Shown, Takes, value_of};
use super::frame::{Frame, Notice};
use super::names::Names;
use super::object::segment;
use super::resource::{Act, Resource};
use super::resources;
use crate::error::ApiError;
use crate::pages::{field, own_form, query, see};

/// Programs, or participants, that a form offers.
const OFFERED_MAX: usize = 100;

#[derive(Template)]
#[template(path = "dashboard/form.html")]
struct FormPage {
    frame: Frame,
    form: &'static Form,
    fields: Vec<Shown>,
    problems: Vec<String>,
    action: String,
    back: String,
    is_grave: bool,
}

#[derive(Template)]
#[template(path = "dashboard/once.html")]
struct Once {
    frame: Frame,
    what: &'static str,
    secret: String,
    next_href: String,
}

/// `GET …/{page}/new`.
pub async fn ask_new(
    desk: Desk,
    Path((_, _, page)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let resource = resources::find(&page)?;
    let form = resource.create.ok_or(ApiError::NotFound("page"))?;
    let offers = offers(&desk, form).await?;
    let fields = form.filled(|field| query(&request, field.name).unwrap_or_default(), &offers);
    let action = desk.href(&format!("{}/new", resource.path));
    page_of(&desk, resource, form, fields, Vec::new(), StatusCode::OK, (action, desk.href(resource.path)), false)
}

/// `POST …/{page}/new`.
pub async fn make(
    desk: Desk,
    Path((_, _, page)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let resource = resources::find(&page)?;
    let form = resource.create.ok_or(ApiError::NotFound("page"))?;
    let body = own_form(&desk.call, &request.headers().clone(), request).await?;
    let json = form.json(&body);
    match desk.ask(Method::POST, resource.api_path(), Some(&json)).await {
        Ok(made) => done(&desk, resource, "new", &made, None),
        Err(error) => {
            let action = desk.href(&format!("{}/new", resource.path));
            again(&desk, resource, form, &body, error, (action, desk.href(resource.path)), false).await
        }
    }
}

/// `GET …/{page}/{id}/edit`.
pub async fn ask_edit(
    desk: Desk,
    Path((_, _, page, id)): Path<(String, String, String, String)>,
) -> Result<Response, ApiError> {
    let resource = resources::find_one(&page, &id)?;
    let form = resource.edit.ok_or(ApiError::NotFound("page"))?;
    let object = own(&desk, resource, &id).await?;
    let fields = form.filled(|field| value_of(&object, field), &offers(&desk, form).await?);
    let own = desk.href(&format!("{}/{}", resource.path, segment(&id)));
    page_of(
        &desk,
        resource,
        form,
        fields,
        Vec::new(),
        StatusCode::OK,
        (format!("{own}/edit"), back(None, &desk, resource, &id)),
        false,
    )
}

/// `POST …/{page}/{id}/edit`.
pub async fn edit(
    desk: Desk,
    Path((_, _, page, id)): Path<(String, String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let resource = resources::find_one(&page, &id)?;
    let form = resource.edit.ok_or(ApiError::NotFound("page"))?;
    let body = own_form(&desk.call, &request.headers().clone(), request).await?;
    let path = format!("{}/{}", resource.api_path(), segment(&id));
    match desk.ask(Method::PATCH, &path, Some(&form.changes(&body))).await {
        Ok(changed) => done(&desk, resource, "edit", &changed, None),
        Err(error @ ApiError::NotFound(_)) => Err(error),
        Err(error) => {
            let own = desk.href(&format!("{}/{}", resource.path, segment(&id)));
            again(&desk, resource, form, &body, error, (format!("{own}/edit"), back(None, &desk, resource, &id)), false)
                .await
        }
    }
}

/// `GET …/{page}/{id}/{verb}`: what is asked before something is done.
pub async fn ask_act(
    desk: Desk,
    Path((_, _, page, id, verb)): Path<(String, String, String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let resource = resources::find_one(&page, &id)?;
    let (act, form) = resource.act(&verb).and_then(|act| Some((act, act.form?))).ok_or(ApiError::NotFound("page"))?;
    // A foreign id is none here either. Some lists have no reading of one object. What a form asks for that the object has is
    // shown as it is.
    let object = match resource.facts.is_empty() {
        true => Json::Null,
        false => own(&desk, resource, &id).await?,
    };
    let offers = offers(&desk, form).await?;
    let first = |field: &Field| match (field.takes, query(&request, field.name)) {
        (Takes::Act, _) => desk.app.fresh::<ids::Act>(desk.call.now).to_string(),
        (_, Some(given)) => given,
        (_, None) if act.fills => value_of(&object, field),
        (_, None) => String::new(),
    };
    let fields = form.filled(first, &offers);
    let own = desk.href(&format!("{}/{}", resource.path, segment(&id)));
    let back = back(query(&request, "back"), &desk, resource, &id);
    page_of(&desk, resource, form, fields, Vec::new(), StatusCode::OK, (format!("{own}/{verb}"), back), act.is_grave)
}

/// `POST …/{page}/{id}/{verb}`.
pub async fn act(
    desk: Desk,
    Path((_, _, page, id, verb)): Path<(String, String, String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let resource = resources::find_one(&page, &id)?;
    let act = resource.act(&verb).ok_or(ApiError::NotFound("page"))?;
    let body = own_form(&desk.call, &request.headers().clone(), request).await?;
    let json = act.form.map(|form| form.json(&body)).filter(|json| json.as_object().is_some_and(|map| !map.is_empty()));
    let path = format!("{}/{}", resource.api_path(), segment(&id));
    let asked = match act.verb {
        "delete" => desk.ask(Method::DELETE, &path, None).await,
        verb => desk.ask(Method::POST, &format!("{path}/{verb}"), json.as_ref()).await,
    };
    let back = back(field(&body, "back"), &desk, resource, &id);
    match (asked, act.form) {
        (Ok(answer), _) => done(&desk, resource, act.verb, &answer, Some((&id, back))),
        (Err(error @ ApiError::NotFound(_)), _) => Err(error),
        (Err(error), Some(form)) => {
            let own = desk.href(&format!("{}/{}", resource.path, segment(&id)));
            again(&desk, resource, form, &body, error, (format!("{own}/{verb}"), back), act.is_grave).await
        }
        (Err(error), None) => Err(error),
    }
}

/// The object of an id.
async fn own(desk: &Desk, resource: &Resource, id: &str) -> Result<Json, ApiError> {
    desk.get(&format!("{}/{}", resource.api_path(), segment(id))).await
}

/// Where one comes back to: a page of this desk, else the object's own, else its list.
fn back(given: Option<String>, desk: &Desk, resource: &Resource, id: &str) -> String {
    let own = given.filter(|path| account::own_path(path).is_some() && path.starts_with(&desk.href("")));
    own.unwrap_or_else(|| match resource.facts.is_empty() {
        true => desk.href(resource.path),
        false => desk.href(&format!("{}/{}", resource.path, segment(id))),
    })
}

/// On to a page that says so; or, where the answer holds a secret, this once to the page that shows it.
fn done(
    desk: &Desk,
    resource: &'static Resource,
    verb: &'static str,
    answer: &Json,
    of: Option<(&str, String)>,
) -> Result<Response, ApiError> {
    let id = answer["id"].as_str().or(of.as_ref().map(|(id, _)| *id)).unwrap_or_default();
    // What was made many at once has no page.
    let own = match resource.facts.is_empty() || id.is_empty() {
        true => desk.href(resource.path),
        false => desk.href(&format!("{}/{}", resource.path, segment(id))),
    };
    if let Some((what, secret)) = resources::secret_in(resource, answer) {
        let frame = Frame::of(desk, resource.nav, what);
        return super::shown(desk, &Once { frame, what, secret, next_href: own });
    }
    let to = match of {
        // A deleted object has no page any more.
        Some((_, back)) if verb != "delete" || !back.ends_with(id) => back,
        Some(_) => desk.href(resource.path),
        None => own,
    };
    let mut told = vec![("done", verb), ("of", id), ("kind", resource.path)];
    let many = answer["data"]
        .as_array()
        .map(|made| (made.len().to_string(), answer["left"].as_i64().unwrap_or(0).to_string()));
    if let Some((made, left)) = &many {
        told.extend([("made", made.as_str()), ("left", left.as_str())]);
    }
    Ok(desk.answer(see(&desk.seals().telling(&to, &told))?))
}

/// What the address says was done, where it was us who led there.
pub fn notice(desk: &Desk, on: &'static Resource, request: &Request) -> Option<Notice> {
    let verb = query(request, "done").filter(|_| desk.seals().hold(request.uri()))?;
    let resource = query(request, "kind").and_then(|kind| resources::find(&kind).ok()).unwrap_or(on);
    let text = match verb.as_str() {
        "new" => match number(request, "made") {
            Some(made) => many_made(made, number(request, "left").unwrap_or(0)),
            None => format!("{} added.", resource.one),
        },
        "edit" => "Saved.".to_owned(),
        verb => resource.act(verb)?.done.to_owned(),
    };
    let id = query(request, "of");
    let undo = resource.act(&verb).and_then(|act| act.undo).zip(id).filter(|_| desk.may_change());
    let undo = undo.map(|(undo, id)| {
        let href = desk.href(&format!("{}/{}/{undo}", resource.path, segment(&id)));
        (href, request.uri().path().to_owned())
    });
    Some(Notice { text, undo })
}

fn number(request: &Request, name: &str) -> Option<u32> {
    query(request, name).and_then(|text| text.parse().ok())
}

/// How many were made at once, and whether there is more to make.
fn many_made(made: u32, left: u32) -> String {
    let made = match made {
        0 => "Nothing is due: what there is is carried to the next payout.".to_owned(),
        1 => "One was drafted.".to_owned(),
        made => format!("{made} were drafted."),
    };
    match left {
        0 => made,
        left => format!("{made} {left} more are due: draft once more."),
    }
}

async fn again(
    desk: &Desk,
    resource: &'static Resource,
    form: &'static Form,
    body: &[u8],
    error: ApiError,
    places: (String, String),
    is_grave: bool,
) -> Result<Response, ApiError> {
    if error.log_detail().is_some() {
        return Err(error);
    }
    let (fields, problems) = form.again(body, &error, &offers(desk, form).await?);
    page_of(desk, resource, form, fields, problems, error.status(), places, is_grave)
}

#[expect(clippy::too_many_arguments, reason = "each is another part of one page")]
fn page_of(
    desk: &Desk,
    resource: &'static Resource,
    form: &'static Form,
    fields: Vec<Shown>,
    problems: Vec<String>,
    status: StatusCode,
    (action, back): (String, String),
    is_grave: bool,
) -> Result<Response, ApiError> {
    if !desk.may_change() {
        return Err(ApiError::Forbidden("A viewer looks and changes nothing; ask an owner or an admin.".to_owned()));
    }
    let frame = Frame::of(desk, resource.nav, form.title);
    super::shown_with(desk, status, &FormPage { frame, form, fields, problems, action, back, is_grave })
}

/// What a form offers to choose from.
async fn offers(desk: &Desk, form: &Form) -> Result<Offers, ApiError> {
    let takes = |wanted: fn(&Takes) -> bool| form.fields.iter().any(|field| wanted(&field.takes));
    let text = |object: &Json, name: &str| object[name].as_str().unwrap_or_default().to_owned();
    let mut offers = Offers::default();
    if takes(|takes| matches!(takes, Takes::Program)) {
        let page = desk.get(&format!("/programs?limit={OFFERED_MAX}")).await?;
        let programs = page["data"].as_array().into_iter().flatten();
        offers.programs = programs.map(|program| (text(program, "id"), text(program, "name"))).collect();
    }
    if takes(|takes| matches!(takes, Takes::Participant)) {
        let page = desk.get(&format!("/participants?status=approved&limit={OFFERED_MAX}")).await?;
        if page["next_cursor"].is_null() {
            let ids = page["data"].as_array().into_iter().flatten().map(|one| text(one, "id"));
            let named: Vec<Json> = ids.map(|id| serde_json::json!({ "participant_id": id })).collect();
            let names = Names::of(desk, &named).await?;
            let named = named.iter().filter_map(|one| {
                let id = text(one, "participant_id");
                let name = names.participant(&id)?;
                Some((id, format!("{}, {}", name.partner, name.program)))
            });
            offers.participants = named.collect();
        }
    }
    Ok(offers)
}

/// Whether an act needs a page of its own before it is done.
impl Act {
    /// See there.
    pub fn asks(&self) -> bool {
        self.form.is_some()
    }
}
