//! Clicks, wherever their records lie: in packs (`store::packs`), or in `clicks` where a conversion had to write one, or where they
//! are from before there were packs.

use domain::retention::PURGED_EVERY_MS;
use domain::time::{DAY_MS, HOUR_MS, Instant};
use serde::{Deserialize, Serialize};

use super::{DbError, Row, Scope, Statement};

/// A click's record. It travels by queue, so its JSON is a format of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickRecord {
    /// The UUID.
    pub click_id: String,
    /// The workspace.
    pub workspace_id: String,
    /// `test` or `live`.
    pub mode: String,
    /// The link's number.
    pub link_number: i64,
    /// When.
    pub clicked_at: Instant,
    /// The page, without its fragment.
    pub url: Option<String>,
    /// The page before.
    pub referrer: Option<String>,
    /// Counted.
    pub human: bool,
    /// Why not counted; `unmetered`; `recovered`.
    pub flags: Vec<String>,
    /// Address and user agent under a salt of the day.
    pub address_hash: Option<String>,
    /// Coarse.
    pub device: Option<String>,
    /// Coarse.
    pub browser: Option<String>,
    /// Two letters.
    pub country: Option<String>,
    /// The request that registered it.
    pub request_id: Option<String>,
}

/// Marks a record that a conversion wrote because the click's own had not come.
pub const RECOVERED: &str = "recovered";

/// Writes the records of clicks that a conversion names. One that is there stays, in a pack too (a trigger sees to that), and it is
/// counted where it is new: by triggers, but for one from before the last purge, which was counted when it came first.
pub fn recover(records: &[ClickRecord]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO clicks (click_id, workspace_id, mode, link_number, clicked_at, url, referrer, human, flags, \
         address_hash, device, browser, country, request_id) \
         SELECT value->>'click_id', value->>'workspace_id', value->>'mode', CAST(value->>'link_number' AS INTEGER), \
         CAST(value->>'clicked_at' AS INTEGER), value->>'url', value->>'referrer', CAST(value->>'human' AS INTEGER), \
         value->'flags', value->>'address_hash', value->>'device', value->>'browser', value->>'country', \
         value->>'request_id' FROM json_each(?) WHERE true ON CONFLICT (click_id) DO NOTHING",
    )
    .bind(super::to_json(&records)?))
}

/// Which workspaces a purge looks at: those whose turn it is, longest overdue first. Each part of [`purge`] finds the same ones.
const TO_PURGE: &str =
    "(SELECT id, clicks_purged_until FROM workspaces WHERE clicks_purge_at <= ? ORDER BY clicks_purge_at, id LIMIT ?)";

/// Purges clicks that were kept long enough, at most so many packs and single rows, of at most `workspaces`; whoever has none left
/// has its turn again a day later. That they are purged is noted before: none of them is ever counted twice. A pack goes whole, once
/// its newest click may go and its clicks are summed.
pub fn purge(now: Instant, workspaces: i64, packs: i64, rows: i64) -> Vec<Statement> {
    let whose = |statement: Statement| statement.push(TO_PURGE).bind(now).bind(workspaces);
    let note = Statement::each(
        "UPDATE workspaces SET clicks_purged_until = max(clicks_purged_until, CAST(? AS INTEGER) - clicks_kept_days * 86400000) \
         WHERE id IN (SELECT id FROM ",
    )
    .bind(now);
    let delete_packs = whose(Statement::each("DELETE FROM click_packs WHERE id IN (SELECT p.id FROM "))
        .push(
            " w CROSS JOIN click_sums s ON s.workspace_id = w.id CROSS JOIN click_packs p ON p.workspace_id = s.workspace_id \
             AND p.mode = s.mode AND p.hour <= w.clicks_purged_until / 3600000 AND p.last_at < w.clicks_purged_until \
             AND +p.id <= s.summed_until LIMIT ?)",
        )
        .bind(packs);
    let delete = whose(Statement::each("DELETE FROM clicks WHERE click_id IN (SELECT c.click_id FROM "))
        .push(
            " w CROSS JOIN (SELECT 'test' AS mode UNION ALL SELECT 'live') m CROSS JOIN clicks c ON c.workspace_id = w.id \
             AND c.mode = m.mode AND c.clicked_at < w.clicks_purged_until LIMIT ?)",
        )
        .bind(rows);
    let settle = whose(
        Statement::each("UPDATE workspaces SET clicks_purge_at = ? WHERE id IN (SELECT w.id FROM ")
            .bind(now.plus_ms(PURGED_EVERY_MS)),
    )
    .push(
        " w WHERE NOT EXISTS (SELECT 1 FROM clicks c WHERE c.workspace_id = w.id AND c.mode = 'test' \
         AND c.clicked_at < w.clicks_purged_until) AND NOT EXISTS (SELECT 1 FROM clicks c WHERE c.workspace_id = w.id \
         AND c.mode = 'live' AND c.clicked_at < w.clicks_purged_until) AND NOT EXISTS (SELECT 1 FROM click_sums s \
         CROSS JOIN click_packs p ON p.workspace_id = s.workspace_id AND p.mode = s.mode \
         AND p.hour <= w.clicks_purged_until / 3600000 AND p.last_at < w.clicks_purged_until WHERE s.workspace_id = w.id))",
    );
    vec![whose(note).push(")"), delete_packs, delete, settle]
}

