//! What a handler asks of a request, noted while it does so, to be held against what the document says of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// As what a field or a query parameter is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// As it came; the handler judges it.
    Raw,
    /// A text of at most so many characters, and whether an empty one is one.
    Text(usize, bool),
    /// A whole number within bounds.
    Integer(i64, i64),
    /// True or false.
    Boolean,
    /// One of these.
    Word(Vec<String>),
    /// An id with this prefix.
    Id(&'static str),
    /// A moment.
    Time,
    /// A currency.
    Currency,
    /// It must be there.
    Required,
    /// A list of objects, of so many at most.
    Objects(usize),
    /// The names that a change can clear.
    Clear(Vec<String>),
}

/// By name, as what it was read; `rewards[].trigger` is in an object in a list.
pub type Notes = BTreeMap<String, Vec<Asked>>;

/// What one request's handler asked of the body and of the query.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub body: Notes,
    pub query: Notes,
}

thread_local! {
    static NOTED: RefCell<Request> = RefCell::default();
}

/// Takes what was noted, and begins anew.
pub fn take() -> Request {
    NOTED.take()
}

/// Puts back what another request interrupted.
pub fn put_back(noted: Request) {
    NOTED.set(noted);
}

/// Notes what was asked of the query.
pub fn of_query(name: &str, asked: Asked) {
    NOTED.with_borrow_mut(|noted| note(&mut noted.query, name, asked));
}

fn note(notes: &mut Notes, name: &str, asked: Asked) {
    let noted = notes.entry(name.to_owned()).or_default();
    if !noted.contains(&asked) {
        noted.push(asked);
    }
}

/// What was asked of one object. (A handler's future may be sent, hence the mutex.) It is told when the object is done with: only then is it known whether it lay in another.
#[derive(Default)]
pub struct OfObject(Mutex<Notes>);

impl OfObject {
    /// Notes what was asked.
    pub fn note(&self, name: &str, asked: Asked) {
        note(&mut self.0.lock().unwrap(), name, asked);
    }

    /// Takes over what was asked of an object that lies in this one, under its name.
    pub fn absorb(&self, prefix: &str, nested: &Self) {
        let prefix = match prefix.split_once('[') {
            Some((list, _)) => format!("{list}[]"),
            None => prefix.to_owned(),
        };
        for (name, all) in std::mem::take(&mut *nested.0.lock().unwrap()) {
            for asked in all {
                self.note(&format!("{prefix}.{name}"), asked);
            }
        }
    }
}

impl Drop for OfObject {
    fn drop(&mut self) {
        for (name, all) in std::mem::take(&mut *self.0.lock().unwrap()) {
            for asked in all {
                NOTED.with_borrow_mut(|noted| note(&mut noted.body, &name, asked));
            }
        }
    }
}
