//! The API's reference, `/docs/api`: a page made of `www/openapi.json` when everything is built.
//!
//! Well-kept viewers were looked at first. They are 2.3 MB of script (Redoc 3.0.1) and 4.4 MB (Scalar 1.72.1), write styles
//! into the page, which our pages' Content-Security-Policy forbids, and show nothing without JavaScript.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use askama::Template;
use serde_json::Value;

#[derive(Template)]
#[template(path = "docs/api.html")]
struct Page {
    /// HTML.
    about: Vec<String>,
    groups: Vec<Group>,
    codes: Vec<Answer>,
    objects: Vec<Object>,
}

/// A tag.
struct Group {
    id: String,
    name: String,
    about: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    about: String,
    parameters: Vec<Field>,
    body: Vec<Field>,
    example: String,
    answers: Vec<Answer>,
    refusals: String,
}

/// A parameter, or a property.
struct Field {
    name: String,
    /// Such as `string, 1 to 255 characters`; HTML.
    kind: String,
    is_required: bool,
    /// HTML.
    about: String,
}

struct Answer {
    status: String,
    about: String,
    /// HTML.
    kind: String,
    example: String,
}

/// A shape with a name.
struct Object {
    name: String,
    fields: Vec<Field>,
}

/// Writes the page.
pub fn build(root: &Path, document: &Value) -> Result<()> {
    let html = page(document).render().context("the API's reference could not be made")?;
    let folder = root.join("build").join("assets").join("docs");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("api.html"), html)?;
    Ok(())
}

fn page(document: &Value) -> Page {
    let about = text(document, "/info/description").split("\n\n").map(prose).collect();
    let tags = document.get("tags").and_then(Value::as_array).into_iter().flatten();
    let groups = tags.map(|tag| group(document, tag)).filter(|group| !group.operations.is_empty()).collect();
    let responses = document.pointer("/components/responses").and_then(Value::as_object).into_iter().flatten();
    let codes = responses.filter(|(name, _)| name.starts_with("Error")).map(|(name, response)| Answer {
        status: name.trim_start_matches("Error").to_owned(),
        about: prose(text(response, "/description")),
        kind: String::new(),
        example: String::new(),
    });
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten();
    let objects = schemas.map(|(name, schema)| Object { name: name.clone(), fields: fields(schema) });
    Page { about, groups, codes: codes.collect(), objects: objects.collect() }
}

fn group(document: &Value, tag: &Value) -> Group {
    let name = text(tag, "/name");
    let mut operations = Vec::new();
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        for (method, one) in item.as_object().into_iter().flatten() {
            if text(one, "/tags/0") == name {
                operations.push(operation(document, method, path, one));
            }
        }
    }
    Group { id: anchor(name), name: name.to_owned(), about: prose(text(tag, "/description")), operations }
}

/// Where a tag is on the page.
pub fn anchor(tag: &str) -> String {
    tag.to_lowercase().replace(' ', "-").replace('\'', "")
}

fn operation(document: &Value, method: &str, path: &str, one: &Value) -> Operation {
    let all = one.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let parameters = all.map(|parameter| parameter_field(resolved(document, parameter))).collect();
    let (mut answers, mut refusals) = (Vec::new(), Vec::new());
    for (status, response) in one.get("responses").and_then(Value::as_object).into_iter().flatten() {
        if response.get("$ref").is_some() {
            refusals.push(status.clone());
            continue;
        }
        let mut contents = response.get("content").and_then(Value::as_object).into_iter().flatten();
        let (media, content) = contents.next().map_or(("", &Value::Null), |(media, content)| (media.as_str(), content));
        let example = content.get("example").map(|example| format!("{example:#}")).unwrap_or_default();
        let kind = match media {
            "" => "Nothing".to_owned(),
            "application/json" => kind(content.get("schema").unwrap_or(&Value::Null)),
            media => format!("<code>{}</code>", escaped(media)),
        };
        answers.push(Answer { status: status.clone(), about: prose(text(response, "/description")), kind, example });
    }
    let body = one.pointer("/requestBody/content/application~1json");
    Operation {
        id: text(one, "/operationId").to_owned(),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(one, "/summary").to_owned(),
        about: prose(text(one, "/description")),
        parameters,
        body: body.and_then(|body| body.get("schema")).map(fields).unwrap_or_default(),
        example: body.and_then(|body| body.get("example")).map(|example| format!("{example:#}")).unwrap_or_default(),
        answers,
        refusals: refusals.join(", "),
    }
}

fn resolved<'a>(document: &'a Value, one: &'a Value) -> &'a Value {
    let to = one.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#'));
    to.and_then(|to| document.pointer(to)).unwrap_or(one)
}

fn parameter_field(parameter: &Value) -> Field {
    let schema = parameter.get("schema").unwrap_or(&Value::Null);
    let place = text(parameter, "/in");
    Field {
        name: text(parameter, "/name").to_owned(),
        kind: format!("{}, in the {place}", kind(schema)),
        is_required: parameter.get("required") == Some(&Value::Bool(true)),
        about: prose(text(parameter, "/description")),
    }
}

