//! Load: the rows of one booking, read into what the rules take.

use std::collections::{BTreeSet, HashMap};

use domain::attribution::{ClickInput, Inputs, PromoInput, SeenClick, Sighting, Standing, Verdict};
use domain::click_id::ClickId;
use domain::fact::{ClickSource, StripeFact};
use domain::ids::{Id, LinkId, ParticipantId, WorkspaceId};
use domain::mode::Mode;
use domain::reward::RewardVersion;
use domain::sale::family::FamilyFacts;
use domain::sale::{Observed, partition};
use domain::status::{ParticipantStatus, ProgramStatus};
use domain::time::Instant;

use super::Booking;
use crate::app::App;
use crate::error::ApiError;
use crate::store::conversions::Conversion;
use crate::store::families::{Family, Mentions, StoredFact};
use crate::store::{DbError, Row, Scope, commissions, conversions, families, links, stripe_events};

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
    /// Whom clicks and codes belong to.
    pub directory: Directory,
    /// All versions of the rewards in question.
    pub rewards: Vec<RewardVersion>,
}

/// Loads the family that any of the booking's keys names.
pub async fn load(app: &App, booking: &Booking) -> Result<Loaded, ApiError> {
    let mentions = merged(booking.facts.iter().map(|fact| &fact.mentions));
    let mut reads = families::load(&booking.scope, &booking.keys, &mentions)?;
    reads.extend(booking.stripe_event.as_ref().map(stripe_events::waits));
    let mut results = app.db.batch(reads).await?.into_iter();
    let mut next = || results.next().unwrap_or_default();
    let families = next().iter().map(families::decode).collect::<Result<_, _>>()?;
    let keys = next().iter().map(|row| row.text("key")).collect::<Result<_, _>>()?;
    let (facts, events, repeated) = facts(&next(), booking)?;
    let mut conversions = Vec::new();
    for row in &next() {
        conversions.push(conversions::decode(row)?.0);
    }
    let mut decisions = HashMap::new();
    for row in &next() {
        decisions.insert(row.text("id")?, (row.json("inputs")?, row.json("verdict")?));
    }
    let commissions = next().iter().map(commissions::decode_held).collect::<Result<_, _>>()?;
    let directory = Directory::read(&booking.scope, &next(), &next())?;
    let rewards = next().iter().map(|row| row.json("body")).collect::<Result<_, _>>()?;
    let settled = booking.stripe_event.is_some() && next().is_empty();
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
        directory,
        rewards,
    })
}

fn merged<'a>(all: impl Iterator<Item = &'a Mentions>) -> Mentions {
    let mut merged = Mentions::default();
    for one in all {
        merged.links.extend(&one.links);
        merged.codes.extend(one.codes.iter().cloned());
        merged.promotion_codes.extend(one.promotion_codes.iter().cloned());
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
    }
}

/// What a fact names: opened click ids and folded codes.
pub fn mentions(app: &App, fact: &StoredFact) -> Mentions {
    let number = |text: &str| open(app, text).map(|click| click.link.number);
    match fact {
        StoredFact::Report(report) => Mentions {
            links: report.click_id.as_deref().and_then(number).into_iter().collect(),
            codes: report.promo_code.as_deref().map(links::folded).into_iter().collect(),
            promotion_codes: Vec::new(),
        },
        StoredFact::Refund(_) => Mentions::default(),
        StoredFact::Stripe(fact) => match fact.as_ref() {
            StripeFact::Session(session) => of_hints(&session.hints, number),
            StripeFact::Invoice(invoice) => of_hints(&invoice.hints, number),
            _ => Mentions::default(),
        },
    }
}

fn of_hints(hints: &domain::fact::Hints, number: impl Fn(&str) -> Option<u32>) -> Mentions {
    Mentions {
        links: hints.clicks.iter().filter_map(|mention| number(&mention.click_id)).collect(),
        codes: Vec::new(),
        promotion_codes: hints.promotion_codes.clone(),
    }
}