/// A click as it is listed.
#[derive(Clone, Debug)]
pub struct Click {
    /// The record.
    pub record: ClickRecord,
    /// The link's id.
    pub link_id: Option<String>,
    /// Whose link.
    pub participant_id: Option<String>,
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One link.
    pub link_id: Option<String>,
    /// One participant.
    pub participant_id: Option<String>,
    /// Humans only, or machines only.
    pub human: Option<bool>,
    /// Not before.
    pub from: Option<Instant>,
    /// Before.
    pub to: Option<Instant>,
}

/// A record's columns, of a pack or of `clicks`.
macro_rules! record {
    ($of:literal) => {
        concat!(
            $of,
            ".click_id, ",
            $of,
            ".workspace_id, ",
            $of,
            ".mode, ",
            $of,
            ".link_number, ",
            $of,
            ".clicked_at, ",
            $of,
            ".url, ",
            $of,
            ".referrer, ",
            $of,
            ".human, ",
            $of,
            ".flags, ",
            $of,
            ".address_hash, ",
            $of,
            ".device, ",
            $of,
            ".browser, ",
            $of,
            ".country, ",
            $of,
            ".request_id"
        )
    };
}

/// A click that is looked for: its id, and when it was, which the id itself tells (`Secrets::clicked_at`). One whose id does not
/// tell may be among the single rows.
pub type Sought<'a> = (&'a str, Option<Instant>);

/// The clicks with these ids, where their records are there. A pack that cannot hold one is not opened.
pub fn by_ids(scope: &Scope, sought: &[Sought<'_>]) -> Result<Statement, DbError> {
    Ok(Statement::new(concat!(
        "SELECT c.*, l.id AS link_id, l.participant_id FROM (SELECT ",
        record!("k"),
        " FROM json_each(?3) j CROSS JOIN packed_clicks k ON k.workspace_id = ?1 AND k.mode = ?2 \
         AND k.hour = CAST(j.value ->> 1 AS INTEGER) / 3600000 AND k.first_at <= j.value ->> 1 AND k.last_at >= j.value ->> 1 \
         AND instr(k.records, j.value ->> 0) > 0 AND k.click_id = j.value ->> 0 UNION ALL SELECT ",
        record!("o"),
        " FROM json_each(?3) j CROSS JOIN clicks o ON o.click_id = j.value ->> 0 AND +o.workspace_id = ?1 AND +o.mode = ?2) c \
         LEFT JOIN links l ON l.number = c.link_number"
    ))
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(super::to_json(&sought)?))
}

/// How far one page looks: so many packs at most, and so many clicks in them.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Packs.
    pub packs: i64,
    /// Clicks, but for those of the first pack.
    pub clicks: i64,
}

impl Reach {
    /// Enough for the newest few.
    pub const NEWEST: Self = Self { packs: 10, clicks: 40 };
    /// Enough for a page, where nothing rare is looked for and clicks do not come slowly.
    pub const FIRST: Self = Self { packs: 10, clicks: 150 };
    /// Where a page ends, whether it is full or not, as long as it has moved on.
    pub const PAGE: Self = Self { packs: 100, clicks: 1_500 };

    /// Ten times as far.
    pub const fn further(self) -> Self {
        Self { packs: self.packs * 10, clicks: self.clicks * 10 }
    }
}

/// Days on which links that a filter names were clicked, as many as one page looks at.
pub const DAYS_MAX: usize = 31;

