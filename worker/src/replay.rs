//! Replay: makes every stored decision again from its stored inputs, rebuilds every family of sales from its facts, and tells
//! what differs from what is stored. Nothing is written. It goes in bounded pages, because a Worker has limits; on the host
//! they are gone through without a break.

use domain::attribution::{self, Inputs, Refusal, Verdict};
use domain::ids::WorkspaceId;
use domain::mode::Mode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::booking::rebuild::{self, Difference};
use crate::error::ApiError;
use crate::shapes;
use crate::store::conversions::{self, Decision};
use crate::store::replay as table;
use crate::store::{DbError, Row, Scope};

/// Round trips to the database that one page makes; a Worker may make 50 without a paid plan.
const ROUND_TRIPS_MAX: u32 = 40;
/// Decisions that are read at once.
const DECISIONS_PER_READ: i64 = 200;
/// Families that are read at once; each is then loaded by a round trip of its own.
const FAMILIES_PER_READ: i64 = 20;
/// Commissions that are read at once.
const COMMISSIONS_PER_READ: i64 = 500;
/// Differences that are told one by one; beyond them, they are counted.
pub const DIFFERENCES_TOLD_MAX: usize = 100;
/// How often a family is looked at again because it was booked meanwhile.
const ATTEMPTS_MAX: u32 = 3;
/// What the digest's chain begins with. Another canonical text is another one of these.
const DIGEST_OF: &str = "selgeo replay 1";

/// Makes a verdict of inputs: [`attribution::attribute`], unless a test asks what another rule would change.
pub type Rule = fn(&Inputs) -> Verdict;

/// What is replayed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// One workspace, or all.
    pub workspace_id: Option<WorkspaceId>,
    /// One mode, or both.
    pub mode: Option<Mode>,
    /// The rule that decisions are made by.
    pub rule: Rule,
}

impl Wanted {
    /// Everything there is, by the rules as they are.
    pub fn everything() -> Self {
        Self { workspace_id: None, mode: None, rule: attribution::attribute }
    }
}

/// What was found, on one page or on all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Decisions made again.
    pub decisions: u64,
    /// Families rebuilt.
    pub families: u64,
    /// Facts that they hold.
    pub facts: u64,
    /// Commissions in the digest.
    pub commissions: u64,
    /// Families that are due to be booked anyway, because time has passed or a code was mapped, and will be by the next sweep.
    pub waiting: u64,
    /// Differences, told or not.
    pub differences_total: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// Over every decision and commission so far, in the order of their ids: the same data gives the same digest.
    pub digest: String,
}

impl Report {
    /// Adds the next page.
    pub fn add(&mut self, page: Self) {
        self.decisions += page.decisions;
        self.families += page.families;
        self.facts += page.facts;
        self.commissions += page.commissions;
        self.waiting += page.waiting;
        self.differences_total += page.differences_total;
        self.differences.extend(page.differences);
        self.differences.truncate(DIFFERENCES_TOLD_MAX);
        self.digest = page.digest;
    }

    fn differs(&mut self, difference: Difference) {
        self.differences_total += 1;
        if self.differences.len() < DIFFERENCES_TOLD_MAX {
            self.differences.push(difference);
        }
    }
}

/// What is gone through in each workspace and mode, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Decisions,
    Families,
    Commissions,
}

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    workspace_id: WorkspaceId,
    mode: Mode,
    stage: Stage,
    after: String,
    digest: String,
}

/// A page of a replay.
#[derive(Debug)]
pub struct Page {
    /// What was found on it.
    pub report: Report,
    /// Where the next one begins; none after the last.
    pub next: Option<Cursor>,
}

/// Replays a page.
pub async fn page(app: &App, wanted: &Wanted, cursor: Option<Cursor>) -> Result<Page, ApiError> {
    let begun = match cursor {
        Some(cursor) => Some(cursor),
        None => first(app, wanted).await?,
    };
    let Some(place) = begun else {
        let report = Report { digest: chain("", DIGEST_OF), ..Report::default() };
        return Ok(Page { report, next: None });
    };
    let mut run = Run { app, wanted, place, report: Report::default(), round_trips: 0 };
    let mut whole = false;
    while !whole && run.round_trips < ROUND_TRIPS_MAX {
        whole = run.stage().await? && !run.on().await?;
    }
    let Run { place, mut report, .. } = run;
    report.digest.clone_from(&place.digest);
    Ok(Page { report, next: (!whole).then_some(place) })
}