/// The click of an id that is ours, and of the one database there is.
pub fn open(app: &App, text: &str) -> Option<domain::click_id::Click> {
    let click = app.secrets.clicks.open(ClickId::parse(text)?)?;
    (click.link.database == 0).then_some(click)
}

/// Whom the clicks and codes of one booking belong to.
pub struct Directory {
    links: HashMap<u32, (LinkId, WorkspaceId, Mode, Standing)>,
    /// Folded code, Stripe's id, mode, and whose.
    codes: Vec<(String, Option<String>, Mode, Standing)>,
    scope: Scope,
}

impl Directory {
    fn read(scope: &Scope, link_rows: &[Row], code_rows: &[Row]) -> Result<Self, DbError> {
        let mut links = HashMap::new();
        for row in link_rows {
            let number = u32::try_from(row.integer("number")?).unwrap_or(u32::MAX);
            let link = row.parsed("link_id", LinkId::parse, "a link id")?;
            let workspace = row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?;
            links.insert(number, (link, workspace, row.mode("mode")?, standing(row)?));
        }
        let codes = code_rows
            .iter()
            .map(|row| {
                let stripe_id = row.text_opt("stripe_promotion_code_id")?;
                Ok((row.text("code_folded")?, stripe_id, row.mode("mode")?, standing(row)?))
            })
            .collect::<Result<_, DbError>>()?;
        Ok(Self { links, codes, scope: scope.clone() })
    }

    /// A click, as the decision sees it.
    pub fn click(&self, app: &App, click_id: &str, source: Option<ClickSource>) -> ClickInput {
        let sighting =
            open(app, click_id).map_or(Sighting::Unknown, |click| match self.links.get(&click.link.number) {
                Some((_, workspace, _, _)) if *workspace != self.scope.workspace_id => Sighting::Unknown,
                Some((_, _, mode, _)) if *mode != self.scope.mode => Sighting::OtherMode,
                Some((link_id, _, _, standing)) => {
                    Sighting::Here(SeenClick { at: click.at, link_id: link_id.clone(), standing: standing.clone() })
                }
                None => Sighting::Unknown,
            });
        ClickInput { click_id: click_id.to_owned(), source, sighting }
    }

    /// A promo code as a merchant reports it.
    pub fn code(&self, code: &str) -> PromoInput {
        let folded = links::folded(code);
        PromoInput { code: code.to_owned(), sighting: self.sighting(|held, _| *held == folded) }
    }

    /// A promotion code as Stripe names it.
    pub fn promotion_code(&self, id: &str) -> PromoInput {
        PromoInput { code: id.to_owned(), sighting: self.sighting(|_, held| held.as_deref() == Some(id)) }
    }

    /// How a participant stands, if any click or code of this family is theirs.
    pub fn participant(&self, id: &ParticipantId) -> Option<&Standing> {
        let of_links = self.links.values().map(|(_, _, _, standing)| standing);
        let of_codes = self.codes.iter().map(|(_, _, _, standing)| standing);
        of_links.chain(of_codes).find(|standing| standing.participant_id == *id)
    }

    fn sighting(&self, is_it: impl Fn(&String, &Option<String>) -> bool) -> Sighting<Standing> {
        let in_mode = |here: bool| {
            self.codes
                .iter()
                .find(|(code, stripe_id, mode, _)| is_it(code, stripe_id) && (*mode == self.scope.mode) == here)
        };
        match (in_mode(true), in_mode(false)) {
            (Some((_, _, _, standing)), _) => Sighting::Here(standing.clone()),
            (None, Some(_)) => Sighting::OtherMode,
            (None, None) => Sighting::Unknown,
        }
    }
}

fn standing(row: &Row) -> Result<Standing, DbError> {
    Ok(Standing {
        participant_id: row.parsed("participant_id", Id::parse, "a participant id")?,
        participant_status: row.parsed("participant_status", ParticipantStatus::parse, "a participant's status")?,
        program_id: row.parsed("program_id", Id::parse, "a program id")?,
        program_status: row.parsed("program_status", ProgramStatus::parse, "a program's status")?,
        window_days: row.integer("attribution_window_days")?,
    })
}
