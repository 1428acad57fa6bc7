//! Simulate: what participants would have earned under a draft of a program's rules, before it is published. Every family of
//! sales of the program's workspace and mode is decided under the draft; nothing is written.

use std::collections::{BTreeMap, HashSet};

use domain::ids::{ParticipantId, ProgramId, WorkspaceId};
use domain::money::Currency;
use serde::Serialize;

use crate::app::App;
use crate::booking::draft::{self, Draft};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::routes::programs::{self, REWARDS_MAX};
use crate::routes::rewards;
use crate::store::Scope;
use crate::store::replay as table;

/// Rows that are read at once.
const ROWS_PER_READ: i64 = 500;
/// Conversions that are asked about at once.
const CONVERSIONS_PER_READ: usize = 500;
/// Sales that lose their credit unbind their customers, and sales of those customers may lose theirs: as often, at most.
const PASSES_MAX: u32 = 10;

/// Somebody's earnings in one currency, or everybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Who; nobody in a total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant_id: Option<ParticipantId>,
    /// The currency.
    pub currency: Currency,
    /// As it stands.
    pub now_cents: i64,
    /// Under the draft.
    pub draft_cents: i64,
    /// The draft less what stands.
    pub difference_cents: i64,
}

/// What a draft comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Simulation {
    /// The program.
    pub program_id: ProgramId,
    /// Families that were looked at.
    pub families: u64,
    /// Facts that they hold.
    pub facts: u64,
    /// Conversions that are credited in the program, now or under the draft.
    pub conversions: u64,
    /// The program's participants who earn, now or under the draft; and those of other programs for whom something changes.
    pub participants: Vec<Line>,
    /// Their sums.
    pub totals: Vec<Line>,
}

/// Reads a draft, says what it comes to. Errors name the fields, as the API's do.
pub async fn simulate(app: &App, file: &[u8]) -> Result<Simulation, ApiError> {
    let mut fields = Fields::parse(file)?;
    let program_id: Option<ProgramId> = fields.id("program_id");
    if fields.raw("program_id").is_none() {
        fields.error("program_id", "is required");
    }
    let settings = programs::settings(&mut fields);
    let rewards = rewards_of(app, &mut fields, program_id.as_ref());
    fields.finish()?;
    let program_id = program_id.ok_or_else(|| ApiError::field("program_id", "is required"))?;
    let scope = scope(app, &program_id).await?;
    let participants = participants(app, &scope, &program_id).await?;
    let strangers = rewards.iter().flatten().filter_map(|reward| reward.participant_id.as_ref());
    if let Some(stranger) = strangers.into_iter().find(|id| !participants.contains(*id)) {
        return Err(ApiError::field("rewards", format!("{stranger} is no participant of this program")));
    }
    let mut draft = Draft {
        program_id,
        participants,
        rewards,
        window_days: settings.attribution_window_days,
        model: settings.attribution_model,
        fraud: settings.fraud,
        reverse_pending_on_end: settings.reverse_pending_on_end,
        unbound: HashSet::new(),
    };
    for _ in 1..PASSES_MAX {
        let (simulation, lost) = under(app, &scope, &draft).await?;
        let bound_by_them = bound_by(app, &scope, &lost).await?;
        if bound_by_them.is_subset(&draft.unbound) {
            return Ok(simulation);
        }
        draft.unbound.extend(bound_by_them);
    }
    Ok(under(app, &scope, &draft).await?.0)
}

/// The draft's rewards, each as `POST /api/v1/rewards` takes it; the later ones are the newer ones. None where the file has no
/// list: then the rewards stay as they are.
fn rewards_of(
    app: &App,
    fields: &mut Fields,
    program_id: Option<&ProgramId>,
) -> Option<Vec<domain::reward::RewardVersion>> {
    fields.raw("rewards")?;
    let now = app.clock.now();
    let mut all = Vec::new();
    for (place, object) in (0..).zip(fields.objects("rewards", REWARDS_MAX)) {
        let mut nested = Fields::of(object);
        let participant_id: Option<ParticipantId> = nested.id("participant_id");
        // Ids sort by time.
        let version = rewards::version(app, &mut nested, program_id, None, now.plus_ms(place));
        fields.absorb(&format!("rewards[{place}]"), nested);
        // For all time, as a first version is, and all alike.
        all.extend(version.map(|version| domain::reward::RewardVersion { participant_id, valid_from: now, ..version }));
    }
    Some(all)
}