/// Replays all pages.
pub async fn all(app: &App, wanted: &Wanted) -> Result<Report, ApiError> {
    let mut report = Report::default();
    let mut cursor = None;
    loop {
        let page = page(app, wanted, cursor).await?;
        report.add(page.report);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(report);
        }
    }
}

async fn first(app: &App, wanted: &Wanted) -> Result<Option<Cursor>, ApiError> {
    let statement = match &wanted.workspace_id {
        Some(id) => table::workspace(id),
        None => table::workspace_after(""),
    };
    let rows = app.db.rows(statement).await?;
    let found = rows.first().map(crate::store::workspaces::decode_id).transpose()?;
    if found.is_none() && wanted.workspace_id.is_some() {
        return Err(ApiError::NotFound("workspace"));
    }
    let digest = chain("", DIGEST_OF);
    Ok(found.map(|workspace_id| Cursor {
        workspace_id,
        mode: wanted.mode.unwrap_or(Mode::Test),
        stage: Stage::Decisions,
        after: String::new(),
        digest,
    }))
}

/// The digest after one more line.
fn chain(before: &str, line: &str) -> String {
    hex::encode(Sha256::digest(format!("{before}\n{line}")))
}

/// One page while it is made.
struct Run<'a> {
    app: &'a App,
    wanted: &'a Wanted,
    place: Cursor,
    report: Report,
    round_trips: u32,
}

