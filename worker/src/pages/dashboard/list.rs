//! A list: what it is narrowed to stands in its address, as the API takes it.

use askama::Template;
use axum::extract::{Path, Request};
use axum::response::Response;
use serde_json::Value as Json;

use super::cell::{Cell, cell, words_of};
use super::change;
use super::desk::Desk;
use super::frame::Frame;
use super::names::Names;
use super::resource::{Act, Column, Filter, Resource, Takes};
use super::resources;
use crate::error::ApiError;
use crate::pages::query;

/// Rows of a page.
const ROWS: usize = 25;
/// A filter's value is at most this long in the page; the API has its own limit.
const VALUE_CHARS_MAX: usize = 300;

#[derive(Template)]
#[template(path = "dashboard/list.html")]
struct List<'a> {
    frame: Frame,
    resource: &'static Resource,
    filters: Vec<FilterShown>,
    is_narrowed: bool,
    problem: Option<String>,
    /// More fit what the list is narrowed to than were looked at.
    is_cut: bool,
    table: Table,
    new_href: Option<String>,
    csv_href: Option<String>,
    first_href: Option<String>,
    next_href: Option<String>,
    plain_href: &'a str,
}

/// A filter with what it is set to.
struct FilterShown {
    filter: &'static Filter,
    value: String,
    /// Value, words, and whether it is chosen.
    choices: Vec<(String, String, bool)>,
}

impl FilterShown {
    fn is_day(&self) -> bool {
        matches!(self.filter.takes, Takes::Day)
    }

    fn is_id(&self) -> bool {
        matches!(self.filter.takes, Takes::Id)
    }

    fn example(&self) -> &'static str {
        if let Takes::Text(example) = self.filter.takes { example } else { "" }
    }
}

/// Rows under heads.
pub struct Table {
    /// Whose.
    pub resource: &'static Resource,
    /// The rows.
    pub rows: Vec<RowShown>,
    /// Whether any row has something that can be done.
    pub has_acts: bool,
    /// What a screen reader calls it.
    pub caption: String,
}

