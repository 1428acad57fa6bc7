//! The page of one object: its facts, what can be done, and what belongs to it.

use askama::Template;
use axum::extract::{Path, Request};
use axum::response::Response;
use serde_json::Value as Json;

use super::cell::{Cell, cell};
use super::change;
use super::desk::Desk;
use super::frame::Frame;
use super::list::{self, ActShown, Table};
use super::names::Names;
use super::resource::Resource;
use super::{commission, delivery, payout, resources, story};
use crate::error::ApiError;

/// Rows of a list that belongs to an object.
const RELATED_ROWS: usize = 10;

#[derive(Template)]
#[template(path = "dashboard/object.html")]
struct Object {
    frame: Frame,
    resource: &'static Resource,
    id: String,
    facts: Vec<(&'static str, Cell)>,
    acts: Vec<ActShown>,
    edit_href: Option<String>,
    list_href: String,
    related: Vec<RelatedShown>,
    /// Lists that are only a link away: what the link says and where it leads.
    links: Vec<(&'static str, String)>,
}

/// A list that belongs to an object.
pub struct RelatedShown {
    /// What it is called here.
    pub title: &'static str,
    /// Its first rows.
    pub table: Table,
    /// The whole list.
    pub href: String,
    /// Makes one more, for this object.
    pub new_href: Option<String>,
    /// Whether there are more rows.
    pub has_more: bool,
}

/// `GET …/{page}/{id}`.
pub async fn show(
    desk: Desk,
    Path((_, _, page, id)): Path<(String, String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let resource = resources::find_one(&page, &id)?;
    // Those that tell a story of their own.
    let notice = change::notice(&desk, resource, &request);
    match resource.path {
        "conversions" => return story::show(desk, &id, notice).await,
        "commissions" | "review" => return commission::show(desk, &id, notice).await,
        "payouts" => return payout::show(desk, &id, notice).await,
        "webhook-deliveries" => return delivery::show(desk, &id, notice).await,
        _ => {}
    }
    if resource.facts.is_empty() {
        return Err(ApiError::NotFound("page"));
    }
    let object = desk.get(&format!("{}/{}", resource.api_path(), segment(&id))).await?;
    let (belonging, mut links) = related(&desk, resource, &object).await?;
    if resource.path == "partners" && desk.may_change() {
        links.push(("Payout details", desk.href(&format!("partners/{}/payout-details", segment(&id)))));
    }
    let named: Vec<Json> =
        std::iter::once(&object).chain(belonging.iter().flat_map(|one| &one.objects)).cloned().collect();
    let names = Names::of(&desk, &named).await?;
    let back = desk.href(&format!("{}/{id}", resource.path));
    let title = title(&names, resource, &object);
    let shown = Object {
        frame: Frame::of(&desk, resource.nav, title).with_notice(notice),
        resource,
        facts: resource
            .facts
            .iter()
            .map(|fact| (fact.head, cell(&desk, &names, resource.path, &object, fact.at, fact.kind)))
            .filter(|(_, cell)| !matches!(cell, Cell::Empty))
            .collect(),
        acts: list::acts(&desk, resource, &object, &back),
        edit_href: resource.edit.filter(|_| desk.may_change()).map(|_| format!("{back}/edit")),
        list_href: desk.href(resource.path),
        related: belonging
            .into_iter()
            .map(|one| RelatedShown {
                title: one.title,
                table: Table::of(&desk, &names, one.of, &one.objects, &back),
                new_href: one
                    .of
                    .create
                    .filter(|_| desk.may_change())
                    .map(|_| desk.href(&format!("{}/new?{}", one.of.path, one.query))),
                href: desk.href(&format!("{}?{}", one.of.path, one.query)),
                has_more: one.has_more,
            })
            .collect(),
        links,
        id,
    };
    super::shown(&desk, &shown)
}

/// An object by its name, or by whom it belongs to, else by its kind.
fn title(names: &Names, resource: &Resource, object: &Json) -> String {
    let text = |name: &str| object[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    text("name")
        .or_else(|| text("code"))
        .or_else(|| text("url").filter(|_| resource.path == "webhook-endpoints"))
        .or_else(|| {
            let of = (resource.path == "participants").then(|| names.participant(object["id"].as_str()?)).flatten();
            of.map(|name| name.partner.clone())
        })
        .or_else(|| object["partner_id"].as_str().and_then(|id| names.partner(id)).map(str::to_owned))
        .unwrap_or_else(|| resource.one.to_owned())
}

struct Belonging {
    title: &'static str,
    of: &'static Resource,
    objects: Vec<Json>,
    query: String,
    has_more: bool,
}

async fn related(
    desk: &Desk,
    resource: &'static Resource,
    object: &Json,
) -> Result<(Vec<Belonging>, Vec<(&'static str, String)>), ApiError> {
    let (mut belonging, mut links) = (Vec::new(), Vec::new());
    for one in resource.related {
        let Some(value) = object.pointer(one.at).and_then(Json::as_str) else { continue };
        let of = resources::find(one.path)?;
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(one.filter, value).finish();
        if !one.shown {
            links.push((one.title, desk.href(&format!("{}?{query}", one.path))));
            continue;
        }
        let mut page = desk.get(&format!("{}?limit={RELATED_ROWS}&{query}", of.api_path())).await?;
        let has_more = !page["next_cursor"].is_null();
        let objects = match page["data"].take() {
            Json::Array(objects) => objects,
            _ => Vec::new(),
        };
        belonging.push(Belonging { title: one.title, of, objects, query, has_more });
    }
    Ok((belonging, links))
}

/// A segment of a path, as it is written in one.
pub fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
