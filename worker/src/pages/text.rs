//! Values as people read them.

use domain::money::Currency;
use domain::time::Instant;

/// `24.00 EUR`, `1200 JPY`, `−4.80 EUR`: with as many decimals as the currency has.
pub fn money(amount_cents: i64, currency: Currency) -> String {
    let sign = if amount_cents < 0 { "\u{2212}" } else { "" };
    let amount = amount_cents.unsigned_abs();
    let decimals = currency.decimals();
    if decimals == 0 {
        return format!("{sign}{amount} {currency}");
    }
    let unit = 10_u64.pow(decimals);
    let (whole, part) = (amount / unit, amount % unit);
    format!("{sign}{whole}.{part:0width$} {currency}", width = decimals as usize)
}

/// `20 %`, `12.5 %`: of basis points.
pub fn percent(bps: i64) -> String {
    let (whole, part) = (bps / 100, bps % 100);
    match part {
        0 => format!("{whole} %"),
        tenths if tenths % 10 == 0 => format!("{whole}.{} %", tenths / 10),
        _ => format!("{whole}.{part:02} %"),
    }
}

/// `20`, `12.5`: of basis points, as it is typed.
pub fn percent_typed(bps: i64) -> String {
    percent(bps).trim_end_matches(" %").to_owned()
}

/// Basis points of a share as people type it: `20`, `12.5`, `12,5 %`. `None` where it is none, or has more than two decimals.
pub fn basis_points(text: &str) -> Option<i64> {
    scaled(text.trim().trim_end_matches('%'), 2)
}

/// The minor unit of an amount as people type it: `24`, `24.5`, `24,50`. `None` where it is none, or has more decimals than the
/// currency.
pub fn amount(text: &str, currency: Currency) -> Option<i64> {
    scaled(text, currency.decimals())
}

/// A decimal number, times ten to the power of `decimals`.
fn scaled(text: &str, decimals: u32) -> Option<i64> {
    let text = text.trim().replace(',', ".");
    let (sign, digits) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (-1, rest),
        None => (1, text.as_str()),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let width = usize::try_from(decimals).ok()?;
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) || part.len() > width {
        return None;
    }
    format!("{whole}{part:0<width$}").parse::<i64>().ok().map(|number| sign * number)
}

/// An instant for a `<time>`: what machines read, and what people do.
pub struct Moment {
    /// ISO 8601.
    pub iso: String,
    /// `2026-06-01 12:00:00`, in UTC.
    pub shown: String,
}

impl Moment {
    /// This instant.
    pub fn of(instant: Instant) -> Self {
        let iso = instant.to_string();
        let shown = iso.split('.').next().unwrap_or("").replace('T', " ");
        Self { iso, shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_the_decimals_of_its_currency() {
        let check = |amount, code: &str, expected: &str| {
            assert_eq!(money(amount, Currency::parse(code).unwrap()), expected);
        };
        check(2_400, "EUR", "24.00 EUR");
        check(5, "EUR", "0.05 EUR");
        check(0, "USD", "0.00 USD");
        check(-480, "EUR", "\u{2212}4.80 EUR");
        check(1_200, "JPY", "1200 JPY");
        check(-1_005, "KWD", "\u{2212}1.005 KWD");
    }

    #[test]
    fn a_share_has_the_decimals_that_it_needs() {
        let check = |bps, expected: &str| assert_eq!(percent(bps), expected);
        check(2_000, "20 %");
        check(1_250, "12.5 %");
        check(333, "3.33 %");
        check(5, "0.05 %");
        check(10_000, "100 %");
    }

    #[test]
    fn what_people_type_is_read_exactly_or_not_at_all() {
        let check = |text: &str, code: &str, expected| {
            assert_eq!(amount(text, Currency::parse(code).unwrap()), expected, "{text}")
        };
        check("24", "EUR", Some(2_400));
        check(" 24.5 ", "EUR", Some(2_450));
        check("24,50", "EUR", Some(2_450));
        check("-0.05", "EUR", Some(-5));
        check("1200", "JPY", Some(1_200));
        check("1.005", "KWD", Some(1_005));
        for wrong in ["", ".5", "1.234", "1e3", "1.2.3", "1 000", "\u{0661}", "99999999999999999999"] {
            check(wrong, "EUR", None);
        }
        check("1.5", "JPY", None);
        assert_eq!(
            [basis_points("20"), basis_points("12.5 %"), basis_points("0,05"), basis_points("x")],
            [Some(2_000), Some(1_250), Some(5), None]
        );
        assert_eq!(percent_typed(1_250), "12.5");
    }

    #[test]
    fn a_moment_is_shown_to_the_second() {
        let moment = Moment::of(Instant::parse("2026-06-01T12:34:56.789Z").unwrap());
        assert_eq!((moment.iso.as_str(), moment.shown.as_str()), ("2026-06-01T12:34:56.789Z", "2026-06-01 12:34:56"));
    }
}
