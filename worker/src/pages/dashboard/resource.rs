//! What the dashboard says of one kind of object: its list, its page, its forms and what can be done to it. The data are the
//! API's; a kind is described in `resources`, and the same code shows them all.

use domain::ids::{self, Id};
use serde_json::Value as Json;

use super::cell::Kind;
use super::form::Form;

/// One kind of object.
pub struct Resource {
    /// Its pages are at `/app/{workspace_id}/{mode}/{path}`.
    pub path: &'static str,
    /// Its list in the API, below `/api/v1`, with what always narrows it: `/commissions?needs_review=true`.
    pub api: &'static str,
    /// Whether a part of an address is the id of one: of another kind's, and of a word that stands for another path of the API,
    /// there is no page.
    pub is_id: fn(&str) -> bool,
    /// What its list is called.
    pub title: &'static str,
    /// What one of them is called.
    pub one: &'static str,
    /// What the list is for, in a sentence or two.
    pub lead: &'static str,
    /// What the list can be narrowed to.
    pub filters: &'static [Filter],
    /// The list's columns.
    pub columns: &'static [Column],
    /// What an empty list says, and a page that helps: its path and what the link says.
    pub empty: (&'static str, Option<(&'static str, &'static str)>),
    /// Lines of an object's page. None: it has no page.
    pub facts: &'static [Column],
    /// Lists that belong to an object.
    pub related: &'static [Related],
    /// Makes one.
    pub create: Option<&'static Form>,
    /// Changes one.
    pub edit: Option<&'static Form>,
    /// What can be done to one.
    pub acts: &'static [Act],
    /// Which of these the list itself offers; an object's page offers all.
    pub in_list: &'static [&'static str],
    /// Whether the list can be had as a file.
    pub csv: bool,
    /// The entry of the navigation that is current.
    pub nav: &'static str,
}

impl Resource {
    /// Of its list in the API: the path alone.
    pub fn api_path(&self) -> &'static str {
        self.api.split('?').next().unwrap_or(self.api)
    }

    /// What is done to one under a word of its path.
    pub fn act(&self, verb: &str) -> Option<&'static Act> {
        self.acts.iter().find(|act| act.verb == verb)
    }
}

/// For [`Resource::is_id`]: an id of this kind.
pub fn is_id<K: ids::Kind>(text: &str) -> bool {
    Id::<K>::parse(text).is_some()
}

/// A column of a list, or a line of an object's page.
pub struct Column {
    /// What it is called.
    pub head: &'static str,
    /// Where in the object, as a JSON pointer.
    pub at: &'static str,
    /// How it is shown.
    pub kind: Kind,
}

impl Column {
    /// Whether it is set as a number.
    pub fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Money)
    }
}

/// A column.
pub const fn column(head: &'static str, at: &'static str, kind: Kind) -> Column {
    Column { head, at, kind }
}

/// Something that a list can be narrowed by; in the page's address as in the API's.
pub struct Filter {
    /// As the API calls it.
    pub name: &'static str,
    /// As people read it.
    pub label: &'static str,
    /// What it takes.
    pub takes: Takes,
}

/// What a filter takes.
pub enum Takes {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text; what it looks like.
    Text(&'static str),
    /// Yes or no, in words.
    Flag(&'static str, &'static str),
    /// A day: its beginning.
    Day,
    /// An id, which only links set.
    Id,
}

/// A filter by a word.
pub const fn by_word(name: &'static str, label: &'static str, words: &'static [&'static str]) -> Filter {
    Filter { name, label, takes: Takes::Word(words) }
}

/// A filter by a text.
pub const fn by_text(name: &'static str, label: &'static str, example: &'static str) -> Filter {
    Filter { name, label, takes: Takes::Text(example) }
}

/// A filter by an id, which only links set.
pub const fn by_id(name: &'static str, label: &'static str) -> Filter {
    Filter { name, label, takes: Takes::Id }
}

/// A filter by a time.
pub const fn by_day(name: &'static str, label: &'static str) -> Filter {
    Filter { name, label, takes: Takes::Day }
}

/// A list that belongs to an object: those whose filter names it.
pub struct Related {
    /// What it is called there.
    pub title: &'static str,
    /// The other kind's path.
    pub path: &'static str,
    /// The filter.
    pub filter: &'static str,
    /// Where in this object the filter's value is.
    pub at: &'static str,
    /// Whether its first rows are shown, which costs a round trip, or only a link.
    pub shown: bool,
}

/// Something that can be done to an object.
pub struct Act {
    /// Its word in the path: `approve`. With `delete`, the object itself is deleted.
    pub verb: &'static str,
    /// What the button says.
    pub label: &'static str,
    /// Whether it makes sense for an object as it is now. The API judges in any case.
    pub when: fn(&Json) -> bool,
    /// What is asked for before, with what it does; with none, a button does it.
    pub form: Option<&'static Form>,
    /// Whether the form begins with what the object has.
    pub fills: bool,
    /// That it is done, in a sentence.
    pub done: &'static str,
    /// What undoes it.
    pub undo: Option<&'static str>,
    /// Whether it is bad news, and its button looks so.
    pub is_grave: bool,
}

/// For [`Act::when`]: whenever.
pub fn always(_: &Json) -> bool {
    true
}
