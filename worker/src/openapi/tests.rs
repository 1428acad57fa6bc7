//! The description as a whole, held against the routes, the handlers, the codes of refusals, and the file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use super::document::document;
use super::operation::Content;
use super::tour::tour;
use super::{errors, held, operations};
use crate::app::matrix::routes;

/// What is no outside client's to call: pages and their parts, files that pages name, the operator's own paths, and what a browser
/// asks by itself.
const UNDESCRIBED: [&str; 13] = [
    "/",
    "/app",
    "/demo",
    "/dev/",
    "/join/",
    "/operator/v1/",
    "/partner",
    "/sign-in",
    "/sign-out",
    "/static/",
    "/docs",
    "/llms.txt",
    "OPTIONS ",
];

fn is_undescribed(method: &str, path: &str) -> bool {
    UNDESCRIBED.iter().any(|known| match *known {
        "/" => path == "/",
        known => path.starts_with(known) || format!("{method} ").starts_with(known),
    })
}

#[test]
fn every_route_is_described_and_every_operation_has_a_route() {
    let routes = routes();
    let all = operations::all();
    let is_of = |path: &str, route: &str| {
        // What a route leaves open, an operation may say.
        let (path, route): (Vec<_>, Vec<_>) = (path.split('/').collect(), route.split('/').collect());
        path.len() == route.len() && path.iter().zip(&route).all(|(a, b)| b.starts_with('{') || a == b)
    };
    for route in &routes {
        if is_undescribed(route.method, &route.path) {
            continue;
        }
        let found = all.iter().any(|operation| operation.method == route.method && is_of(operation.path, &route.path));
        assert!(found, "{} {} is not described: see worker/src/openapi/operations", route.method, route.path);
    }
    for operation in &all {
        let found = routes.iter().any(|route| operation.method == route.method && is_of(operation.path, &route.path));
        assert!(found, "{} has no route", operation.line());
    }
}

#[test]
fn every_action_that_a_handler_knows_is_described() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/routes");
    let mut verbs = 0;
    for route in routes().iter().filter(|route| route.path.ends_with("/{verb}") && route.path.starts_with("/api/v1/")) {
        let list = route.path.strip_prefix("/api/v1/").and_then(|rest| rest.split('/').next()).unwrap();
        let text = fs::read_to_string(folder.join(format!("{}.rs", list.replace('-', "_")))).unwrap();
        let (_, act) = text.split_once("pub async fn act(").unwrap();
        let (_, act) = act.split_once("match verb.as_str() {").unwrap();
        let (arms, _) = act.split_once("_ =>").unwrap();
        let words =
            arms.split('"').skip(1).step_by(2).filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
        for verb in words {
            let path = route.path.replace("{id}", "x").replace("{verb}", verb);
            let found = held::operation("POST", &path).is_some_and(|operation| operation.path.ends_with(verb));
            // An endpoint's last arm is `switch`.
            assert!(found, "POST {path} is not described");
            verbs += 1;
        }
    }
    assert!(verbs > 15, "only {verbs} were read");
}

#[test]
fn the_codes_are_those_of_refusals() {
    let text = include_str!("../error.rs");
    let mut read = BTreeSet::new();
    for (at, _) in text.match_indices("S::") {
        let arm = &text[at..(at + 80).min(text.len())];
        if let (Some(code), Some(name)) = (arm.split('"').nth(1), arm[3..].split([',', ' ']).next()) {
            let status = match name {
                "BAD_REQUEST" => 400,
                "UNAUTHORIZED" => 401,
                "FORBIDDEN" => 403,
                "NOT_FOUND" => 404,
                "METHOD_NOT_ALLOWED" => 405,
                "CONFLICT" => 409,
                "PAYLOAD_TOO_LARGE" => 413,
                "UNSUPPORTED_MEDIA_TYPE" => 415,
                "UNPROCESSABLE_ENTITY" => 422,
                "TOO_MANY_REQUESTS" => 429,
                "INTERNAL_SERVER_ERROR" => 500,
                "SERVICE_UNAVAILABLE" => 503,
                other => panic!("{other} is a status that nothing is said of"),
            };
            read.insert((code.to_owned(), status));
        }
    }
    let described: BTreeSet<(String, u16)> =
        errors::CODES.iter().map(|(code, status, _)| ((*code).to_owned(), *status)).collect();
    assert!(read.len() >= 18, "{read:?}");
    for code in &read {
        assert!(described.contains(code), "{code:?} is not described");
    }
    let missing: Vec<_> = described.difference(&read).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn names_are_unique_and_tags_known() {
    let all = operations::all();
    let ids: BTreeSet<&str> = all.iter().map(|operation| operation.id).collect();
    let lines: BTreeSet<String> = all.iter().map(|operation| operation.line()).collect();
    assert_eq!((ids.len(), lines.len()), (all.len(), all.len()));
    for operation in &all {
        assert!(operations::TAGS.iter().any(|(tag, _)| *tag == operation.tag), "{}", operation.id);
        let places: Vec<&str> = operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        let named: Vec<&str> = operation.places.iter().map(|(name, _)| *name).collect();
        assert_eq!(places, named, "{}", operation.id);
    }
}

#[test]
fn the_description_is_what_the_code_gives_and_every_operation_has_an_example() {
    let seen = tour();
    for operation in operations::all() {
        let id = operation.id;
        let example = seen.examples.get(id).unwrap_or_else(|| panic!("the tour does not come by {id}"));
        let described = held::described(&operation);
        let asked = &seen.asked[id];
        let unread: Vec<&String> = described.iter().filter(|name| !asked.contains(*name)).collect();
        assert!(unread.is_empty(), "{id} describes what its handler does not read: {unread:?}");
        for said in operation.answers.iter().filter(|said| matches!(said.content, Content::Json(_))) {
            assert!(
                example.answers.iter().any(|(status, _)| *status == said.status),
                "{id}: no example of {}",
                said.status
            );
        }
    }
    let mut text = serde_json::to_string_pretty(&document(&seen.examples)).unwrap();
    text.push('\n');
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www/openapi.json");
    // `cargo xtask openapi` sets it.
    if std::env::var_os("SELGEO_WRITE_OPENAPI").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let held = fs::read_to_string(&file).unwrap_or_default();
    let differs = held.lines().zip(text.lines()).position(|(held, given)| held != given);
    assert!(
        held == text,
        "www/openapi.json is not what the code gives (line {:?}): run `cargo xtask openapi`",
        differs.map(|line| line + 1)
    );
}

#[test]
fn every_schema_is_one() {
    let document: Json = document(&Default::default());
    let mut schemas = 0;
    let mut look = vec![&document];
    while let Some(one) = look.pop() {
        match one {
            Json::Object(members) => {
                if let Some(schema) = members.get("schema") {
                    assert!(jsonschema::meta::is_valid(schema), "{schema}");
                    schemas += 1;
                }
                look.extend(members.values());
            }
            Json::Array(items) => look.extend(items),
            _ => {}
        }
    }
    assert!(schemas > 200, "{schemas}");
}