/// A row.
pub struct RowShown {
    /// The head of each cell, and the cell.
    pub cells: Vec<(&'static Column, Cell)>,
    /// What can be done.
    pub acts: Vec<ActShown>,
    /// The form that changes it, where no page of its own leads there.
    pub edit_href: Option<String>,
    /// Whose, for those who do not see the row.
    pub of: String,
}

/// Something that can be done to an object.
pub struct ActShown {
    /// What.
    pub act: &'static Act,
    /// Where it is asked for.
    pub href: String,
    /// Where one comes back to.
    pub back: String,
    /// Whose, for those who do not see the row.
    pub of: String,
}

impl Table {
    /// Objects as rows. `back` is where one comes back to from what can be done.
    pub fn of(desk: &Desk, names: &Names, resource: &'static Resource, objects: &[Json], back: &str) -> Self {
        let rows: Vec<RowShown> = objects
            .iter()
            .map(|object| RowShown {
                cells: resource
                    .columns
                    .iter()
                    .map(|column| (column, cell(desk, names, resource.path, object, column.at, column.kind).short()))
                    .collect(),
                acts: acts(desk, resource, object, back)
                    .into_iter()
                    .filter(|shown| resource.in_list.contains(&shown.act.verb))
                    .collect(),
                edit_href: resource.edit.filter(|_| resource.facts.is_empty() && desk.may_change()).map(|_| {
                    desk.href(&format!("{}/{}/edit", resource.path, object["id"].as_str().unwrap_or_default()))
                }),
                of: called(object),
            })
            .collect();
        let has_acts = rows.iter().any(|row| !row.acts.is_empty() || row.edit_href.is_some());
        Self { resource, rows, has_acts, caption: resource.title.to_owned() }
    }
}

/// What an object is called: by its name or address, else its id.
fn called(object: &Json) -> String {
    let mut names = ["name", "email", "id"].iter().filter_map(|name| object[*name].as_str());
    names.find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}

/// What a member may do to an object as it is now.
pub fn acts(desk: &Desk, resource: &'static Resource, object: &Json, back: &str) -> Vec<ActShown> {
    if !desk.may_change() {
        return Vec::new();
    }
    let id = object["id"].as_str().unwrap_or_default();
    let possible = resource.acts.iter().filter(|act| (act.when)(object));
    possible
        .map(|act| ActShown {
            act,
            href: desk.href(&format!("{}/{id}/{}", resource.path, act.verb)),
            back: back.to_owned(),
            of: called(object),
        })
        .collect()
}

/// `GET …/{page}`.
pub async fn show(
    desk: Desk,
    Path((_, _, page)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let resource = resources::find(&page)?;
    let narrowed = Narrowed::of(resource, &request);
    let cursor = query(&request, "cursor");
    let back = request.uri().path_and_query().map_or_else(|| desk.href(&page), |path| path.as_str().to_owned());
    let (Part { objects, next, is_cut }, problem) =
        match read(&desk, resource, &narrowed, cursor.as_deref(), ROWS).await {
            Ok(part) => (part, None),
            // A filter that the API refuses is the list's to show; whatever else is wrong is not.
            Err(error @ ApiError::Validation { .. }) => (Part::default(), Some(error.message())),
            Err(error) => return Err(error),
        };
    let names = Names::of(&desk, &objects).await?;
    let plain = desk.href(resource.path);
    let address = |cursor: Option<&str>, below: &str| {
        let query = narrowed.query(cursor);
        if query.is_empty() { format!("{plain}{below}") } else { format!("{plain}{below}?{query}") }
    };
    let list = List {
        frame: Frame::of(&desk, resource.nav, resource.title).with_notice(change::notice(&desk, resource, &request)),
        resource,
        filters: narrowed.shown(resource),
        is_narrowed: !narrowed.0.is_empty(),
        problem,
        is_cut,
        table: Table::of(&desk, &names, resource, &objects, &back),
        new_href: resource.create.filter(|_| desk.may_change()).map(|_| desk.href(&format!("{}/new", resource.path))),
        csv_href: resource.csv.then(|| address(None, "/csv")),
        first_href: cursor.is_some().then(|| address(None, "")),
        next_href: next.map(|next| address(Some(&next), "")),
        plain_href: &plain,
    };
    super::shown(&desk, &list)
}

/// What a list is narrowed to: names and values, as the API takes them.
pub struct Narrowed(Vec<(&'static str, String)>);

impl Narrowed {
    /// What the address of a page says, of what the list can be narrowed to.
    pub fn of(resource: &'static Resource, request: &Request) -> Self {
        let given = |filter: &'static Filter| {
            let value = query(request, filter.name)?;
            Some((filter.name, value.chars().take(VALUE_CHARS_MAX).collect()))
        };
        Self(resource.filters.iter().filter_map(given).collect())
    }

    /// As the page's own address has it.
    pub fn query(&self, cursor: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.0);
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        query.finish()
    }

    fn shown(&self, resource: &'static Resource) -> Vec<FilterShown> {
        let value = |name: &str| self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let shown = |filter: &'static Filter| {
            let value = value(filter.name).unwrap_or_default();
            let choices = match filter.takes {
                Takes::Word(words) => {
                    words.iter().map(|word| ((*word).to_owned(), words_of(word), *word == value)).collect()
                }
                Takes::Flag(yes, no) => [("true", yes), ("false", no)]
                    .map(|(word, says)| (word.to_owned(), says.to_owned(), word == value))
                    .to_vec(),
                _ => Vec::new(),
            };
            FilterShown { filter, value, choices }
        };
        resource.filters.iter().map(shown).filter(|shown| !shown.is_id() || !shown.value.is_empty()).collect()
    }
}

/// A part of a list.
#[derive(Default)]
pub struct Part {
    /// The objects.
    pub objects: Vec<Json>,
    /// Where the next part begins.
    pub next: Option<String>,
    /// More fit what the list is narrowed to than were looked at.
    pub is_cut: bool,
}

/// A part of a list, as the API gives it.
pub async fn read(
    desk: &Desk,
    resource: &'static Resource,
    narrowed: &Narrowed,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Part, ApiError> {
    let joint = if resource.api.contains('?') { '&' } else { '?' };
    let query = narrowed.days_as_instants(resource).query(cursor);
    let mut page = desk.get(&format!("{}{joint}limit={limit}&{query}", resource.api)).await?;
    let objects = match page["data"].take() {
        Json::Array(objects) => objects,
        _ => Vec::new(),
    };
    let next = page["next_cursor"].as_str().map(str::to_owned);
    Ok(Part { objects, next, is_cut: page["is_cut"] == true })
}

impl Narrowed {
    /// A day as the page has it is its first moment in UTC to the API.
    fn days_as_instants(&self, resource: &'static Resource) -> Self {
        let is_day = |name: &str| {
            resource.filters.iter().any(|filter| filter.name == name && matches!(filter.takes, Takes::Day))
        };
        let translated = self.0.iter().map(|(name, value)| match is_day(name) && value.len() == 10 {
            true => (*name, format!("{value}T00:00:00Z")),
            false => (*name, value.clone()),
        });
        Self(translated.collect())
    }
}
