//! Payouts: the entries of one participant and currency, settled together. A payout is never negative; what does not reach
//! the minimum is carried to the next one by staying unsettled.

use crate::status::{CommissionState, words};

/// Entries that one payout takes: the negative ones first, then the oldest, so that it is never more than the balance.
pub const ENTRIES_MAX: i64 = 5_000;

words! {
    /// A payout's status.
    PayoutStatus {
        /// Made, not yet paid.
        Draft = "draft",
        /// Paid: its entries are settled for good.
        Paid = "paid",
        /// Given up: its entries are free again.
        Canceled = "canceled",
    }
}

/// What a person does to a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayoutAct {
    /// The money was sent.
    Pay,
    /// It will not be.
    Cancel,
}

impl PayoutStatus {
    /// The status after an act, or `None` where the act is not allowed: what is paid or canceled stays so.
    pub const fn after(self, act: PayoutAct) -> Option<Self> {
        match (self, act) {
            (Self::Draft, PayoutAct::Pay) => Some(Self::Paid),
            (Self::Draft, PayoutAct::Cancel) => Some(Self::Canceled),
            (Self::Paid | Self::Canceled, _) => None,
        }
    }
}

/// Whether a commission's entries may be paid out. What was paid before may be too: a later refund's entry is netted.
pub const fn is_payable(state: CommissionState, disputed: bool) -> bool {
    matches!(state, CommissionState::Approved | CommissionState::Paid) && !disputed
}

/// An entry that no payout has settled, of a commission that may be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsettled<'a> {
    /// The entry.
    pub entry_id: &'a str,
    /// Its signed amount, in the minor unit.
    pub amount_cents: i64,
}

/// What there is to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Enough: all unsettled entries go into one payout of this amount.
    Due {
        /// In the minor unit, above 0.
        amount_cents: i64,
    },
    /// Nothing, less than the minimum, or less than nothing: carried.
    Carried {
        /// In the minor unit; negative after refunds of what was paid.
        amount_cents: i64,
    },
}

/// The balance of one participant in one currency against the program's minimum.
pub fn balance(entries: &[Unsettled<'_>], minimum_cents: i64) -> Balance {
    let amount_cents = entries.iter().fold(0_i64, |sum, entry| sum.saturating_add(entry.amount_cents));
    if amount_cents > 0 && amount_cents >= minimum_cents {
        Balance::Due { amount_cents }
    } else {
        Balance::Carried { amount_cents }
    }
}

/// A cell of a CSV file that no spreadsheet takes for a formula: text that begins with a character that starts one gets a
/// single quote before it (OWASP, "CSV Injection"), and whatever needs it is quoted as RFC 4180 says.
pub fn csv_cell(text: &str) -> String {
    let dangerous = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let text = if dangerous { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r', '\'', ';']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payout_is_never_negative_and_never_below_the_minimum() {
        let check = |amounts: &[i64], minimum, expected| {
            let entries: Vec<_> =
                amounts.iter().map(|amount_cents| Unsettled { entry_id: "e", amount_cents: *amount_cents }).collect();
            assert_eq!(balance(&entries, minimum), expected, "{amounts:?}");
        };
        let due = |amount_cents| Balance::Due { amount_cents };
        let carried = |amount_cents| Balance::Carried { amount_cents };
        check(&[], 0, carried(0));
        check(&[2_000], 0, due(2_000));
        check(&[2_000, -500], 0, due(1_500));
        check(&[2_000, -2_500], 0, carried(-500));
        check(&[-500, 600], 100, due(100));
        check(&[99], 100, carried(99));
        check(&[i64::MAX, i64::MAX], 0, due(i64::MAX));
    }

    #[test]
    fn a_payout_is_paid_or_canceled_once() {
        use {PayoutAct as A, PayoutStatus as S};
        assert_eq!(S::Draft.after(A::Pay), Some(S::Paid));
        assert_eq!(S::Draft.after(A::Cancel), Some(S::Canceled));
        for status in [S::Paid, S::Canceled] {
            assert_eq!((status.after(A::Pay), status.after(A::Cancel)), (None, None));
        }
    }

    #[test]
    fn only_what_is_approved_or_paid_and_not_disputed_is_payable() {
        use CommissionState as C;
        for state in [C::Pending, C::Approved, C::Paid, C::Rejected, C::Reversed] {
            assert_eq!(is_payable(state, false), matches!(state, C::Approved | C::Paid), "{state:?}");
            assert!(!is_payable(state, true), "{state:?}");
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        let check = |text: &str, expected: &str| assert_eq!(csv_cell(text), expected);
        check("Anna", "Anna");
        check("=1+1", "\"'=1+1\"");
        check("-5", "\"'-5\"");
        check("@x", "\"'@x\"");
        check("a,b", "\"a,b\"");
        check("say \"hi\"", "\"say \"\"hi\"\"\"");
        check("", "");
    }
}
