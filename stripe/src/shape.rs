//! Looking into an object of Stripe's without trusting its version: what is not there, is null, or is of another kind is
//! absent; an id may stand alone or as the object it names; only money is read strictly.

use std::fmt;

use domain::money::{AMOUNT_MAX, Currency};
use domain::time::Instant;
use serde_json::Value;

/// The longest id of Stripe's that is taken for one.
pub const ID_BYTES_MAX: usize = 255;

/// An object of a type we use lacks what we cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The path of the field within the event's object, such as `total_details.amount_tax`.
    pub field: &'static str,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is not there, is null, or is of another kind.
    Missing,
    /// It is no integer from 0 to 2^53 − 1.
    NotAnAmount,
    /// It is no currency code of ISO 4217.
    NotACurrency,
    /// The object is of another kind than the event's type says.
    AnotherObject,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field;
        match self.flaw {
            Flaw::Missing => write!(f, "the object has no `{field}`"),
            Flaw::NotAnAmount => write!(f, "`{field}` is no integer from 0 to {AMOUNT_MAX}"),
            Flaw::NotACurrency => write!(f, "`{field}` is no currency code of ISO 4217"),
            Flaw::AnotherObject => write!(f, "`{field}` names another kind of object than the event's type"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// A value somewhere in an event. Paths are keys joined by dots; a path through something absent is absent.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a>(&'a Value);

static NULL: Value = Value::Null;

impl<'a> Shape<'a> {
    pub(crate) fn of(value: &'a Value) -> Self {
        Self(value)
    }

    /// What stands at `path`, null where nothing does.
    pub(crate) fn at(self, path: &str) -> Self {
        Self(path.split('.').fold(self.0, |value, key| value.get(key).unwrap_or(&NULL)))
    }

    /// Whether the shape knows this key, even if it says null there.
    pub(crate) fn knows(self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    /// As JSON text.
    pub(crate) fn to_text(self) -> String {
        self.0.to_string()
    }

    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.is_object()
    }

    pub(crate) fn text(self, path: &str) -> Option<&'a str> {
        self.at(path).0.as_str()
    }

    pub(crate) fn flag(self, path: &str) -> Option<bool> {
        self.at(path).0.as_bool()
    }

    /// The elements of a list: a plain array, or Stripe's list object with its `data`.
    pub(crate) fn items(self, path: &str) -> impl Iterator<Item = Shape<'a>> {
        let list = self.at(path);
        let array = list.0.as_array().or_else(|| list.at("data").0.as_array());
        array.map_or(&[][..], Vec::as_slice).iter().map(Shape)
    }

    /// The id that this value is, or has as an expanded object.
    pub(crate) fn as_id(self) -> Option<String> {
        let text = self.0.as_str().or_else(|| self.text("id"))?;
        is_id(text).then(|| text.to_owned())
    }

    /// An id, standing alone or in the expanded object.
    pub(crate) fn id(self, path: &str) -> Option<String> {
        self.at(path).as_id()
    }

    /// An id that the object cannot do without.
    pub(crate) fn own_id(self, field: &'static str) -> Result<String, Unreadable> {
        self.id(field).ok_or(Unreadable { field, flaw: Flaw::Missing })
    }

    /// A time, written in Unix seconds.
    pub(crate) fn time(self, path: &str) -> Option<Instant> {
        integer(self.at(path).0).map(Instant::from_seconds)
    }

    /// Money in the minor unit. Absent is fine; what is there must be an integer from 0 to 2^53 − 1.
    pub(crate) fn amount(self, field: &'static str) -> Result<Option<i64>, Unreadable> {
        match self.signed_amount(field)? {
            Some(..0) => Err(Unreadable { field, flaw: Flaw::NotAnAmount }),
            amount => Ok(amount),
        }
    }

    /// Money that may be a credit, thus negative.
    pub(crate) fn signed_amount(self, field: &'static str) -> Result<Option<i64>, Unreadable> {
        let value = self.at(field);
        if value.is_null() {
            return Ok(None);
        }
        match integer(value.0) {
            Some(amount) if (-AMOUNT_MAX..=AMOUNT_MAX).contains(&amount) => Ok(Some(amount)),
            _ => Err(Unreadable { field, flaw: Flaw::NotAnAmount }),
        }
    }

    /// Money that the object cannot do without.
    pub(crate) fn own_amount(self, field: &'static str) -> Result<i64, Unreadable> {
        self.amount(field)?.ok_or(Unreadable { field, flaw: Flaw::Missing })
    }

    /// The currency, if the object names one.
    pub(crate) fn currency(self, field: &'static str) -> Result<Option<Currency>, Unreadable> {
        let code = self.text(field).map(Currency::parse).transpose();
        code.map_err(|_| Unreadable { field, flaw: Flaw::NotACurrency })
    }

    /// The currency that the object's money cannot do without.
    pub(crate) fn own_currency(self, field: &'static str) -> Result<Currency, Unreadable> {
        self.currency(field)?.ok_or(Unreadable { field, flaw: Flaw::Missing })
    }

    /// Refuses an object that says it is of another kind than `kind`. One that says nothing passes.
    pub(crate) fn must_be(self, kind: &str) -> Result<(), Unreadable> {
        match self.text("object") {
            Some(other) if other != kind => Err(Unreadable { field: "object", flaw: Flaw::AnotherObject }),
            _ => Ok(()),
        }
    }
}

/// Whether a text can be an id of Stripe's.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// An integer, also as a decimal text without a fraction (`"2000"`, `"2000.00"`), as newer versions write decimals.
/// A JSON number with a fraction or an exponent is none: it has already been through a float.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            let (whole, fraction) = text.split_once('.').map_or((text.as_str(), "0"), |parts| parts);
            let digits = whole.strip_prefix('-').unwrap_or(whole);
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let zero = !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0');
            (plain && zero).then(|| whole.parse().ok())?
        }
        _ => None,
    }
}