/// The newest days on which links that the filter names were clicked, [`DAYS_MAX`] and one; none where it names none.
pub fn days(scope: &Scope, filter: &Filter, after: Option<&(Instant, String)>) -> Option<Statement> {
    if filter.link_id.is_none() && filter.participant_id.is_none() {
        return None;
    }
    let last = last(filter, after).map_or(i64::MAX >> 11, |last| last.ms().div_euclid(DAY_MS));
    let bound = |statement: Statement| statement.bind_workspace(&scope.workspace_id).bind(scope.mode);
    let mut statement = bound(Statement::new("SELECT DISTINCT day FROM (SELECT t.day FROM ("));
    statement =
        of_links(statement.push("SELECT l.number FROM links l WHERE l.workspace_id = ? AND l.mode = ?"), filter);
    statement = bound(statement.push(
        ") n CROSS JOIN click_totals t ON t.workspace_id = ? AND t.mode = ? AND t.kind = 'link' AND t.name = CAST(n.number AS TEXT) \
         AND t.day <= ? UNION ALL SELECT p.hour / 24 AS day FROM click_sums s CROSS JOIN click_packs p \
         ON p.workspace_id = s.workspace_id AND p.mode = s.mode AND p.hour >= s.since_hour AND p.id > s.summed_until \
         WHERE s.workspace_id = ? AND s.mode = ? AND p.hour / 24 <= ?",
    ));
    // In the order of the marks.
    statement = statement.bind(last);
    statement = bound(statement).bind(last);
    Some(statement.push(") WHERE day >= ? ORDER BY day DESC LIMIT ?").bind(first_day(filter)).bind(DAYS_MAX as i64 + 1))
}

/// The links that a filter names, as a condition on `l`.
fn of_links(statement: Statement, filter: &Filter) -> Statement {
    statement
        .push_if(" AND l.id = ?", filter.link_id.as_ref())
        .push_if(" AND l.participant_id = ?", filter.participant_id.as_ref())
}

/// The last moment that the list may have something of.
fn last(filter: &Filter, after: Option<&(Instant, String)>) -> Option<Instant> {
    let to = filter.to.map(|to| to.plus_ms(-1));
    [to, after.map(|(at, _)| *at)].into_iter().flatten().min()
}

fn first_day(filter: &Filter) -> i64 {
    filter.from.map_or(i64::MIN >> 11, |from| from.ms().div_euclid(DAY_MS))
}

/// A page of clicks, newest first; `after` is the time and id of the last one seen. `hours` are those in which packs are looked at,
/// where not all are. It has what is complete: what is newer than anything in the packs that it does not reach (see [`floor`]).
pub fn list(
    scope: &Scope,
    filter: &Filter,
    after: Option<&(Instant, String)>,
    hours: Option<&str>,
    reach: Reach,
    limit: i64,
) -> Statement {
    let narrowed = |statement: Statement, alias: Alias| {
        let mut statement = statement
            .push_if(alias.pick(" AND k.human = ?", " AND o.human = ?"), filter.human)
            .push_if(alias.pick(" AND k.clicked_at >= ?", " AND o.clicked_at >= ?"), filter.from)
            .push_if(alias.pick(" AND k.clicked_at < ?", " AND o.clicked_at < ?"), filter.to);
        if let Some((at, click_id)) = after {
            let piece =
                alias.pick(" AND (k.clicked_at, k.click_id) < (?, ?)", " AND (o.clicked_at, o.click_id) < (?, ?)");
            statement = statement.push(piece).bind(*at).bind(click_id);
        }
        if filter.link_id.is_some() || filter.participant_id.is_some() {
            let piece = alias.pick(" AND k.link_number IN (", " AND o.link_number IN (");
            statement = scope_of(scope, statement.push(piece).push("SELECT l.number FROM links l "));
            statement = of_links(statement, filter).push(")");
        }
        statement
    };
    let chosen = Statement::new("SELECT c.*, l.id AS link_id, l.participant_id FROM (WITH chosen AS MATERIALIZED (");
    let packed = chosen_by(chosen, scope, filter, after, hours, reach).push(concat!(
        ") SELECT ",
        record!("k"),
        " FROM packed_clicks k WHERE k.pack_id IN (SELECT id FROM chosen WHERE is_reached) \
         AND k.clicked_at > (SELECT COALESCE(max(last_at), -1) FROM chosen WHERE NOT is_reached)"
    ));
    let rows =
        narrowed(packed, Alias::Packed).push(concat!(" UNION ALL SELECT ", record!("o"), " FROM clicks o WHERE "));
    let rows = rows
        .push("o.workspace_id = ? AND o.mode = ?")
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .push(" AND o.clicked_at > (SELECT COALESCE(max(last_at), -1) FROM chosen WHERE NOT is_reached)");
    narrowed(rows, Alias::Row)
        .push(" ORDER BY clicked_at DESC, click_id DESC LIMIT ?")
        .bind(limit + 1)
        .push(") c LEFT JOIN links l ON l.number = c.link_number ORDER BY c.clicked_at DESC, c.click_id DESC")
}

