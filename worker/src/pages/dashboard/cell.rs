//! What a cell of a table, or a line of an object's facts, shows: always text, which the templates escape.

use domain::money::Currency;
use domain::time::Instant;
use serde_json::Value as Json;

use super::desk::Desk;
use super::names::Names;
use crate::pages::text::{self, Moment};

/// A value to show.
pub enum Cell {
    /// Nothing there.
    Empty,
    /// What somebody or something wrote.
    Text(String),
    /// An id, a code, a token: to be read letter by letter.
    Id(String),
    /// An id or a name that leads to its page, with a line below it.
    Link {
        /// Where.
        href: String,
        /// What it says.
        text: String,
        /// A second line; may be empty.
        sub: String,
        /// Whether the text is an id.
        is_id: bool,
    },
    /// A state: as the API calls it, and as people read it.
    State(String, String),
    /// Some words, each by itself.
    Words(Vec<String>),
    /// An amount with its currency.
    Money(String),
    /// A time.
    Moment(Moment),
}

impl Cell {
    /// As a list has room for it: of an id its kind and its end, which tells it from those around it.
    pub fn short(self) -> Self {
        match self {
            Self::Link { href, text, sub, is_id: true } => Self::Link { href, text: short_id(&text), sub, is_id: true },
            Self::Id(text) => Self::Id(short_id(&text)),
            other => other,
        }
    }
}

/// `conv_…k3v9xq`; what is short or none of our ids stays as it is.
fn short_id(id: &str) -> String {
    match id.split_once('_') {
        Some((kind, rest)) if kind.len() <= 6 && rest.len() == 26 && rest.is_ascii() => {
            format!("{kind}_…{}", &rest[20..])
        }
        _ => id.to_owned(),
    }
}

/// How a value of an object is shown.
#[derive(Clone, Copy)]
pub enum Kind {
    /// As the text that it is.
    Text,
    /// As a link to the object's own page, with whatever a function makes of the object.
    OwnMade(fn(&Json) -> String),
    /// As an id.
    Id,
    /// As a link to the object's own page.
    Own,
    /// As a link to the page of the object that it names: that page's path.
    Page(&'static str),
    /// As a state.
    State,
    /// As a state where it is true: its word, and whether that is bad.
    Flag(&'static str),
    /// As an amount, in the object's `currency`.
    Money,
    /// As a time.
    Moment,
    /// As words.
    Words,
    /// As the partner who is a participant.
    Participant,
    /// As a program.
    Program,
    /// As a partner.
    Partner,
    /// Whatever a function makes of the object.
    Made(fn(&Json) -> String),
}

/// A word of the API as people read it: `last_click` as `Last click`.
pub fn words_of(word: &str) -> String {
    let spaced = word.replace(['_', '-'], " ");
    let mut letters = spaced.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => spaced,
    }
}

/// A number or a text, as text.
fn plain(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) if text.is_empty() => None,
        Json::String(text) => Some(text.clone()),
        Json::Bool(true) => Some("yes".to_owned()),
        Json::Bool(false) => Some("no".to_owned()),
        other => Some(other.to_string()),
    }
}

/// What a time says to people.
pub fn moment(value: &Json) -> Option<Moment> {
    value.as_str().and_then(|text| Instant::parse(text).ok()).map(Moment::of)
}

/// An amount of an object, in its `currency`.
pub fn money(object: &Json, amount: &Json) -> Option<String> {
    let currency = object["currency"].as_str().and_then(|code| Currency::parse(code).ok())?;
    amount.as_i64().map(|amount| text::money(amount, currency))
}

/// The cell that shows what is at a pointer of an object. `page` is the path of the object's own kind of page.
pub fn cell(desk: &Desk, names: &Names, page: &str, object: &Json, at: &str, kind: Kind) -> Cell {
    let Some(value) = object.pointer(at) else { return Cell::Empty };
    let Some(text) = plain(value) else { return Cell::Empty };
    let link = |page: &str, id: &str, text: String, sub: String, is_id: bool| Cell::Link {
        href: desk.href(&format!("{page}/{id}")),
        text,
        sub,
        is_id,
    };
    match kind {
        Kind::Text => Cell::Text(text),
        Kind::Id => Cell::Id(text),
        Kind::Own => {
            let id = object["id"].as_str().unwrap_or_default();
            link(page, id, text.clone(), String::new(), text == id)
        }
        Kind::OwnMade(make) => {
            link(page, object["id"].as_str().unwrap_or_default(), make(object), String::new(), false)
        }
        Kind::Page(page) => link(page, &text.clone(), text, String::new(), true),
        Kind::State => Cell::State(text.clone(), words_of(&text)),
        Kind::Flag(word) if value == &Json::Bool(true) => Cell::State("flagged".to_owned(), word.to_owned()),
        Kind::Flag(_) => Cell::Empty,
        Kind::Money => money(object, value).map_or(Cell::Empty, Cell::Money),
        Kind::Moment => moment(value).map_or(Cell::Text(text), Cell::Moment),
        Kind::Words => {
            let words = value.as_array().into_iter().flatten().filter_map(plain).map(|word| words_of(&word));
            Cell::Words(words.collect())
        }
        Kind::Participant => match names.participant(&text) {
            Some(name) => link("participants", &text, name.partner.clone(), name.program.clone(), false),
            None => link("participants", &text.clone(), text, String::new(), true),
        },
        Kind::Program => {
            link("programs", &text, names.program(&text).unwrap_or(&text).to_owned(), String::new(), false)
        }
        Kind::Partner => {
            link("partners", &text, names.partner(&text).unwrap_or(&text).to_owned(), String::new(), false)
        }
        Kind::Made(make) => Cell::Text(make(object)),
    }
}