/// The properties of an object, and of the objects that lie in it under no name of their own.
fn fields(schema: &Value) -> Vec<Field> {
    let mut all = Vec::new();
    gather(schema, "", &mut all);
    all
}

fn gather(schema: &Value, prefix: &str, all: &mut Vec<Field>) {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        all.push(Field {
            name: format!("{prefix}{name}"),
            kind: kind(property),
            is_required: is_required(name),
            about: prose(text(property, "/description")),
        });
        gather(property, &format!("{prefix}{name}."), all);
        if let Some(items) = property.get("items") {
            gather(items, &format!("{prefix}{name}[]."), all);
        }
    }
}

/// A schema in words; HTML.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|to| to.rsplit('/').next()) {
        return format!("<a href=\"#{name}\">{name}</a>");
    }
    if let Some(of) =
        schema.pointer("/properties/data/items").filter(|_| schema.pointer("/properties/next_cursor").is_some())
    {
        return format!("page of {}", kind(of));
    }
    for either in ["anyOf", "oneOf"] {
        if let Some(all) = schema.get(either).and_then(Value::as_array) {
            return all.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(value) = schema.get("const") {
        return format!("<code>{}</code>", escaped(&value.to_string()));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words = words.iter().map(|word| format!("<code>{}</code>", escaped(word.as_str().unwrap_or("null"))));
        return words.collect::<Vec<_>>().join(", ");
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => return "anything".to_owned(),
    };
    let mut words = Vec::new();
    for one in types {
        words.push(match (one, schema.get("format").and_then(Value::as_str)) {
            ("array", _) => format!("list of {}", schema.get("items").map_or("anything".to_owned(), kind)),
            ("string", Some(format)) => escaped(format),
            (one, _) => escaped(one),
        });
    }
    let mut told = words.join(" or ");
    let of = |name: &str| schema.get(name).and_then(Value::as_i64);
    match (of("minLength"), of("maxLength"), of("minimum"), of("maximum")) {
        (Some(least), Some(most), ..) => told += &format!(", {least} to {most} characters"),
        (None, Some(most), ..) => told += &format!(", at most {most} characters"),
        (_, _, Some(least), Some(most)) if most < 1 << 40 => told += &format!(", {least} to {most}"),
        (_, _, Some(least), _) if least >= 0 => told += &format!(", {least} or more"),
        _ => {}
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        told += &match pattern.strip_prefix('^').and_then(|rest| rest.split_once("_[0-9a-hjkmnp-tv-z]")) {
            Some((prefix, _)) => format!(", <code>{}_…</code>", escaped(prefix)),
            None => format!(" like <code>{}</code>", escaped(pattern)),
        };
    }
    if let Some(default) = schema.get("default") {
        told += &format!(", by default <code>{}</code>", escaped(&default.to_string()));
    }
    told
}

fn text<'a>(of: &'a Value, pointer: &str) -> &'a str {
    of.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A paragraph with `code` and **strong**, as HTML.
fn prose(paragraph: &str) -> String {
    let mut html = String::new();
    for (place, part) in paragraph.split('`').enumerate() {
        if place % 2 == 1 {
            html += &format!("<code>{}</code>", escaped(part));
            continue;
        }
        for (place, part) in part.split("**").enumerate() {
            html += &if place % 2 == 1 { format!("<strong>{}</strong>", escaped(part)) } else { escaped(part) };
        }
    }
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_shape_is_on_the_page_and_every_link_in_it_leads_somewhere() {
        let document: Value = serde_json::from_str(include_str!("../../www/openapi.json")).unwrap();
        let html = page(&document).render().unwrap();
        let operations =
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
        let ids: Vec<&str> = operations.map(|one| one["operationId"].as_str().unwrap()).collect();
        assert!(ids.len() > 120, "{}", ids.len());
        let shapes = document["components"]["schemas"].as_object().unwrap();
        for id in ids.into_iter().chain(shapes.keys().map(String::as_str)) {
            assert_eq!(html.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
        }
        for link in html.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(html.contains(&format!("id=\"{link}\"")), "{link}");
        }
    }

    #[test]
    fn what_a_schema_says_is_said_in_words() {
        let check = |schema: &str, expected: &str| assert_eq!(kind(&serde_json::from_str(schema).unwrap()), expected);
        check(r#"{"type":"string","minLength":1,"maxLength":9}"#, "string, 1 to 9 characters");
        check(r#"{"type":["integer","null"],"minimum":0}"#, "integer or null, 0 or more");
        check(r##"{"anyOf":[{"$ref":"#/components/schemas/X"},{"type":"null"}]}"##, "<a href=\"#X\">X</a> or null");
        check(r#"{"type":"string","pattern":"^link_[0-9a-hjkmnp-tv-z]{26}$"}"#, "string, <code>link_…</code>");
        check(r#"{"enum":["<a>"]}"#, "<code>&lt;a&gt;</code>");
    }
}
