//! Every request and every answer of every test, held against the description.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value as Json, json};

use super::asked::{Asked, Notes, Request};
use super::operation::{Content, Operation};
use super::{document, errors, operations, schema};
use crate::app::BROWSER_PATHS;
use crate::testing::Answer;

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(operations::all);

/// The operation that a request is one of.
pub fn operation(method: &str, path: &str) -> Option<&'static Operation> {
    let fits = OPERATIONS.iter().filter(|operation| operation.method == method && does_fit(operation.path, path));
    // `/payouts/csv` is no payout.
    fits.min_by_key(|operation| operation.path.matches('{').count())
}

/// The operation of that name.
pub fn operation_named(id: &str) -> &'static Operation {
    let named = OPERATIONS.iter().find(|operation| operation.id == id);
    named.unwrap_or_else(|| panic!("no operation is named {id}"))
}

/// Whether a path is one of a template's, such as `/links/{id}`.
pub fn does_fit(template: &str, path: &str) -> bool {
    let (mut of_template, mut of_path) = (template.split('/'), path.split('/'));
    loop {
        match (of_template.next(), of_path.next()) {
            (None, None) => return true,
            (Some(template), Some(given)) if does_segment_fit(template, given) => {}
            _ => return false,
        }
    }
}

fn does_segment_fit(template: &str, given: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else { return template == given };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    let inner = given.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    inner.is_some_and(|inner| !inner.is_empty())
}

/// Holds what came of a request against what is said of it. `line` is `POST /path?query`.
#[track_caller]
pub fn hold(line: &str, answer: &Answer) {
    let (method, url) = line.split_once(' ').unwrap();
    let path = url.find("://").map_or(url, |at| url[at + 3..].find('/').map_or("/", |slash| &url[at + 3 + slash..]));
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let mounted = path.strip_prefix("/_s").filter(|rest| BROWSER_PATHS.iter().any(|known| rest.starts_with(known)));
    let path = mounted.unwrap_or(path);
    let Some(operation) = operation(method, path) else { return };
    let mut wrong = of_request(operation, &answer.asked);
    wrong.extend(of_answer(operation, answer));
    assert!(
        wrong.is_empty(),
        "{line} ({}) is not as the API's description says:\n{}\nThe answer: {} {}",
        operation.id,
        wrong.join("\n"),
        answer.status,
        answer.raw.chars().take(2_000).collect::<String>()
    );
}

fn of_answer(operation: &Operation, answer: &Answer) -> Vec<String> {
    let status = answer.status.as_u16();
    let mut wrong = Vec::new();
    if answer.header("x-request-id").is_empty() {
        wrong.push("it has no X-Request-Id".to_owned());
    }
    let said = operation.answers.iter().find(|one| one.status == status);
    if said.is_none() && !operation.refusals.contains(&status) {
        wrong.push(format!("{status} is not described"));
        return wrong;
    }
    let content = said.map_or(Content::Json(schema::named(operation.error())), |said| said.content.clone());
    let media = answer.header("content-type").split(';').next().unwrap_or("").to_owned();
    match content {
        Content::Nothing if answer.raw.is_empty() => {}
        Content::Nothing => wrong.push("it has a body".to_owned()),
        Content::Media(said) if said == media => {}
        Content::Media(said) => wrong.push(format!("it is {media}, not {said}")),
        Content::Json(_) if media != "application/json" => wrong.push(format!("it is {media}, not JSON")),
        Content::Json(schema) => {
            let name = said.map_or(operation.error().to_owned(), |_| format!("{} {status}", operation.id));
            wrong.extend(complaints(&name, &schema, &answer.body));
        }
    }
    let code = answer.body.pointer("/error/code").or(answer.body.get("code")).unwrap_or(&Json::Null);
    if said.is_none() && !errors::codes_of(status).any(|(known, _)| code == known) {
        wrong.push(format!("{code} is no code of {status}"));
    }
    wrong
}

/// What a schema says against a value. `name` stands for the schema.
pub fn complaints(name: &str, schema: &Json, value: &Json) -> Vec<String> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let known = KNOWN.lock().unwrap().get(name).cloned();
    let validator = known.unwrap_or_else(|| {
        let made = Arc::new(validator(schema));
        KNOWN.lock().unwrap().insert(name.to_owned(), made.clone());
        made
    });
    // Nearly all are right, which is seen faster.
    if validator.is_valid(value) {
        return Vec::new();
    }
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Beyond what is published, an object has no property that is not described: clients are to expect new ones, we are to describe
/// them.
fn validator(schema: &Json) -> Validator {
    let mut whole = schema.clone();
    whole["components"] = json!({ "schemas": document::components()["schemas"] });
    close(&mut whole);
    jsonschema::draft202012::options().should_validate_formats(true).build(&whole).unwrap()
}