async fn scope(app: &App, program_id: &ProgramId) -> Result<Scope, ApiError> {
    let rows = app.db.rows(table::scope_of_program(program_id.as_str())).await?;
    let row = rows.first().ok_or_else(|| ApiError::field("program_id", "there is no such program"))?;
    let workspace_id = row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?;
    Ok(Scope { workspace_id, mode: row.mode("mode")? })
}

async fn participants(app: &App, scope: &Scope, program_id: &ProgramId) -> Result<HashSet<ParticipantId>, ApiError> {
    let mut all = HashSet::new();
    let mut after = String::new();
    loop {
        let rows = app.db.rows(table::participants(scope, program_id.as_str(), &after, ROWS_PER_READ)).await?;
        let Some(last) = rows.last() else { return Ok(all) };
        after = last.text("id")?;
        for row in &rows {
            all.insert(row.parsed("id", ParticipantId::parse, "a participant id")?);
        }
    }
}

/// Keys of the customers whom these conversions bound.
async fn bound_by(app: &App, scope: &Scope, conversions: &[String]) -> Result<HashSet<String>, ApiError> {
    let mut all = HashSet::new();
    for some in conversions.chunks(CONVERSIONS_PER_READ) {
        for row in &app.db.rows(table::customers_bound_by(scope, some)?).await? {
            all.insert(row.text("key")?);
        }
    }
    Ok(all)
}

/// Now, and under the draft.
type Sums<K> = BTreeMap<K, (i64, i64)>;

async fn under(app: &App, scope: &Scope, draft: &Draft) -> Result<(Simulation, Vec<String>), ApiError> {
    let mut lost = Vec::new();
    let mut sums: Sums<(ParticipantId, Currency)> = BTreeMap::new();
    let (mut families, mut facts, mut conversions) = (0, 0, 0);
    let mut after = String::new();
    loop {
        let rows = app.db.rows(table::families(scope, &after, ROWS_PER_READ)).await?;
        let Some(last) = rows.last() else { break };
        after = last.text("id")?;
        for row in &rows {
            let family = table::decode_family(row)?;
            let Some(key) = &family.key else { continue };
            let drafted = draft::draft(app, scope, key, family.moment, draft).await?;
            families += 1;
            facts += drafted.facts;
            conversions += drafted.conversions;
            lost.extend(drafted.lost);
            for share in drafted.shares {
                let sum = sums.entry((share.participant_id, share.currency)).or_default();
                sum.0 += share.now_cents;
                sum.1 += share.draft_cents;
            }
        }
    }
    let mut totals: Sums<Currency> = BTreeMap::new();
    let mut participants = Vec::new();
    for ((participant_id, currency), (now, then)) in sums {
        if now == then && !draft.participants.contains(&participant_id) {
            continue;
        }
        let total = totals.entry(currency).or_default();
        total.0 += now;
        total.1 += then;
        participants.push(line(Some(participant_id), currency, now, then));
    }
    let totals = totals.into_iter().map(|(currency, (now, then))| line(None, currency, now, then)).collect();
    let program_id = draft.program_id.clone();
    Ok((Simulation { program_id, families, facts, conversions, participants, totals }, lost))
}

const fn line(participant_id: Option<ParticipantId>, currency: Currency, now_cents: i64, draft_cents: i64) -> Line {
    Line { participant_id, currency, now_cents, draft_cents, difference_cents: draft_cents - now_cents }
}

#[cfg(test)]
mod tests;
