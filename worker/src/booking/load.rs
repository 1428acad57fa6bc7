//! Load: the rows of one booking, read into what the rules take.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::attribution::{Burst, Inputs, Manual, Verdict};
use domain::fact::StripeFact;
use domain::ids::{ActId, ParticipantId, WorkspaceId};
use domain::reward::RewardVersion;
use domain::sale::family::FamilyFacts;
use domain::sale::{Observed, customer, partition};
use domain::time::Instant;
use serde::{Deserialize, Serialize};

use super::Booking;
use super::directory::{Directory, open};
use super::people::People;
use crate::app::App;
use crate::error::ApiError;
use crate::store::conversions::Conversion;
use crate::store::families::{Family, Mentions, StoredFact};
use crate::store::{DbError, Row, bookings, commissions, conversions, families, links, stripe_events};

/// Everything that is known of the family, new facts included.
pub struct Loaded {
    /// The families that the keys name, the oldest first. None when they are new.
    pub families: Vec<Family>,
    /// The keys that are known already.
    pub keys: BTreeSet<String>,
    /// All facts.
    pub facts: FamilyFacts,
    /// There were new facts, and every one of them was stored before.
    pub repeated: bool,
    /// The Stripe event that brings the facts has its outcome already.
    pub settled: bool,
    /// The Stripe events whose facts were stored before, each with its fact's keys.
    pub events: Vec<(String, BTreeSet<String>)>,
    /// The conversions, the oldest first.
    pub conversions: Vec<Conversion>,
    /// The decisions in force, by id.
    pub decisions: HashMap<String, (Inputs, Verdict)>,
    /// The commissions.
    pub commissions: Vec<commissions::Held>,
    /// What people said of the conversions' credit: the conversion's id, and the word, the oldest first.
    pub by_hand: Vec<(String, Manual)>,
    /// Clicks of one address, for each new click that is named.
    pub bursts: Vec<Burst>,
    /// Whom clicks, codes and customers belong to.
    pub directory: Directory,
    /// All versions of the rewards in question.
    pub rewards: Vec<RewardVersion>,
}

/// Loads the family that any of the booking's keys names.
pub async fn load(app: &App, booking: &Booking) -> Result<Loaded, ApiError> {
    let mentions = merged(booking.facts.iter().map(|fact| &fact.mentions));
    let people: Vec<&ParticipantId> = booking.by_hand.iter().map(|by_hand| &by_hand.manual.participant_id).collect();
    let mut reads = bookings::load(&booking.scope, &booking.keys, &mentions, &people)?.to_vec();
    reads.extend(booking.stripe_event.as_ref().map(stripe_events::waits));
    let mut results = app.db.of(&booking.scope.workspace_id).batch(reads).await?.into_iter();
    let mut next = || results.next().unwrap_or_default();
    let parts = bookings::decode(&next(), &next())?;
    let settled = booking.stripe_event.is_some() && next().is_empty();
    let families = parts.families.iter().map(families::decode).collect::<Result<_, _>>()?;
    let keys = parts.keys.iter().map(|row| row.text("key")).collect::<Result<_, _>>()?;
    let (facts, events, repeated) = facts(&parts.facts, booking)?;
    let conversions = parts.conversions.iter().map(conversions::decode_alone).collect::<Result<_, _>>()?;
    let mut decisions = HashMap::new();
    for row in &parts.decisions {
        decisions.insert(row.text("id")?, (row.json("inputs")?, row.json("verdict")?));
    }
    let commissions = parts.commissions.iter().map(commissions::decode_held).collect::<Result<_, _>>()?;
    let by_hand = by_hand_of(&parts.acts, booking)?;
    let people = People::read(app, &booking.scope, &parts.people)?;
    let directory = Directory::read(&booking.scope, &parts, people)?;
    let mut bursts = Vec::new();
    for row in &parts.bursts {
        let clicks = u32::try_from(row.integer("clicks")?).unwrap_or(u32::MAX);
        bursts.push(Burst { click_id: row.text("click_id")?, clicks });
    }
    let rewards = rewards(&parts.people)?;
    Ok(Loaded {
        families,
        keys,
        facts,
        repeated,
        settled,
        events,
        conversions,
        decisions,
        commissions,
        by_hand,
        bursts,
        directory,
        rewards,
    })
}

/// The versions of all rewards that anybody could earn, in order. Two participants of one program have most of them in common.
fn rewards(people: &[Row]) -> Result<Vec<RewardVersion>, DbError> {
    let mut all = BTreeMap::new();
    for row in people {
        let versions: Vec<RewardVersion> = row.json("rewards")?;
        all.extend(versions.into_iter().map(|version| ((version.reward_id.clone(), version.version), version)));
    }
    Ok(all.into_values().collect())
}

/// What an act of attribution says beside its reason.
#[derive(Serialize, Deserialize)]
pub struct Attributed {
    /// Who is credited.
    pub participant_id: ParticipantId,
    /// In which program.
    pub program_id: domain::ids::ProgramId,
}

fn by_hand_of(rows: &[Row], booking: &Booking) -> Result<Vec<(String, Manual)>, DbError> {
    let mut all = Vec::new();
    for row in rows {
        let Attributed { participant_id, program_id } = row.json("detail")?;
        let act_id = row.parsed("id", ActId::parse, "an act id")?;
        all.push((row.text("subject")?, Manual { act_id, participant_id, program_id }));
    }
    all.extend(booking.by_hand.iter().map(|new| (new.conversion_id.clone(), new.manual.clone())));
    Ok(all)
}

