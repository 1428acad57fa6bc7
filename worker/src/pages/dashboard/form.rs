//! Forms: what is asked, how it becomes the API's JSON, and where the API's complaints are shown.

use domain::money::Currency;
use serde_json::{Map, Value as Json, json};

use super::cell::words_of;
use crate::error::{ApiError, FieldError};
use crate::pages::{field, text};

/// What a person is asked.
pub struct Form {
    /// The page's title.
    pub title: &'static str,
    /// What it does, and what cannot be undone.
    pub lead: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
    /// What the button says.
    pub submit: &'static str,
}

/// One thing that is asked.
pub struct Field {
    /// As the API calls it, with a dot between levels.
    pub name: &'static str,
    /// As people read it.
    pub label: &'static str,
    /// What to enter, and why.
    pub hint: &'static str,
    /// What it takes.
    pub takes: Takes,
}

/// What a field takes.
#[derive(Clone, Copy)]
pub enum Takes {
    /// A line of text, with an example.
    Line(&'static str),
    /// The same, which can be emptied: a change then clears it. Of something new there is nothing to clear, and the API takes no
    /// notice.
    LineOrNone(&'static str),
    /// An e-mail address.
    Email,
    /// An address on the web.
    Url(&'static str),
    /// Some lines of text.
    Lines,
    /// The same, which can be emptied.
    LinesOrNone,
    /// A secret, with an example: never shown again, not even to be corrected.
    Secret(&'static str),
    /// A whole number.
    Number,
    /// The same, which can be emptied.
    NumberOrNone,
    /// A share, typed in percent; the API takes basis points.
    Percent,
    /// An amount, typed in the major unit; the API takes the minor one of the currency that another field names.
    Amount(&'static str),
    /// One of these: the API's word and what it says. The first is the default.
    Choice(&'static [(&'static str, &'static str)]),
    /// Some of these words.
    Several(&'static [&'static str]),
    /// Some of these words; with none, nothing is said.
    AnyOf(&'static [&'static str]),
    /// Yes, or no.
    Flag,
    /// Yes, or no; yes where nothing is said.
    Ticked,
    /// A moment in UTC.
    Moment,
    /// One of the workspace's programs: one of a list, or by its id one that the address names and the list does not.
    Program,
    /// An approved participant: one of a list where they are few, else an id.
    Participant,
    /// What the address of the form says, such as whom it is for.
    Given,
    /// Nothing of a person: the id of the act, which is made with the form, so that a form that is sent twice is one act.
    Act,
}

/// What the workspace has to choose from: ids, and what they are called.
#[derive(Default)]
pub struct Offers {
    /// Programs.
    pub programs: Vec<(String, String)>,
    /// Approved participants; none where they are too many for a list.
    pub participants: Vec<(String, String)>,
}

/// A field, as a template shows it.
pub struct Shown {
    /// Which.
    pub field: &'static Field,
    /// What stands in it.
    pub value: String,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// The choices: value, words, and whether it is chosen.
    pub choices: Vec<(String, String, bool)>,
}

impl Shown {
    /// The `type` of its input; empty where it is none.
    pub fn input(&self) -> &'static str {
        match self.field.takes {
            Takes::Line(_) | Takes::LineOrNone(_) | Takes::Number | Takes::NumberOrNone => "text",
            Takes::Percent | Takes::Amount(_) | Takes::Program | Takes::Participant => "text",
            Takes::Email => "email",
            Takes::Secret(_) => "password",
            Takes::Url(_) => "url",
            Takes::Moment => "datetime-local",
            _ => "",
        }
    }

    /// The keyboard that a telephone is to show.
    pub fn keys(&self) -> &'static str {
        match self.field.takes {
            Takes::Percent | Takes::Amount(_) => "decimal",
            Takes::Number | Takes::NumberOrNone => "numeric",
            _ => "text",
        }
    }

    /// An example.
    pub fn example(&self) -> &'static str {
        match self.field.takes {
            Takes::Line(example) | Takes::LineOrNone(example) | Takes::Url(example) | Takes::Secret(example) => example,
            _ => "",
        }
    }

    /// Whether several lines are asked for.
    pub fn is_lines(&self) -> bool {
        matches!(self.field.takes, Takes::Lines | Takes::LinesOrNone)
    }

    /// Whether one of its choices is.
    pub fn is_choice(&self) -> bool {
        match self.field.takes {
            Takes::Choice(_) => true,
            // One that is not among them is typed: a list would choose another in its place.
            Takes::Program => self.value.is_empty() || self.is_offered(),
            Takes::Participant => self.value.is_empty() && !self.choices.is_empty() || self.is_offered(),
            _ => false,
        }
    }

    /// Whether some of its choices are.
    pub fn is_several(&self) -> bool {
        matches!(self.field.takes, Takes::Several(_) | Takes::AnyOf(_))
    }

    /// Whether it is a box to tick.
    pub fn is_flag(&self) -> bool {
        matches!(self.field.takes, Takes::Flag | Takes::Ticked)
    }

    fn is_offered(&self) -> bool {
        self.choices.iter().any(|(_, _, chosen)| *chosen)
    }

    /// What describes it: its hint and its problem, as far as it has them.
    pub fn described_by(&self) -> String {
        let hint = (!self.field.hint.is_empty()).then(|| format!("hint-{}", self.field.name));
        let problem = self.problem.as_ref().map(|_| format!("problem-{}", self.field.name));
        hint.into_iter().chain(problem).collect::<Vec<_>>().join(" ")
    }

    /// Whether nobody sees it.
    pub fn is_hidden(&self) -> bool {
        matches!(self.field.takes, Takes::Act)
    }

    /// Whether it is only shown.
    pub fn is_given(&self) -> bool {
        matches!(self.field.takes, Takes::Given)
    }
}

impl Form {
    /// As it is shown first: filled from an object, or with what the address says.
    pub fn filled(&self, from: impl Fn(&Field) -> String, offers: &Offers) -> Vec<Shown> {
        let first = |field: &Field| match (&field.takes, from(field)) {
            (Takes::Ticked, value) if value.is_empty() => "true".to_owned(),
            (_, value) => value,
        };
        self.fields.iter().map(|field| shown(field, first(field), None, offers)).collect()
    }