/// Where a condition stands.
#[derive(Clone, Copy)]
enum Alias {
    Packed,
    Row,
}

impl Alias {
    const fn pick(self, packed: &'static str, row: &'static str) -> &'static str {
        match self {
            Self::Packed => packed,
            Self::Row => row,
        }
    }
}

fn scope_of(scope: &Scope, statement: Statement) -> Statement {
    statement.push("WHERE l.workspace_id = ? AND l.mode = ?").bind_workspace(&scope.workspace_id).bind(scope.mode)
}

/// Up to when the packs that [`list`] does not reach have clicks, in one row: NULL where it reaches all.
pub fn floor(
    scope: &Scope,
    filter: &Filter,
    after: Option<&(Instant, String)>,
    hours: Option<&str>,
    reach: Reach,
) -> Statement {
    let chosen = Statement::new("SELECT max(last_at) AS floor FROM (");
    chosen_by(chosen, scope, filter, after, hours, reach).push(") WHERE NOT is_reached")
}

/// The newest packs that may hold something of the list, and one beyond its reach if there is one.
fn chosen_by(
    statement: Statement,
    scope: &Scope,
    filter: &Filter,
    after: Option<&(Instant, String)>,
    hours: Option<&str>,
    reach: Reach,
) -> Statement {
    let last = last(filter, after);
    let hour = |at: Instant| at.ms().div_euclid(HOUR_MS);
    statement
        .push("SELECT id, last_at, place <= ? AND sooner < ? AS is_reached FROM (SELECT id, last_at, row_number() OVER w AS place, \
               sum(clicks) OVER w - clicks AS sooner FROM (SELECT p.id, p.hour, p.last_at, p.clicks FROM click_packs p \
               WHERE p.workspace_id = ? AND p.mode = ?")
        .bind(reach.packs)
        .bind(reach.clicks)
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .push_if(" AND p.hour <= ?", last.map(hour))
        .push_if(" AND p.first_at <= ?", last)
        .push_if(" AND p.hour >= ?", filter.from.map(hour))
        .push_if(" AND p.last_at >= ?", filter.from)
        .push_if(" AND p.hour IN (SELECT value FROM json_each(?))", hours)
        .push(" ORDER BY p.hour DESC, p.last_at DESC, p.id DESC LIMIT ?) WINDOW w AS (ORDER BY hour DESC, last_at DESC, id DESC))")
        .bind(reach.packs + 1)
}

/// Reads a click.
pub fn decode(row: &Row) -> Result<Click, DbError> {
    Ok(Click {
        record: ClickRecord {
            click_id: row.text("click_id")?,
            workspace_id: row.text("workspace_id")?,
            mode: row.text("mode")?,
            link_number: row.integer("link_number")?,
            clicked_at: row.instant("clicked_at")?,
            url: row.text_opt("url")?,
            referrer: row.text_opt("referrer")?,
            human: row.flag("human")?,
            flags: row.json("flags")?,
            address_hash: row.text_opt("address_hash")?,
            device: row.text_opt("device")?,
            browser: row.text_opt("browser")?,
            country: row.text_opt("country")?,
            request_id: row.text_opt("request_id")?,
        },
        link_id: row.text_opt("link_id")?,
        participant_id: row.text_opt("participant_id")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn click_record_format_unchanged() {
        let record = ClickRecord {
            click_id: "c".into(),
            workspace_id: "ws".into(),
            mode: "test".into(),
            link_number: 1,
            clicked_at: Instant::from_ms(5),
            url: Some("https://shop.test/".into()),
            referrer: None,
            human: true,
            flags: vec!["unmetered".into()],
            address_hash: None,
            device: Some("mobile".into()),
            browser: Some("safari".into()),
            country: None,
            request_id: Some("req".into()),
        };
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"click_id":"c","workspace_id":"ws","mode":"test","link_number":1,"clicked_at":5,"url":"https://shop.test/","referrer":null,"human":true,"flags":["unmetered"],"address_hash":null,"device":"mobile","browser":"safari","country":null,"request_id":"req"}"#
        );
    }
}
