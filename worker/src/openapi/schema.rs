//! The words that schemas are written in. A name that ends with `?` is of a property that may be absent.

use domain::ids::Kind;
use domain::money::AMOUNT_MAX;
use serde_json::{Map, Value as Json, json};

/// A property's name and its schema.
pub type Property<'a> = (&'a str, Json);

/// A text of 1 to so many characters.
pub fn text(chars_max: usize) -> Json {
    json!({ "type": "string", "minLength": 1, "maxLength": chars_max })
}

/// A text of at most so many characters; an empty one says something too.
pub fn text_or_empty(chars_max: usize) -> Json {
    json!({ "type": "string", "maxLength": chars_max })
}

/// Any text.
pub fn any_text() -> Json {
    json!({ "type": "string" })
}

/// An id of one kind.
pub fn id<K: Kind>() -> Json {
    json!({ "type": "string", "pattern": id_pattern(K::PREFIX) })
}

/// What ids with this prefix look like.
pub fn id_pattern(prefix: &str) -> String {
    format!("^{prefix}_[0-9a-hjkmnp-tv-z]{{26}}$")
}

/// One of a few words.
pub fn words(words: &[&str]) -> Json {
    json!({ "type": "string", "enum": words })
}

/// A list of any of a few words.
pub fn words_of(of: &[&str]) -> Json {
    list(words(of))
}

/// A whole number within bounds.
pub fn integer(min: i64, max: i64) -> Json {
    json!({ "type": "integer", "minimum": min, "maximum": max })
}

/// How many.
pub fn count() -> Json {
    json!({ "type": "integer", "minimum": 0 })
}

/// Money in the minor unit, not below nothing.
pub fn amount() -> Json {
    integer(0, AMOUNT_MAX)
}

/// Money in the minor unit, owed or taken back.
pub fn signed_amount() -> Json {
    integer(-AMOUNT_MAX, AMOUNT_MAX)
}

/// Money in the major unit, as text: `12.50`.
pub fn decimal() -> Json {
    json!({ "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$" })
}

/// A currency.
pub fn currency() -> Json {
    json!({ "type": "string", "pattern": "^[A-Z]{3}$" })
}

/// A currency, as it may be sent.
pub fn currency_sent() -> Json {
    json!({ "type": "string", "pattern": "^[A-Za-z]{3}$", "description": "ISO 4217, in either case." })
}

/// A moment, UTC.
pub fn time() -> Json {
    json!({ "type": "string", "format": "date-time" })
}

/// True or false.
pub fn boolean() -> Json {
    json!({ "type": "boolean" })
}

/// A click's id.
pub fn click_id() -> Json {
    json!({ "type": "string", "format": "uuid" })
}

/// `test` or `live`.
pub fn mode() -> Json {
    words(&["test", "live"])
}

/// A URL.
pub fn url(chars_max: usize) -> Json {
    json!({ "type": "string", "format": "uri", "minLength": 1, "maxLength": chars_max })
}

/// A list of such.
pub fn list(of: Json) -> Json {
    json!({ "type": "array", "items": of })
}

/// An object that may hold anything.
pub fn anything(about: &str) -> Json {
    json!({ "type": "object", "additionalProperties": true, "description": about })
}

/// The same, or null.
pub fn nullable(mut schema: Json) -> Json {
    if let Some(words) = schema.get_mut("enum").and_then(Json::as_array_mut) {
        words.push(Json::Null);
    }
    match schema.get("type").cloned() {
        Some(kind) => schema["type"] = json!([kind, "null"]),
        None => return json!({ "anyOf": [schema, { "type": "null" }] }),
    }
    schema
}

/// The same, with a sentence about it.
pub fn said(mut schema: Json, about: &str) -> Json {
    schema["description"] = json!(about);
    schema
}

/// The same, with what holds where nothing is said.
pub fn or(mut schema: Json, default: impl Into<Json>) -> Json {
    schema["default"] = default.into();
    schema
}

/// A schema among the components.
pub fn named(name: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object of an answer.
pub fn object<'a>(properties: impl IntoIterator<Item = Property<'a>>) -> Json {
    put_together(properties, |schema| schema)
}

/// An object of a request. What may be absent may be null, which says the same.
pub fn body<'a>(properties: impl IntoIterator<Item = Property<'a>>) -> Json {
    put_together(properties, nullable)
}

fn put_together<'a>(properties: impl IntoIterator<Item = Property<'a>>, optional: impl Fn(Json) -> Json) -> Json {
    let (mut all, mut required) = (Map::new(), Vec::new());
    for (name, schema) in properties {
        match name.strip_suffix('?') {
            Some(name) => _ = all.insert(name.to_owned(), optional(schema)),
            None => {
                all.insert(name.to_owned(), schema);
                required.push(name);
            }
        }
    }
    let mut object = json!({ "type": "object", "properties": all });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// An object with further properties.
pub fn with<'a>(mut object: Json, properties: impl IntoIterator<Item = Property<'a>>) -> Json {
    let more = self::object(properties);
    for (name, schema) in more["properties"].as_object().into_iter().flatten() {
        object["properties"][name] = schema.clone();
    }
    for name in more["required"].as_array().into_iter().flatten() {
        if let Some(required) = object["required"].as_array_mut() {
            required.push(name.clone());
        }
    }
    object
}
