//! What is said to partners: a notice in one sentence, a reward in words. The same in the portal and in letters.

use domain::ledger::{EntryKind, RESTORED};
use domain::partner::NoticeKind;
use domain::reward::{Rate, RewardVersion, Trigger};

use crate::pages::text::{money, percent};
use crate::store::notices::Notice;

/// A notice in one sentence, without the program's name.
pub fn notice(notice: &Notice) -> String {
    let amount = match (notice.amount_cents, notice.currency) {
        (Some(cents), Some(currency)) => money(cents, currency),
        _ => "an amount".to_owned(),
    };
    match notice.kind {
        NoticeKind::Earned => format!("A sale earned you {amount}."),
        NoticeKind::Approved => format!("Your commission of {amount} is approved."),
        NoticeKind::Rejected => match &notice.reason {
            Some(reason) => format!("Your commission of {amount} was turned down: {reason}"),
            None => format!("Your commission of {amount} was turned down."),
        },
        NoticeKind::Reversed => {
            let why = notice.reason.as_deref().map_or("money went back to the buyer", reversal);
            match notice.amount_cents {
                Some(0) => format!("A commission was taken back: {why}."),
                _ => format!("A commission is now {amount}: {why}."),
            }
        }
        NoticeKind::Paid => format!("{amount} was paid out to you."),
        NoticeKind::Joined => "You are in: your links earn from now on.".to_owned(),
        NoticeKind::Declined => "Your application was turned down.".to_owned(),
        NoticeKind::Suspended => "You are suspended: your links earn nothing for now.".to_owned(),
        NoticeKind::Answered => "Your question has an answer.".to_owned(),
    }
}

/// Why an entry was made on a commission that stood, by the word of its kind and its sign.
pub fn change(kind: &str, amount_cents: i64) -> &'static str {
    reversal(EntryKind::parse(kind).map_or(kind, |kind| kind.reason(amount_cents)))
}

/// Why a commission is another than it was, by the reason that its event tells.
fn reversal(reason: &str) -> &'static str {
    match reason {
        RESTORED => "the money did not go back to the buyer after all",
        "corrected" => "the sale\u{2019}s amount was corrected",
        "disputed" => "the buyer\u{2019}s bank took the money back",
        "ended" => "the subscription ended while the commission was pending",
        "merged" => "the sale had been counted twice",
        "reattributed" => "the sale is credited otherwise now",
        _ => "money went back to the buyer",
    }
}

/// A reward in words: `20 % of every sale`, `10.00 EUR for every lead`.
pub fn reward(version: &RewardVersion) -> String {
    let of_what = match version.trigger {
        Trigger::Lead => "lead",
        Trigger::Sale => "sale",
        Trigger::Recurring => "payment of a subscription",
    };
    let mut words = match version.rate {
        Rate::PercentBps(bps) => format!("{} of every {of_what}", percent(bps)),
        Rate::Flat { amount_cents, currency } => format!("{} for every {of_what}", money(amount_cents, currency)),
    };
    if let Some(event_type) = &version.event_type {
        words.push_str(&format!(" of the kind \u{201c}{event_type}\u{201d}"));
    }
    if let (Trigger::Recurring, Some(max)) = (version.trigger, version.payments_max) {
        words.push_str(&format!(", for its first {max} payments"));
    }
    if let Rate::PercentBps(_) = version.rate {
        words.push_str(match version.basis.as_str() {
            "net_of_tax" => ", of the amount without tax",
            "net_of_fees" => ", of the amount without tax and payment fees",
            _ => "",
        });
    }
    if version.hold_days > 0 {
        words.push_str(&format!("; approved after {} days", version.hold_days));
    }
    words
}

#[cfg(test)]
mod tests {
    use domain::ids::{ProgramId, RewardId, RewardVersionId};
    use domain::money::Currency;
    use domain::reward::Basis;
    use domain::time::Instant;

    use super::*;

    #[test]
    fn a_reward_is_told_in_words() {
        let at = Instant::from_ms(0);
        let check = |trigger, rate, basis, event_type: Option<&str>, payments_max, hold_days, expected: &str| {
            let version = RewardVersion {
                id: RewardVersionId::least(at),
                reward_id: RewardId::least(at),
                version: 1,
                program_id: ProgramId::least(at),
                participant_id: None,
                trigger,
                event_type: event_type.map(str::to_owned),
                rate,
                basis,
                hold_days,
                auto_approve: true,
                payments_max,
                valid_from: at,
                retired: false,
            };
            assert_eq!(reward(&version), expected);
        };
        let ten = Rate::Flat { amount_cents: 1_000, currency: Currency::EUR };
        check(Trigger::Sale, Rate::PercentBps(2_000), Basis::Gross, None, None, 0, "20 % of every sale");
        check(Trigger::Lead, ten, Basis::Gross, Some("demo"), None, 0, "10.00 EUR for every lead of the kind “demo”");
        check(
            Trigger::Recurring,
            Rate::PercentBps(1_250),
            Basis::NetOfTax,
            None,
            Some(12),
            30,
            "12.5 % of every payment of a subscription, for its first 12 payments, of the amount without tax; approved after 30 days",
        );
    }
}
