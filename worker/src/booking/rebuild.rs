//! Rebuild: what a family's sales should have come to by its facts, held against what stands. The same load and the same pass
//! through the rules as a booking, and nothing is written.
//!
//! What stands was decided when the family was booked last and something came of it: that moment is the rebuild's `now`, so
//! that a session which waited then still waits, and rewards that were made later are not there yet. Two things the
//! facts do not tell, and what stands may follow either way: whether a booking of which nothing came has since seen later
//! rewards, and whether the program took back pending commissions when a subscription ended (a setting without a history).

use domain::ids::{CommissionId, RewardVersionId};
use domain::ledger::{Step, Terms};
use domain::reward::RewardVersion;
use domain::sale::{ConversionStatus, family};
use domain::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Booking;
use super::decide::{self, Conversion as DecidedConversion, Decided, Family};
use super::load::{self, Loaded};
use super::write;
use crate::app::App;
use crate::error::ApiError;
use crate::store::Scope;
use crate::store::conversions::Conversion;

/// Something that does not stand as its inputs or its facts have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// `decision`, `conversion`, `commission` or `family`.
    pub what: String,
    /// Its id.
    pub id: String,
    /// The conversion, where there is one.
    pub conversion_id: Option<String>,
    /// What is stored.
    pub stored: String,
    /// What comes out.
    pub replayed: String,
}

impl Difference {
    /// Of a kind of thing.
    pub fn of(what: &str, id: &str, conversion_id: Option<&str>, stored: String, replayed: String) -> Self {
        Self {
            what: what.to_owned(),
            id: id.to_owned(),
            conversion_id: conversion_id.map(str::to_owned),
            stored,
            replayed,
        }
    }
}

/// What came of a rebuild.
pub struct Rebuilt {
    /// The revision that was looked at.
    pub revision: i64,
    /// Facts that were gone through.
    pub facts: u64,
    /// What does not stand as it is due.
    pub differences: Vec<Difference>,
}

/// Rebuilds the family that a key names, as it was due at a moment.
pub async fn rebuild(app: &App, scope: &Scope, key: &str, moment: Instant) -> Result<Rebuilt, ApiError> {
    let booking = Booking::of(scope.clone(), vec![key.to_owned()], moment);
    let mut loaded = load::load(app, &booking).await?;
    let revision = loaded.families.first().map_or(0, |family| family.revision);
    let facts = count(&loaded);
    let ended = family::subscriptions(&loaded.facts).iter().any(|id| family::ended_at(&loaded.facts, id).is_some());
    let now = loaded.rewards.clone();
    let then = known_at(&now, moment);
    let mut told: Option<Vec<Difference>> = None;
    for other_setting in [false, true] {
        if other_setting {
            if !ended {
                break;
            }
            for person in loaded.directory.people.each_mut() {
                person.reverse_pending_on_end = !person.reverse_pending_on_end;
            }
        }
        for rewards in [&then, &now] {
            loaded.rewards.clone_from(rewards);
            let family = family_of(decide::decide(app, &booking, loaded))?;
            let differences = differences(app, &booking, &family);
            loaded = family.loaded;
            if differences.is_empty() {
                return Ok(Rebuilt { revision, facts, differences });
            }
            told.get_or_insert(differences);
        }
    }
    Ok(Rebuilt { revision, facts, differences: told.unwrap_or_default() })
}

/// Facts of a family.
pub(super) fn count(loaded: &Loaded) -> u64 {
    let facts = &loaded.facts;
    (facts.reports.len() + facts.refunds.len() + facts.stripe.len() + facts.joins.len()) as u64
}

/// The versions that had been made by a moment. Their ids tell.
pub(super) fn known_at(rewards: &[RewardVersion], moment: Instant) -> Vec<RewardVersion> {
    let later = RewardVersionId::least(moment.plus_ms(1));
    rewards.iter().filter(|version| version.id < later).cloned().collect()
}

/// A booking without a report, a refund or a person's word always comes to a family.
pub(super) fn family_of(decided: Decided) -> Result<Family, ApiError> {
    match decided {
        Decided::Family(family) => Ok(*family),
        _ => Err(ApiError::Internal("a rebuild came to no family".to_owned())),
    }
}

