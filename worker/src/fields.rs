//! Reading a JSON object field by field: every error of a body is told at once, with its limit.

use domain::money::{AMOUNT_MAX, Currency};
use domain::time::Instant;
use serde_json::{Map, Value as Json};

use crate::error::{ApiError, FieldError};
#[cfg(test)]
use crate::openapi::asked::{Asked, OfObject};

/// A body that is a JSON object, and what is wrong with it so far.
pub struct Fields {
    object: Map<String, Json>,
    errors: Vec<FieldError>,
    /// What was read, for the tests that hold the API's description against it.
    #[cfg(test)]
    asked: OfObject,
}

impl Fields {
    /// Parses a body. Whatever is no JSON object is malformed.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Json::Object(object)) => Ok(Self::of(object)),
            Ok(_) => Err(ApiError::malformed("The body must be a JSON object.")),
            Err(error) => Err(ApiError::malformed(format!("The body is not JSON: {error}."))),
        }
    }

    /// A nested object's fields.
    pub fn of(object: Map<String, Json>) -> Self {
        Self {
            object,
            errors: Vec::new(),
            #[cfg(test)]
            asked: OfObject::default(),
        }
    }

    /// The field as it came; explicit null equals absent.
    pub fn raw(&self, name: &str) -> Option<&Json> {
        #[cfg(test)]
        self.asked.note(name, Asked::Raw);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Notes an error.
    pub fn error(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
    }

    /// All errors, or none.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::fields(self.errors)) }
    }

    /// A text of 1 to `chars_max` characters. NUL is not among them: SQL's JSON functions end a text there, so that two
    /// texts would be taken for one.
    pub fn text(&mut self, name: &str, chars_max: usize) -> Option<String> {
        #[cfg(test)]
        self.asked.note(name, Asked::Text(chars_max, false));
        match self.raw(name) {
            None => None,
            Some(Json::String(text)) => {
                let chars = text.chars().count();
                if !(1..=chars_max).contains(&chars) {
                    self.error(name, format!("must have 1 to {chars_max} characters; has {chars}"));
                    None
                } else if text.contains('\0') {
                    self.error(name, "must not contain NUL");
                    None
                } else {
                    Some(text.clone())
                }
            }
            Some(_) => {
                self.error(name, "must be a string");
                None
            }
        }
    }

    /// A text of at most `chars_max` characters. An empty one says nothing, as a browser's `document.referrer` does of a
    /// visitor who comes from nowhere.
    pub fn text_or_nothing(&mut self, name: &str, chars_max: usize) -> Option<String> {
        #[cfg(test)]
        self.asked.note(name, Asked::Text(chars_max, true));
        match self.raw(name) {
            Some(Json::String(text)) if text.is_empty() => None,
            _ => self.text(name, chars_max),
        }
    }

    /// A text of at most `chars_max` characters, of which none may be left: an empty one is kept as such.
    pub fn text_or_empty(&mut self, name: &str, chars_max: usize) -> Option<String> {
        #[cfg(test)]
        self.asked.note(name, Asked::Text(chars_max, true));
        match self.raw(name) {
            Some(Json::String(text)) if text.is_empty() => Some(String::new()),
            _ => self.text(name, chars_max),
        }
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &str, chars_max: usize) -> String {
        #[cfg(test)]
        self.asked.note(name, Asked::Required);
        if self.raw(name).is_none() {
            self.error(name, "is required");
        }
        self.text(name, chars_max).unwrap_or_default()
    }

    /// A whole number within bounds.
    pub fn integer(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        #[cfg(test)]
        self.asked.note(name, Asked::Integer(min, max));
        let value = self.raw(name)?;
        let whole = value.as_i64().filter(|whole| (min..=max).contains(whole));
        if whole.is_none() {
            self.error(name, format!("must be a whole number from {min} to {max}"));
        }
        whole
    }

    /// An amount of money in the minor unit.
    pub fn amount(&mut self, name: &str) -> Option<i64> {
        self.integer(name, 0, AMOUNT_MAX)
    }

    /// A truth value.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        #[cfg(test)]
        self.asked.note(name, Asked::Boolean);
        let value = self.raw(name)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.error(name, "must be true or false");
        }
        flag
    }

    /// A currency.
    pub fn currency(&mut self, name: &str) -> Option<Currency> {
        #[cfg(test)]
        self.asked.note(name, Asked::Currency);
        let text = self.text(name, 255)?;
        match Currency::parse(&text) {
            Ok(currency) => Some(currency),
            Err(error) => {
                self.error(name, error.to_string());
                None
            }
        }
    }

    /// An instant.
    pub fn instant(&mut self, name: &str) -> Option<Instant> {
        #[cfg(test)]
        self.asked.note(name, Asked::Time);
        let text = self.text(name, 255)?;
        match Instant::parse(&text) {
            Ok(instant) => Some(instant),
            Err(error) => {
                self.error(name, error.to_string());
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T>(&mut self, name: &str, words: &[&str], parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        #[cfg(test)]
        self.asked.note(name, Asked::Word(words.iter().map(|word| (*word).to_owned()).collect()));
        let value = self.raw(name)?;
        let parsed = value.as_str().and_then(parse);
        if parsed.is_none() {
            self.error(name, format!("must be one of {}", words.join(", ")));
        }
        parsed
    }

    /// An id of one kind.
    pub fn id<K: domain::ids::Kind>(&mut self, name: &str) -> Option<domain::ids::Id<K>> {
        #[cfg(test)]
        self.asked.note(name, Asked::Id(K::PREFIX));
        let value = self.raw(name)?;
        let id = value.as_str().and_then(domain::ids::Id::parse);
        if id.is_none() {
            self.error(name, format!("must be an id that begins with {}_", K::PREFIX));
        }
        id
    }

    /// A list of objects, each of at most `count_max`.
    pub fn objects(&mut self, name: &str, count_max: usize) -> Vec<Map<String, Json>> {
        #[cfg(test)]
        self.asked.note(name, Asked::Objects(count_max));
        let Some(value) = self.raw(name) else { return Vec::new() };
        let read: Option<Vec<_>> = value
            .as_array()
            .filter(|list| list.len() <= count_max)
            .and_then(|list| list.iter().map(|one| one.as_object().cloned()).collect());
        match read {
            Some(list) => list,
            None => {
                self.error(name, format!("must be a list of at most {count_max} objects"));
                Vec::new()
            }
        }
    }

    /// The names in `clear`, of those that a change can clear: what they hold goes back to what it is of a new object for which
    /// nothing is said. Null cannot say it, since it equals absent.
    pub fn cleared(&mut self, clearable: &[&'static str]) -> Vec<&'static str> {
        #[cfg(test)]
        self.asked.note("clear", Asked::Clear(clearable.iter().map(|name| (*name).to_owned()).collect()));
        let Some(given) = self.raw("clear").cloned() else { return Vec::new() };
        let Some(names) = given.as_array().filter(|names| names.len() <= clearable.len()) else {
            self.error(
                "clear",
                format!("must be a list of at most {} names: {}", clearable.len(), clearable.join(", ")),
            );
            return Vec::new();
        };
        let mut cleared = Vec::new();
        for (place, name) in names.iter().enumerate() {
            match clearable.iter().find(|known| name == **known) {
                Some(known) if self.raw(known).is_some() => self.error(known, "is given, and in clear too"),
                Some(known) => cleared.push(*known),
                None => self.error(&format!("clear[{place}]"), format!("must be one of {}", clearable.join(", "))),
            }
        }
        cleared
    }

    /// Takes over a nested object's errors under its name.
    pub fn absorb(&mut self, prefix: &str, nested: Self) {
        #[cfg(test)]
        self.asked.absorb(prefix, &nested.asked);
        self.errors.extend(
            nested
                .errors
                .into_iter()
                .map(|error| FieldError { field: format!("{prefix}.{}", error.field), message: error.message }),
        );
    }
}