impl Run<'_> {
    fn scope(&self) -> Scope {
        Scope { workspace_id: self.place.workspace_id.clone(), mode: self.place.mode }
    }

    fn takes_in(&mut self, line: &serde_json::Value) {
        self.place.digest = chain(&self.place.digest, &line.to_string());
    }

    /// Reads on in the stage; whether that was all of it.
    async fn stage(&mut self) -> Result<bool, ApiError> {
        let (scope, after) = (self.scope(), self.place.after.clone());
        let (limit, statement) = match self.place.stage {
            Stage::Decisions => (DECISIONS_PER_READ, table::decisions(&scope, &after, DECISIONS_PER_READ)),
            Stage::Families => (FAMILIES_PER_READ, table::families(&scope, &after, FAMILIES_PER_READ)),
            Stage::Commissions => (COMMISSIONS_PER_READ, table::commissions(&scope, &after, COMMISSIONS_PER_READ)),
        };
        self.round_trips += 1;
        let rows = self.app.db.rows(statement).await?;
        for row in &rows {
            match self.place.stage {
                Stage::Decisions => self.decision(&scope, row)?,
                Stage::Families if self.round_trips >= ROUND_TRIPS_MAX => return Ok(false),
                Stage::Families => self.family(&scope, table::decode_family(row)?).await?,
                Stage::Commissions => self.commission(&scope, row)?,
            }
            self.place.after = row.text("id")?;
        }
        Ok(i64::try_from(rows.len()).is_ok_and(|read| read < limit))
    }

    /// Moves on to the next stage, mode or workspace; whether there is one.
    async fn on(&mut self) -> Result<bool, ApiError> {
        self.place.after.clear();
        self.place.stage = match self.place.stage {
            Stage::Decisions => Stage::Families,
            Stage::Families => Stage::Commissions,
            Stage::Commissions => {
                let both = self.wanted.mode.is_none();
                if both && self.place.mode == Mode::Test {
                    self.place.mode = Mode::Live;
                } else if self.wanted.workspace_id.is_some() {
                    return Ok(false);
                } else {
                    self.round_trips += 1;
                    let rows = self.app.db.rows(table::workspace_after(self.place.workspace_id.as_str())).await?;
                    let Some(row) = rows.first() else { return Ok(false) };
                    self.place.workspace_id = crate::store::workspaces::decode_id(row)?;
                    self.place.mode = self.wanted.mode.unwrap_or(Mode::Test);
                }
                Stage::Decisions
            }
        };
        Ok(true)
    }

    fn decision(&mut self, scope: &Scope, row: &Row) -> Result<(), ApiError> {
        let id = row.text("id")?;
        self.report.decisions += 1;
        if let Some((stored, replayed)) = judged(row, self.wanted.rule)? {
            let conversion_id = row.text_opt("conversion_id")?;
            self.report.differs(Difference::of("decision", &id, conversion_id.as_deref(), stored, replayed));
        }
        let line = json!([
            "decision",
            scope.workspace_id,
            scope.mode,
            id,
            row.text_opt("conversion_id")?,
            row.text_opt("refused")?,
            row.text("verdict")?
        ]);
        self.takes_in(&line);
        Ok(())
    }

    fn commission(&mut self, scope: &Scope, row: &Row) -> Result<(), ApiError> {
        let sum = table::decode_sum(row)?;
        self.report.commissions += 1;
        let line = json!([
            "commission",
            scope.workspace_id,
            scope.mode,
            sum.id,
            sum.conversion_id,
            sum.participant_id,
            sum.currency,
            sum.amount_cents
        ]);
        self.takes_in(&line);
        Ok(())
    }

    async fn family(&mut self, scope: &Scope, mut family: table::Family) -> Result<(), ApiError> {
        self.report.families += 1;
        let off = |stored: String, replayed: &str| {
            Difference::of("family", family.id.as_str(), None, stored, replayed.to_owned())
        };
        let Some(key) = family.key.clone() else {
            let difference = off("no key leads to it".to_owned(), "a family is known by its sales' ids");
            self.report.differs(difference);
            return Ok(());
        };
        for attempt in 1..=ATTEMPTS_MAX {
            self.round_trips += 1;
            let rebuilt = match rebuild::rebuild(self.app, scope, &key, family.moment).await {
                Ok(rebuilt) => rebuilt,
                // A row that cannot be read; what cannot be reached is another matter.
                Err(ApiError::Internal(why)) => {
                    let difference = Difference::of(
                        "family",
                        family.id.as_str(),
                        None,
                        why,
                        "nothing: it cannot be read".to_owned(),
                    );
                    self.report.differs(difference);
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let moved = rebuilt.revision != family.revision && attempt < ATTEMPTS_MAX;
            if rebuilt.differences.is_empty() || !moved {
                self.report.facts += rebuilt.facts;
                let due = family.due_at.is_some_and(|due_at| due_at <= self.app.clock.now());
                if due && !rebuilt.differences.is_empty() {
                    self.report.waiting += 1;
                } else {
                    rebuilt.differences.into_iter().for_each(|difference| self.report.differs(difference));
                }
                return Ok(());
            }
            // Booked between the two reads, or joined to another.
            self.round_trips += 1;
            let rows = self.app.db.rows(table::family(scope, &family.id)).await?;
            let Some(row) = rows.first() else { return Ok(()) };
            family = table::decode_family(row)?;
        }
        Ok(())
    }
}

/// What is stored of a decision and what comes out, where they differ.
fn judged(row: &Row, rule: Rule) -> Result<Option<(String, String)>, ApiError> {
    if !conversions::is_as_written(row)? {
        let stored = "another row than was written: its digest does not match".to_owned();
        return Ok(Some((stored, verdict_of(row, rule))));
    }
    let decision = match conversions::decode_decision(row) {
        Ok(decision) => decision,
        Err(why @ DbError::Row { .. }) => return Ok(Some((why.to_string(), "nothing: it cannot be read".to_owned()))),
        Err(error) => return Err(error.into()),
    };
    let verdict = rule(&decision.inputs);
    if verdict != decision.verdict {
        let stored = format!("{} by rules {}", json!(decision.verdict), decision.rule_version);
        return Ok(Some((stored, format!("{} by rules {}", json!(verdict), attribution::RULE_VERSION))));
    }
    let refusal = refusal(&decision);
    if refusal != decision.refused {
        return Ok(Some((format!("refused {:?}", decision.refused), format!("refused {refusal:?}"))));
    }
    let participant_id = verdict.credit.as_ref().map(|credit| credit.participant_id.to_string());
    let stored = (row.text("reason")?, row.text_opt("participant_id")?);
    let replayed = (verdict.reason.as_str().to_owned(), participant_id);
    Ok((stored != replayed).then(|| (format!("listed as {stored:?}"), format!("{replayed:?}"))))
}

/// What comes of a row that was changed, as far as it can still be read.
fn verdict_of(row: &Row, rule: Rule) -> String {
    match row.json::<Inputs>("inputs") {
        Ok(inputs) => json!(rule(&inputs)).to_string(),
        Err(why) => why.to_string(),
    }
}

/// Why a refused report may not be recorded, by its inputs. One that was recorded was let in by what the report itself names,
/// and is not asked again.
fn refusal(decision: &Decision) -> Option<String> {
    decision.refused.as_ref()?;
    let refusal: Option<Refusal> = attribution::admit(&decision.inputs).err();
    refusal.map(|refusal| shapes::refusal_code(refusal).to_owned())
}

#[cfg(test)]
mod tests;