fn close(schema: &mut Json) {
    match schema {
        Json::Object(members) => {
            if members.get("properties").is_some_and(Json::is_object) && members.get("type").is_some() {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            members.values_mut().for_each(close);
        }
        Json::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// A field that must be a whole text where it is given, and need not be given.
const REQUIRED_IF_THERE: (&str, &str) = ("createStripeConnection", "signing_secret");

fn of_request(operation: &Operation, asked: &Request) -> Vec<String> {
    // It goes the way of a change, of which nothing is given.
    let body = if operation.id == "retireReward" { &Notes::new() } else { &asked.body };
    let mut wrong = Vec::new();
    for (name, all) in body {
        let (schema, required) = match operation.body.as_ref().and_then(|body| property(body, name)) {
            Some(found) => found,
            None => {
                wrong.push(format!("the body's {name} is read, and not described"));
                continue;
            }
        };
        let required = required || (operation.id, name.as_str()) == REQUIRED_IF_THERE;
        wrong.extend(unlike(schema, required, all).map(|why| format!("the body's {name}: {why}")));
    }
    for (name, all) in &asked.query {
        match query(operation, name) {
            Some(schema) => wrong.extend(unlike(&schema, false, all).map(|why| format!("?{name}=: {why}"))),
            None => wrong.push(format!("?{name}= is read, and not described")),
        }
    }
    wrong
}

fn query(operation: &Operation, name: &str) -> Option<Json> {
    let (_, schema) = operation.query.iter().find(|(known, _)| *known == name)?;
    Some(if schema.get("$ref").is_some() { document::parameter(name) } else { schema.clone() })
}

/// The schema of `rewards[].trigger`, and whether it must be there.
fn property<'a>(body: &'a Json, name: &str) -> Option<(&'a Json, bool)> {
    let (mut schema, mut required) = (body, false);
    for part in name.split('.') {
        let (part, is_list) = part.strip_suffix("[]").map_or((part, false), |part| (part, true));
        required = schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == part));
        schema = schema.get("properties")?.get(part)?;
        if is_list {
            schema = schema.get("items")?;
        }
    }
    Some((schema, required))
}

/// Everything that can be sent, as a handler may ask for it.
pub fn described(operation: &Operation) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = operation.query.iter().map(|(name, _)| format!("?{name}")).collect();
    if let Some(body) = &operation.body {
        names(body, "", &mut all);
    }
    all
}

fn names(schema: &Json, prefix: &str, all: &mut BTreeSet<String>) {
    // What is done about each rule is read by going through what is there.
    if schema["additionalProperties"] == json!(false) {
        return;
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        all.insert(format!("{prefix}{name}"));
        names(schema, &format!("{prefix}{name}."), all);
        names(&schema["items"], &format!("{prefix}{name}[]."), all);
    }
}

/// How a schema differs from what a handler takes.
fn unlike(schema: &Json, required: bool, all: &[Asked]) -> Option<String> {
    let of = |name: &str| &schema[name];
    let words = |of: &Json| -> Vec<String> {
        of.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let is_of =
        |kind: &str| of("type") == kind || of("type").as_array().is_some_and(|all| all.iter().any(|one| one == kind));
    let takes_empty = all.iter().any(|asked| matches!(asked, Asked::Text(_, true)));
    let is_refined =
        all.iter().any(|asked| matches!(asked, Asked::Time | Asked::Currency | Asked::Integer(..) | Asked::Word(_)))
            || (takes_empty && all.contains(&Asked::Boolean));
    for asked in all {
        let is_right = match asked {
            Asked::Raw => true,
            Asked::Text(..) if is_refined || of("format") == "uuid" => true,
            Asked::Text(max, _) => is_of("string") && of("maxLength") == *max && (of("minLength") == 1) != takes_empty,
            Asked::Integer(min, max) => is_of("integer") && of("minimum") == *min && of("maximum") == *max,
            Asked::Boolean => is_of("boolean"),
            Asked::Word(given) => words(of("enum")) == *given,
            Asked::Id(prefix) => *of("pattern") == *schema::id_pattern(prefix),
            Asked::Time => of("format") == "date-time",
            Asked::Currency => *of("pattern") == schema::currency_sent()["pattern"],
            Asked::Required => required,
            Asked::Objects(max) => is_of("array") && of("maxItems") == *max,
            Asked::Clear(names) => words(&of("items")["enum"]) == *names,
        };
        if !is_right {
            return Some(format!("the handler takes {asked:?}; it is described as {schema}, required: {required}"));
        }
    }
    None
}
