//! Money: an integer in the currency's minor unit, with its currency beside it. No floats.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Amounts are below 2^53, so that they survive JSON and D1, both of which carry numbers as doubles.
pub const AMOUNT_MAX: i64 = (1 << 53) - 1;

/// An ISO 4217 currency code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// The default of the Traaaction surface.
    pub const EUR: Self = Self(*b"EUR");

    /// Reads a code in either case; only codes that ISO 4217 lists.
    pub fn parse(text: &str) -> Result<Self, UnknownCurrency> {
        let bytes: [u8; 3] = text.as_bytes().try_into().map_err(|_| UnknownCurrency)?;
        let upper = bytes.map(|byte| byte.to_ascii_uppercase());
        let code = std::str::from_utf8(&upper).map_err(|_| UnknownCurrency)?;
        iso_currency::Currency::from_code(code).ok_or(UnknownCurrency)?;
        Ok(Self(upper))
    }

    /// The code, upper case.
    pub fn code(&self) -> &str {
        // Only ASCII letters get in.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// Decimals of the minor unit by ISO 4217: 0 (JPY), 2 (EUR) or 3 (KWD). 2 where the standard names none.
    pub fn decimals(&self) -> u32 {
        iso_currency::Currency::from_code(self.code()).and_then(|currency| currency.exponent()).map_or(2, u32::from)
    }

    /// An amount of the minor unit, written in the major one with all its decimals: `12.30`, `-0.005`, `100`.
    pub fn decimal(&self, amount_cents: i64) -> String {
        let decimals = self.decimals() as usize;
        let sign = if amount_cents < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", amount_cents.unsigned_abs(), width = decimals + 1);
        match digits.split_at(digits.len() - decimals) {
            (whole, "") => format!("{sign}{whole}"),
            (whole, part) => format!("{sign}{whole}.{part}"),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;
    fn try_from(text: String) -> Result<Self, UnknownCurrency> {
        Self::parse(&text)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

/// The text is no currency code of ISO 4217.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCurrency;

impl fmt::Display for UnknownCurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be a currency code of ISO 4217, such as EUR")
    }
}

/// `numerator × factor ÷ denominator`, rounded once, half away from zero. `None` when the denominator is 0 or the result
/// leaves the range of amounts.
pub fn rounded_share(numerator: i128, factor: i128, denominator: i128) -> Option<i64> {
    let product = numerator.checked_mul(factor)?;
    if denominator == 0 {
        return None;
    }
    let magnitude = product.unsigned_abs();
    let divisor = denominator.unsigned_abs();
    let mut quotient = magnitude / divisor;
    if (magnitude % divisor).checked_mul(2)? >= divisor {
        quotient += 1;
    }
    let quotient = i64::try_from(quotient).ok().filter(|amount| *amount <= AMOUNT_MAX)?;
    Some(if (product < 0) == (denominator < 0) { quotient } else { -quotient })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_read_in_either_case_and_written_in_upper_case() {
        let check = |text: &str, expected: Option<(&str, u32)>| {
            let read = Currency::parse(text).ok();
            assert_eq!(read.as_ref().map(|c| (c.code(), c.decimals())), expected, "{text}");
        };
        check("eur", Some(("EUR", 2)));
        check("USD", Some(("USD", 2)));
        check("jpy", Some(("JPY", 0)));
        check("Kwd", Some(("KWD", 3)));
        check("EURO", None);
        check("ZZZ", None);
        check("", None);
        check("€", None);
    }

    #[test]
    fn amounts_are_written_with_the_decimals_of_their_currency() {
        let check = |code: &str, amount, expected: &str| {
            assert_eq!(Currency::parse(code).unwrap().decimal(amount), expected);
        };
        check("EUR", 1_230, "12.30");
        check("EUR", 5, "0.05");
        check("EUR", -5, "-0.05");
        check("EUR", 0, "0.00");
        check("JPY", 100, "100");
        check("JPY", -1, "-1");
        check("JPY", 0, "0");
        check("KWD", 5, "0.005");
        check("KWD", -12_345, "-12.345");
        check("EUR", i64::MIN, "-92233720368547758.08");
    }

    #[test]
    fn a_share_rounds_half_away_from_zero() {
        let check = |numerator, factor, denominator, expected| {
            assert_eq!(rounded_share(numerator, factor, denominator), expected);
        };
        check(1500, 7, 10_000, Some(1)); // 1.05
        check(25, 1, 10, Some(3)); // 2.5
        check(-25, 1, 10, Some(-3));
        check(24, 1, 10, Some(2));
        check(10_000, 2_000, 10_000, Some(2_000));
        check(i128::from(AMOUNT_MAX), 10_000, 10_000, Some(AMOUNT_MAX));
        check(i128::from(AMOUNT_MAX), 20_000, 10_000, None);
        check(1, 1, 0, None);
    }
}