fn merged<'a>(all: impl Iterator<Item = &'a Mentions>) -> Mentions {
    let mut merged = Mentions::default();
    for one in all {
        merged.links.extend(&one.links);
        merged.codes.extend(one.codes.iter().cloned());
        merged.promotion_codes.extend(one.promotion_codes.iter().cloned());
        merged.discounts.extend(one.discounts.iter().cloned());
        merged.customers.extend(one.customers.iter().cloned());
        merged.clicks.extend(one.clicks.iter().cloned());
    }
    merged
}

/// Facts, which stored Stripe event brought which keys, and whether there was nothing new.
type FactsAndEvents = (FamilyFacts, Vec<(String, BTreeSet<String>)>, bool);

/// Stored facts and new ones; one that was stored before is taken once.
fn facts(stored: &[Row], booking: &Booking) -> Result<FactsAndEvents, DbError> {
    let mut facts = FamilyFacts::default();
    let mut events = Vec::new();
    let mut sources = BTreeSet::new();
    for row in stored {
        // A fact that was told in two families before they were joined is one.
        if !sources.insert(row.text("source")?) {
            continue;
        }
        let body = row.json::<StoredFact>("body")?;
        if let (Some(event), StoredFact::Stripe(fact)) = (row.text_opt("stripe_event_id")?, &body) {
            events.push((event, partition::keys(fact)));
        }
        add(&mut facts, row.instant("said_at")?, body);
    }
    let mut repeated = !booking.facts.is_empty();
    for new in &booking.facts {
        if sources.insert(new.source.clone()) {
            repeated = false;
            add(&mut facts, new.said_at, new.body.clone());
        }
    }
    Ok((facts, events, repeated))
}

fn add(facts: &mut FamilyFacts, at: Instant, body: StoredFact) {
    match body {
        StoredFact::Report(report) => facts.reports.push(report),
        StoredFact::Refund(refund) => facts.refunds.push(refund),
        StoredFact::Stripe(fact) => facts.stripe.push(Observed { at, fact: *fact }),
        StoredFact::Joined(joined) => facts.joins.push(joined),
    }
}

/// What a fact names: opened click ids, folded codes, customers.
pub fn mentions(app: &App, workspace: &WorkspaceId, fact: &StoredFact) -> Mentions {
    match fact {
        StoredFact::Report(report) => {
            let external = report.customer_external_id.as_deref().map(customer::external_key);
            let email = report.email.as_ref().map(customer::email_key);
            let (links, clicks) = opened(app, workspace, report.click_id.as_deref().into_iter());
            Mentions {
                links,
                codes: report.promo_code.as_deref().map(links::folded).into_iter().collect(),
                customers: external.into_iter().chain(email).collect(),
                clicks,
                ..Mentions::default()
            }
        }
        StoredFact::Refund(_) | StoredFact::Joined(_) => Mentions::default(),
        StoredFact::Stripe(fact) => match fact.as_ref() {
            StripeFact::Session(session) => {
                of_hints(app, workspace, &session.hints, session.customer.as_deref(), session.email.as_ref())
            }
            StripeFact::Invoice(invoice) => {
                of_hints(app, workspace, &invoice.hints, invoice.customer.as_deref(), invoice.email.as_ref())
            }
            _ => Mentions::default(),
        },
    }
}

/// The clicks that a fact names and that are ours: each with its link's number and when it was.
pub fn clicks_of(app: &App, workspace: &WorkspaceId, fact: &StoredFact) -> Vec<(String, u32, Instant)> {
    let Mentions { links, clicks, .. } = mentions(app, workspace, fact);
    clicks.into_iter().zip(links).map(|((click_id, at), number)| (click_id, number, at)).collect()
}

/// The links of those clicks that are ours, and the clicks with when they were.
fn opened<'a>(
    app: &App,
    workspace: &WorkspaceId,
    click_ids: impl Iterator<Item = &'a str>,
) -> (Vec<u32>, Vec<(String, Instant)>) {
    let opened =
        click_ids.filter_map(|id| open(app, workspace, id).map(|click| (click.link.number, (id.to_owned(), click.at))));
    opened.unzip()
}

fn of_hints(
    app: &App,
    workspace: &WorkspaceId,
    hints: &domain::fact::Hints,
    customer_id: Option<&str>,
    email: Option<&domain::email::EmailHashes>,
) -> Mentions {
    let external = hints.customer_external_id.as_deref().map(customer::external_key);
    let stripe = customer_id.map(customer::stripe_key);
    let email = email.map(customer::email_key);
    let (links, clicks) = opened(app, workspace, hints.clicks.iter().map(|mention| mention.click_id.as_str()));
    Mentions {
        links,
        codes: Vec::new(),
        promotion_codes: hints.promotion_codes.clone(),
        discounts: hints.discounts.clone(),
        customers: external.into_iter().chain(stripe).chain(email).collect(),
        clicks,
    }
}

/// Every id under which the sale is known that one of its ids names, by all facts of its family.
pub fn sale_keys(facts: impl Iterator<Item = (Instant, StoredFact)>, anchor: &str, now: Instant) -> BTreeSet<String> {
    let mut all = FamilyFacts::default();
    for (at, body) in facts {
        add(&mut all, at, body);
    }
    let sales = domain::sale::family::members(&all, now);
    let own = sales.into_iter().find(|sale| sale.keys.contains(anchor));
    own.map_or_else(|| BTreeSet::from([anchor.to_owned()]), |sale| sale.keys)
}