    /// As it is shown again: with what was typed and what is wrong. Complaints about no field of this form are given beside.
    pub fn again(&self, form: &[u8], error: &ApiError, offers: &Offers) -> (Vec<Shown>, Vec<String>) {
        let details: &[FieldError] = match error {
            ApiError::Validation { details, .. } => details,
            _ => &[],
        };
        let owner = |detail: &FieldError| self.fields.iter().find(|field| concerns(field, &detail.field));
        let mut beside: Vec<String> = details
            .iter()
            .filter(|detail| owner(detail).is_none())
            .map(|detail| format!("{}: {}", detail.field, detail.message))
            .collect();
        if details.is_empty() {
            beside.push(error.message());
        }
        let fields = self.fields.iter().map(|field| {
            let problem =
                details.iter().find(|detail| concerns(field, &detail.field)).map(|detail| detail.message.clone());
            shown(field, typed(form, field), problem, offers)
        });
        (fields.collect(), beside)
    }

    /// The API's JSON of what was typed. What cannot be read as a number goes as it is, for the API to say so.
    pub fn json(&self, form: &[u8]) -> Json {
        let mut object = Json::Object(Map::new());
        let mut cleared = Vec::new();
        for field in self.fields {
            let text = typed(form, field);
            if matches!(field.takes, Takes::LineOrNone(_) | Takes::NumberOrNone) && is_emptied(form, field) {
                cleared.push(field.name);
            }
            let value = match &field.takes {
                Takes::Flag | Takes::Ticked => json!(text == "true"),
                Takes::Several(_) => json!(text.split(',').filter(|word| !word.is_empty()).collect::<Vec<_>>()),
                Takes::LinesOrNone => json!(text),
                _ if text.is_empty() => Json::Null,
                Takes::AnyOf(_) => json!(text.split(',').collect::<Vec<_>>()),
                Takes::Number | Takes::NumberOrNone => {
                    text.trim().parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
                }
                Takes::Percent => text::basis_points(&text).map_or_else(|| json!(text), |bps| json!(bps)),
                Takes::Amount(currency) => {
                    let code = super::super::field(form, currency).unwrap_or_default();
                    let amount = Currency::parse(&code).ok().and_then(|currency| text::amount(&text, currency));
                    amount.map_or_else(|| json!(text), |amount| json!(amount))
                }
                Takes::Moment => json!(format!("{}Z", with_seconds(&text))),
                _ => json!(text),
            };
            put(&mut object, field.name, value);
        }
        if !cleared.is_empty() {
            object["clear"] = json!(cleared);
        }
        object
    }

