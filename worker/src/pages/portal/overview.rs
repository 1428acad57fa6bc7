//! Every membership of one address: how it stands, and what it has come to.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::mode::Mode;
use domain::money::Currency;

use super::{Asked, Entry, Frame, enter, here, place_key};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::pages::text::{Moment, money};
use crate::store::portal::{self as table, Membership, Place, Sums};

#[derive(Template)]
#[template(path = "partner/overview.html")]
struct Overview {
    frame: Frame,
    cards: Vec<Card>,
}

struct Card {
    key: String,
    workspace: String,
    is_test: bool,
    name: String,
    program: Option<Program>,
    sums: Vec<Line>,
    standing: Option<&'static str>,
}

struct Program {
    name: String,
    status: &'static str,
    is_paused: bool,
    since: Moment,
}

struct Line {
    currency: String,
    earned: String,
    pending: String,
    due: String,
    paid: String,
    next: String,
}

/// `GET /partner`.
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let rows = app.db.rows(table::sums(&portal.places)?).await?;
    let sums = rows.iter().map(table::decode_sums).collect::<Result<Vec<_>, _>>()?;
    let cards = portal.places.iter().map(|place| card(place, &sums)).collect();
    super::show(&Overview { frame: portal.frame(request.uri(), "Overview", "")?, cards })
}

fn card(place: &Place, sums: &[Sums]) -> Card {
    let membership = place.membership.as_ref();
    let own = |one: &&Sums| membership.is_some_and(|m| m.participant_id.as_str() == one.participant_id);
    Card {
        key: place_key(place).to_owned(),
        workspace: place.workspace_name.clone(),
        is_test: !place.is_live(),
        name: place.partner_name.clone(),
        program: membership.map(|one| Program {
            name: one.program_name.clone(),
            status: one.status.as_str(),
            is_paused: !one.program_status.earns(),
            since: Moment::of(one.created_at),
        }),
        sums: sums.iter().filter(own).map(|sums| line(sums, membership, place.scope.mode)).collect(),
        standing: super::standing(place),
    }
}

fn line(sums: &Sums, membership: Option<&Membership>, mode: Mode) -> Line {
    let shown = |cents: i64| money(cents, sums.currency);
    let standing = sums.due_cents.saturating_add(sums.disputed_cents);
    let settled = sums.drafted_cents.saturating_add(sums.paid_cents);
    let minimum_cents = membership.map_or(0, |one| one.minimum_payout_cents);
    Line {
        currency: sums.currency.to_string(),
        earned: shown(sums.pending_cents.saturating_add(standing).saturating_add(settled)),
        pending: shown(sums.pending_cents),
        due: shown(standing.saturating_add(sums.drafted_cents)),
        paid: shown(sums.paid_cents),
        next: match mode {
            Mode::Test => "Test mode is never paid out.".to_owned(),
            Mode::Live => next_payout(sums, minimum_cents, sums.currency),
        },
    }
}

/// What the next payout may hold, in a sentence.
fn next_payout(sums: &Sums, minimum_cents: i64, currency: Currency) -> String {
    let due = sums.due_cents;
    if sums.drafted_cents > 0 {
        format!("A payout of {} is being made.", money(sums.drafted_cents, currency))
    } else if due < 0 {
        format!("{} will be taken off the next payout, after a refund.", money(due.saturating_neg(), currency))
    } else if due == 0 {
        "Nothing is ready to be paid yet.".to_owned()
    } else if due < minimum_cents {
        format!("{} of the {} that a payout must reach.", money(due, currency), money(minimum_cents, currency))
    } else {
        format!("{} can be paid with the next payout.", money(due, currency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_payout_is_told_in_a_sentence() {
        let check = |due_cents, drafted_cents, minimum, expected: &str| {
            let sums = Sums {
                participant_id: String::new(),
                currency: Currency::EUR,
                pending_cents: 0,
                due_cents,
                disputed_cents: 0,
                drafted_cents,
                paid_cents: 0,
            };
            assert_eq!(next_payout(&sums, minimum, Currency::EUR), expected);
        };
        check(0, 0, 0, "Nothing is ready to be paid yet.");
        check(1_000, 0, 0, "10.00 EUR can be paid with the next payout.");
        check(1_000, 0, 1_000, "10.00 EUR can be paid with the next payout.");
        check(999, 0, 1_000, "9.99 EUR of the 10.00 EUR that a payout must reach.");
        check(-300, 0, 0, "3.00 EUR will be taken off the next payout, after a refund.");
        check(0, 500, 0, "A payout of 5.00 EUR is being made.");
    }
}