/// What a booking would write now, in words.
fn differences(app: &App, booking: &Booking, family: &Family) -> Vec<Difference> {
    let mut all = Vec::new();
    for decided in &family.conversions {
        match &decided.row {
            Some(row) => of_conversion(app, booking, family, (decided, row), &mut all),
            None => {
                let key = family.members.get(decided.member).and_then(|member| member.keys.first());
                let id = family.loaded.families.first().map_or("", |family| family.id.as_str());
                let replayed = format!("a conversion of {} by {key:?}", decided.state.money.paid_cents);
                all.push(Difference::of("family", id, None, "no conversion".to_owned(), replayed));
            }
        }
        for (row, steps) in &decided.merged {
            if row.status != ConversionStatus::Merged {
                let stored = row.status.as_str().to_owned();
                all.push(of_row("conversion", row.id.as_str(), row, stored, "merged".to_owned()));
            }
            of_steps(family, row, steps, &mut all);
        }
    }
    let told = |row: &Conversion| {
        let mut decided = family.conversions.iter();
        decided.any(|one| one.row.iter().chain(one.merged.iter().map(|(row, _)| row)).any(|known| known.id == row.id))
    };
    for row in family.loaded.conversions.iter().filter(|row| !told(row)) {
        let stored = row.status.as_str().to_owned();
        all.push(of_row("conversion", row.id.as_str(), row, stored, "no sale of the facts".to_owned()));
    }
    all
}

fn of_row(what: &str, id: &str, row: &Conversion, stored: String, replayed: String) -> Difference {
    Difference::of(what, id, Some(row.id.as_str()), stored, replayed)
}

fn of_conversion(
    app: &App,
    booking: &Booking,
    family: &Family,
    (decided, row): (&DecidedConversion, &Conversion),
    all: &mut Vec<Difference>,
) {
    if !decided.verdict_stands {
        let before = family.loaded.decisions.get(row.decision_id.as_str());
        let stored = before.map_or_else(|| "no decision".to_owned(), |(_, verdict)| json!(verdict).to_string());
        all.push(of_row("decision", row.decision_id.as_str(), row, stored, json!(decided.verdict).to_string()));
    }
    let due = write::due_row(app, booking, family, decided, row.decision_id.clone());
    let (stored, replayed): (Vec<String>, Vec<String>) = cells(row)
        .into_iter()
        .zip(cells(&due))
        .filter(|(stored, due)| stored != due)
        .map(|((name, stored), (_, due))| (format!("{name} {stored}"), format!("{name} {due}")))
        .unzip();
    if !stored.is_empty() {
        all.push(of_row("conversion", row.id.as_str(), row, stored.join(", "), replayed.join(", ")));
    }
    of_steps(family, row, &decided.steps, all);
    let disputed = family.members.get(decided.member).is_some_and(|member| member.returned.disputed);
    for held in decide::held(&family.loaded, row).filter(|held| held.disputed != disputed) {
        let word = |disputed: bool| if disputed { "disputed" } else { "not disputed" }.to_owned();
        all.push(of_row("commission", held.standing.id.as_str(), row, word(held.disputed), word(disputed)));
    }
}

/// What the facts decide of a conversion. (Who bought is left out: a customer may have been wiped.)
fn cells(row: &Conversion) -> [(&'static str, String); 14] {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        ("source", row.source.as_str().to_owned()),
        ("status", row.status.as_str().to_owned()),
        ("event_type", row.event_type.clone()),
        ("amount_cents", row.amount_cents.to_string()),
        ("currency", row.currency.map_or_else(|| "-".to_owned(), String::from)),
        ("refunded_cents", row.refunded_cents.to_string()),
        ("occurred_at", row.occurred_at.to_string()),
        ("stripe", json!(row.stripe).to_string()),
        ("method", row.method.map_or("-", |method| method.as_str()).to_owned()),
        ("reason", row.reason.as_str().to_owned()),
        ("click_id", text(&row.attributed_click_id)),
        ("promo_code", text(&row.attributed_promo_code)),
        ("program_id", text(&row.program_id)),
        ("participant_id", text(&row.participant_id)),
    ]
}

fn of_steps(family: &Family, row: &Conversion, steps: &[Step], all: &mut Vec<Difference>) {
    let standing = |id: &CommissionId| {
        let mut held = decide::held(&family.loaded, row).map(|held| &held.standing);
        held.find(|standing| standing.id == *id)
    };
    for step in steps {
        let (id, stored, replayed) = match step {
            Step::Open(due) => {
                let replayed = format!("{} {} for {}", due.amount_cents, due.currency.code(), due.participant_id);
                all.push(of_row("conversion", row.id.as_str(), row, "no commission".to_owned(), replayed));
                continue;
            }
            Step::Append { commission_id, amount_cents, .. } => {
                let amount = standing(commission_id).map_or(0, |standing| standing.amount_cents);
                (commission_id, amount.to_string(), (amount + amount_cents).to_string())
            }
            Step::Revise { commission_id, terms } => {
                let stored = standing(commission_id).map(|standing| in_words(&standing.terms));
                (commission_id, stored.unwrap_or_default(), in_words(terms))
            }
        };
        all.push(of_row("commission", id.as_str(), row, stored, replayed));
    }
}

fn in_words(terms: &Terms) -> String {
    format!(
        "by {}, held until {}, approved by itself {}, review {}",
        terms.reward_version,
        terms.hold_until,
        terms.auto_approve,
        json!(terms.needs_review)
    )
}