    /// The same of a change. What is emptied and must hold something goes as it is, for the API to say so: it would stay as it was.
    pub fn changes(&self, form: &[u8]) -> Json {
        let mut object = self.json(form);
        let must_hold =
            |field: &&Field| matches!(field.takes, Takes::Line(_) | Takes::Email | Takes::Url(_) | Takes::Number);
        for field in self.fields.iter().filter(must_hold).filter(|field| is_emptied(form, field)) {
            put(&mut object, field.name, json!(""));
        }
        object
    }
}

/// Whether a field was sent, with nothing in it.
fn is_emptied(form: &[u8], of: &Field) -> bool {
    url::form_urlencoded::parse(form).any(|(key, value)| key == of.name && value.is_empty())
}

/// A browser leaves out seconds that are 0.
fn with_seconds(text: &str) -> String {
    if text.matches(':').count() == 1 { format!("{text}:00") } else { text.to_owned() }
}

/// Whether a complaint about a field of the API is about this one: also where the API names what is around or within it.
fn concerns(field: &Field, named: &str) -> bool {
    let around = |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with(['.', '[']));
    field.name == named || around(field.name, named) || around(named, field.name)
}

/// Sets what is at a dotted name. A level that holds nothing is not made: it would be an object with nothing in it.
fn put(object: &mut Json, name: &str, value: Json) {
    match name.split_once('.') {
        None => object[name] = value,
        Some((outer, inner)) => {
            if value.is_null() {
                return;
            }
            if !object[outer].is_object() {
                object[outer] = json!({});
            }
            put(&mut object[outer], inner, value);
        }
    }
}

/// What was typed into a field; of several ticks, all with commas between. A browser sends each end of a line as two characters,
/// which nobody typed: with them a text would change by being saved, and be longer than it looks.
fn typed(form: &[u8], of: &Field) -> String {
    match of.takes {
        Takes::Lines | Takes::LinesOrNone => field(form, of.name).unwrap_or_default().replace("\r\n", "\n"),
        Takes::Several(_) | Takes::AnyOf(_) => {
            let ticked = url::form_urlencoded::parse(form).filter(|(key, _)| key == of.name);
            ticked.map(|(_, value)| value.into_owned()).collect::<Vec<_>>().join(",")
        }
        _ => field(form, of.name).unwrap_or_default(),
    }
}

fn shown(field: &'static Field, value: String, problem: Option<String>, offers: &Offers) -> Shown {
    let value = if matches!(field.takes, Takes::Secret(_)) { String::new() } else { value };
    let choices = match &field.takes {
        Takes::Choice(choices) => {
            choices.iter().map(|(word, says)| ((*word).to_owned(), (*says).to_owned(), *word == value)).collect()
        }
        Takes::Several(words) | Takes::AnyOf(words) => {
            let ticked: Vec<&str> = value.split(',').collect();
            words.iter().map(|word| ((*word).to_owned(), words_of(word), ticked.contains(word))).collect()
        }
        Takes::Program => chosen(&offers.programs, &value),
        Takes::Participant => chosen(&offers.participants, &value),
        _ => Vec::new(),
    };
    Shown { field, value, problem, choices }
}

fn chosen(offered: &[(String, String)], value: &str) -> Vec<(String, String, bool)> {
    offered.iter().map(|(id, name)| (id.clone(), name.clone(), id == value)).collect()
}

/// What an object holds at a field's place, as it is typed.
pub fn value_of(object: &Json, of: &Field) -> String {
    let value = of.name.split('.').fold(object, |object, level| &object[level]);
    match (&of.takes, value) {
        (_, Json::Null) => String::new(),
        (Takes::Percent, value) => value.as_i64().map(text::percent_typed).unwrap_or_default(),
        (Takes::Amount(currency), value) => {
            let code = currency.split('.').fold(object, |object, level| &object[level]);
            let currency = code.as_str().and_then(|code| Currency::parse(code).ok());
            value.as_i64().zip(currency).map(|(amount, currency)| currency.decimal(amount)).unwrap_or_default()
        }
        (Takes::Several(_) | Takes::AnyOf(_), Json::Array(words)) => {
            words.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(",")
        }
        (_, Json::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}
