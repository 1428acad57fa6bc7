//! `click_packs`, `click_sums` and `click_totals`: clicks, many to a row, and what they come to.
//!
//! A pack holds clicks of one workspace, mode and hour. What is not summed yet is added to while there is room; a summing moves
//! the totals and the mark up to which they are summed in one transaction. Messages come at least once and in any order: which
//! clicks are new is found by the very statement that writes them.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::WorkspaceId;
use domain::time::{HOUR_MS, Instant};
use url::Url;

use super::clicks::ClickRecord;
use super::{DbError, Row, Statement, to_json};

/// Clicks that one statement brings. A pack that has as many takes no more; so it holds less than twice as many.
const CLICKS_MAX: usize = 100;
/// Bytes of JSON that one statement brings, of the 2 MB that D1 binds and stores in a row. A record, its every character escaped,
/// is under 30 kB.
const BYTES_MAX: usize = 900_000;

/// A click as it lies in a pack; `packed_clicks` in the migrations reads it.
fn packed(record: &ClickRecord) -> Result<String, DbError> {
    let host = record.referrer.as_deref().and_then(|url| Url::parse(url).ok()?.host_str().map(str::to_owned));
    to_json(&(
        &record.click_id,
        record.link_number,
        record.clicked_at,
        u8::from(record.human),
        &record.flags,
        &record.url,
        &record.referrer,
        host.filter(|host| !host.is_empty()),
        &record.address_hash,
        &record.device,
        &record.browser,
        &record.country,
        &record.request_id,
    ))
}

/// What one statement brings.
struct Parcel<'a> {
    workspace_id: WorkspaceId,
    mode: &'a str,
    hour: i64,
    first_at: Instant,
    last_at: Instant,
    click_ids: Vec<&'a str>,
    /// A JSON list, but for its closing bracket.
    records: String,
}

/// Those of the clicks `?4` that are in no pack and, but for what a conversion wrote, not in `clicks`. `?1` the workspace, `?2` the
/// mode, `?3` the hour, `?5` and `?6` the first and the last moment.
macro_rules! fresh {
    () => {
        "(SELECT j.value AS record, CAST(j.value ->> 1 AS INTEGER) AS link_number, CAST(j.value ->> 2 AS INTEGER) AS clicked_at, \
         CAST(j.value ->> 3 AS INTEGER) AS human FROM json_each(?4) j WHERE j.value ->> 0 NOT IN \
         (SELECT r.value ->> 0 FROM click_packs p CROSS JOIN json_each(p.records) r WHERE p.workspace_id = CAST(?1 AS TEXT) \
         AND p.mode = CAST(?2 AS TEXT) AND p.hour = CAST(?3 AS INTEGER) AND p.first_at <= CAST(?6 AS INTEGER) \
         AND p.last_at >= CAST(?5 AS INTEGER)) \
         AND NOT EXISTS (SELECT 1 FROM clicks c WHERE c.click_id = j.value ->> 0 AND c.flags <> '[\"recovered\"]'))"
    };
}

/// From when on the workspace's clicks count: those before were counted when they came first.
macro_rules! counted_from {
    () => {
        "COALESCE((SELECT w.clicks_purged_until FROM workspaces w WHERE w.id = CAST(?1 AS TEXT)), 0)"
    };
}

macro_rules! summed_until {
    () => {
        "COALESCE((SELECT s.summed_until FROM click_sums s WHERE s.workspace_id = CAST(?1 AS TEXT) AND s.mode = CAST(?2 AS TEXT)), 0)"
    };
}

/// What the fresh ones come to, in one row; none where there are none.
macro_rules! gathered {
    () => {
        concat!(
            "(WITH fresh AS MATERIALIZED (SELECT *, clicked_at >= ",
            counted_from!(),
            " AS counts FROM ",
            fresh!(),
            ") SELECT min(clicked_at) AS first_at, max(clicked_at) AS last_at, count(*) AS clicks, SUM(counts AND human) AS humans, \
             SUM(counts AND NOT human) AS machines, (SELECT json_group_array(json_array(link_number, humans, machines)) FROM \
             (SELECT link_number, SUM(human) AS humans, SUM(1 - human) AS machines FROM fresh WHERE counts GROUP BY link_number)) \
             AS counted, json_group_array(json(record)) AS records FROM fresh",
            " HAVING count(*) > 0)"
        )
    };
}

/// Writes clicks: four statements for each workspace, mode and hour, all for one batch. Those that are there already stay as they
/// are; what a conversion had to write gives way.
pub fn insert_all(records: &[ClickRecord]) -> Result<Vec<Statement>, DbError> {
    let mut statements = Vec::new();
    for parcel in parcels(records)? {
        let bound = |sql: &'static str| {
            Statement::new(sql)
                .bind_workspace(&parcel.workspace_id)
                .bind(parcel.mode)
                .bind(parcel.hour)
                .bind(format!("{}]", parcel.records))
                .bind(parcel.first_at)
                .bind(parcel.last_at)
        };
        // Into the newest pack that has room, if it is not summed yet.
        statements.push(bound(concat!(
            "UPDATE click_packs SET first_at = min(click_packs.first_at, f.first_at), last_at = max(click_packs.last_at, f.last_at), \
             clicks = click_packs.clicks + f.clicks, humans = click_packs.humans + f.humans, \
             machines = click_packs.machines + f.machines, counted = CASE '[]' WHEN f.counted THEN click_packs.counted \
             WHEN click_packs.counted THEN f.counted \
             ELSE substr(click_packs.counted, 1, length(click_packs.counted) - 1) || ',' || substr(f.counted, 2) END, \
             records = substr(click_packs.records, 1, length(click_packs.records) - 1) || ',' || substr(f.records, 2) FROM ",
            gathered!(),
            " f WHERE click_packs.id = (SELECT p.id FROM click_packs p WHERE p.workspace_id = CAST(?1 AS TEXT) \
             AND p.mode = CAST(?2 AS TEXT) AND p.hour = CAST(?3 AS INTEGER) AND p.id > ",
            summed_until!(),
            " AND p.clicks < 100 AND length(p.records) < 250000 AND p.counted_from = ",
            counted_from!(),
            " ORDER BY p.id DESC LIMIT 1)"
        )));
        // Else into a pack of their own; of what was just added, nothing is fresh any more.
        statements.push(bound(concat!(
            "INSERT INTO click_packs (id, workspace_id, mode, hour, first_at, last_at, clicks, counted_from, humans, machines, counted, \
             records) \
             SELECT 1 + max(COALESCE((SELECT max(id) FROM click_packs), 0), ",
            summed_until!(),
            "), ?1, ?2, ?3, f.first_at, f.last_at, f.clicks, ",
            counted_from!(),
            ", f.humans, f.machines, f.counted, f.records FROM ",
            gathered!(),
            " f"
        )));
        statements.push(
            Statement::new(
                "INSERT INTO click_sums (workspace_id, mode, summed_until, since_hour) VALUES (?, ?, 0, ?) \
                 ON CONFLICT (workspace_id, mode) DO UPDATE SET since_hour = excluded.since_hour \
                 WHERE excluded.since_hour < click_sums.since_hour",
            )
            .bind_workspace(&parcel.workspace_id)
            .bind(parcel.mode)
            .bind(parcel.hour),
        );
        statements.push(
            Statement::new(
                "DELETE FROM clicks WHERE click_id IN (SELECT value FROM json_each(?)) AND flags = '[\"recovered\"]' \
                 AND workspace_id = ? AND mode = ?",
            )
            .bind(to_json(&parcel.click_ids)?)
            .bind_workspace(&parcel.workspace_id)
            .bind(parcel.mode),
        );
    }
    Ok(statements)
}

/// Each click once, by workspace, mode and hour, in the order of time, in bounded parcels.
fn parcels(records: &[ClickRecord]) -> Result<Vec<Parcel<'_>>, DbError> {
    let mut apart: BTreeMap<(&str, &str, i64), Vec<&ClickRecord>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for record in records.iter().filter(|record| seen.insert(record.click_id.as_str())) {
        let hour = record.clicked_at.ms().div_euclid(HOUR_MS);
        apart.entry((&record.workspace_id, &record.mode, hour)).or_default().push(record);
    }
    let mut parcels: Vec<Parcel<'_>> = Vec::new();
    for ((workspace_id, mode, hour), mut together) in apart {
        let wrong = DbError::Row { column: "workspace_id", expected: "a workspace id" };
        let workspace_id = WorkspaceId::parse(workspace_id).ok_or(wrong)?;
        together.sort_by_key(|record| record.clicked_at);
        let mut open: Option<Parcel<'_>> = None;
        for record in together {
            let (at, text) = (record.clicked_at, packed(record)?);
            let fits = |parcel: &Parcel<'_>| {
                parcel.click_ids.len() < CLICKS_MAX && parcel.records.len() + text.len() < BYTES_MAX
            };
            match open.as_mut().filter(|parcel| fits(parcel)) {
                Some(parcel) => {
                    parcel.records.push(',');
                    parcel.records.push_str(&text);
                    parcel.last_at = at;
                    parcel.click_ids.push(&record.click_id);
                }
                None => parcels.extend(open.replace(Parcel {
                    workspace_id: workspace_id.clone(),
                    mode,
                    hour,
                    first_at: at,
                    last_at: at,
                    click_ids: vec![&record.click_id],
                    records: format!("[{text}"),
                })),
            }
        }
        parcels.extend(open);
    }
    Ok(parcels)
}

/// When a workspace's packs are summed. A summing writes a row for each link, day, country and so on that it meets, however many
/// clicks that link has: hence seldom. Pages add what waits, which is why it is not more.
#[derive(Clone, Copy, Debug)]
pub struct Least {
    /// So many clicks wait, or ten for each row that the last summing wrote, but at most a hundred times as many as this.
    pub clicks: i64,
    /// Or one that is so many hours old.
    pub hours: i64,
}

/// Packs that one summing takes: a hundred thousand clicks, if they are full.
const SUMMED_MAX: i64 = 1_000;

/// What is to be summed.
#[derive(Clone, Debug)]
pub struct Due {
    workspace_id: WorkspaceId,
    mode: String,
    /// The mark as it is.
    from: i64,
    /// The mark as it will be.
    until: i64,
}

/// Workspaces and modes whose packs are to be summed by now: of each, some. At most `limit`, those with the oldest clicks first.
pub fn due(now: Instant, least: Least, limit: i64) -> Statement {
    Statement::somewhere(
        "SELECT s.workspace_id, s.mode, s.summed_until, (SELECT max(id) FROM (SELECT p.id FROM click_packs p \
         WHERE p.workspace_id = s.workspace_id AND p.mode = s.mode AND p.hour >= s.since_hour AND p.id > s.summed_until \
         ORDER BY p.id LIMIT ?)) AS until, min(p.hour) AS since FROM click_sums s CROSS JOIN click_packs p \
         ON p.workspace_id = s.workspace_id AND p.mode = s.mode AND p.hour >= s.since_hour AND p.id > s.summed_until \
         GROUP BY s.workspace_id, s.mode, s.summed_until, s.since_hour, s.wrote \
         HAVING sum(p.clicks) >= max(CAST(? AS INTEGER), min(10 * s.wrote, CAST(? AS INTEGER))) OR since <= ? ORDER BY since LIMIT ?",
    )
    .bind(SUMMED_MAX)
    .bind(least.clicks)
    .bind(100 * least.clicks)
    .bind(now.ms().div_euclid(HOUR_MS) - least.hours)
    .bind(limit)
}

/// Reads a row of [`due`].
pub fn decode_due(row: &Row) -> Result<Due, DbError> {
    Ok(Due {
        workspace_id: row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?,
        mode: row.text("mode")?,
        from: row.integer("summed_until")?,
        until: row.integer("until")?,
    })
}

/// What the clicks `g` come to by kind, name and day, where `h` holds the hosts that are told apart.
macro_rules! by_kind {
    () => {
        "SELECT kind, name, day, SUM(humans) AS humans, SUM(machines) AS machines FROM (SELECT k.value AS kind, CASE k.value \
         WHEN 'all' THEN '' WHEN 'participant' THEN g.participant_id WHEN 'country' THEN g.country WHEN 'device' THEN g.device \
         WHEN 'referrer_host' THEN iif(g.host IS NULL OR g.host IN (SELECT host FROM h), g.host, '') \
         ELSE CAST(g.link_number AS TEXT) END AS name, iif(k.value = 'link_ever', 0, g.day) AS day, g.humans, g.machines \
         FROM g CROSS JOIN json_each('[\"all\",\"link\",\"link_ever\",\"participant\",\"country\",\"device\",\"referrer_host\"]') k) \
         WHERE name IS NOT NULL GROUP BY kind, name, day"
    };
}

/// The clicks `k` that count, grouped by all that is told apart.
macro_rules! grouped {
    ($which:expr) => {
        concat!(
            "g AS MATERIALIZED (SELECT k.hour / 24 AS day, k.link_number, l.participant_id, k.country, k.device, k.referrer_host AS host, \
             SUM(k.human) AS humans, SUM(1 - k.human) AS machines FROM ",
            $which,
            " AND k.clicked_at >= k.counted_from GROUP BY 1, 2, 3, 4, 5, 6)"
        )
    };
}

/// Adds packs to the totals and moves the mark, unless somebody has moved it meanwhile. One batch. Of hosts, those with the most
/// clicks are told apart: whoever invents them makes no more rows.
pub fn sum(due: &Due) -> Vec<Statement> {
    let bound =
        |sql| Statement::new(sql).bind_workspace(&due.workspace_id).bind(&due.mode).bind(due.from).bind(due.until);
    vec![
        bound(concat!(
            "INSERT INTO click_totals (workspace_id, mode, kind, name, day, humans, machines) \
             SELECT ?1, ?2, kind, name, day, humans, machines FROM (WITH ",
            grouped!(
                "click_sums s CROSS JOIN packed_clicks k ON k.workspace_id = s.workspace_id AND k.mode = s.mode \
                 AND k.hour >= s.since_hour AND +k.pack_id > s.summed_until LEFT JOIN links l ON l.number = k.link_number \
                 WHERE s.workspace_id = ?1 AND s.mode = ?2 AND s.summed_until = ?3 AND +k.pack_id <= ?4"
            ),
            ", h AS MATERIALIZED (SELECT host FROM g WHERE host IS NOT NULL GROUP BY host ORDER BY SUM(humans + machines) DESC, host \
             LIMIT 50) ",
            by_kind!(),
            ") WHERE true ON CONFLICT (workspace_id, mode, kind, name, day) \
             DO UPDATE SET humans = humans + excluded.humans, machines = machines + excluded.machines"
        )),
        bound(
            "UPDATE click_sums SET wrote = changes(), summed_until = ?4, since_hour = COALESCE((SELECT min(p.hour) FROM click_packs p \
             WHERE p.workspace_id = ?1 AND p.mode = ?2 AND p.hour >= click_sums.since_hour AND p.id > ?4), \
             (SELECT p.hour FROM click_packs p WHERE p.id = ?4), since_hour) \
             WHERE workspace_id = ?1 AND mode = ?2 AND summed_until = ?3",
        ),
    ]
}

/// The numbers of a program's links. `?1` the program.
macro_rules! links {
    () => {
        "(SELECT l.number FROM participants m JOIN links l ON l.participant_id = m.id WHERE m.program_id = ?1)"
    };
}

/// Packs of test mode that hold clicks of a program, some of them. `?2` how many.
macro_rules! touched {
    () => {
        concat!(
            "(SELECT p.id FROM programs q CROSS JOIN click_packs p ON p.workspace_id = q.workspace_id AND p.mode = 'test' \
             WHERE q.id = ?1 AND EXISTS (SELECT 1 FROM json_each(p.records) r WHERE r.value ->> 1 IN ",
            links!(),
            ") ORDER BY p.id LIMIT CAST(?2 AS INTEGER))"
        )
    };
}

/// Takes a program's clicks out of so many packs of test mode, and out of the totals where they are summed. A host that some summing
/// did not tell apart is taken from its own row if it has one: the only case in which a total of hosts is not exact.
pub fn take_out(program_id: &str, limit: i64) -> Vec<Statement> {
    let bound = |sql: &'static str| Statement::new(sql).bind(program_id).bind(limit);
    vec![
        bound(concat!(
            "UPDATE click_totals SET humans = click_totals.humans - t.humans, machines = click_totals.machines - t.machines FROM (WITH ",
            grouped!(concat!(
                "packed_clicks k LEFT JOIN links l ON l.number = k.link_number WHERE k.pack_id IN ",
                touched!(),
                " AND k.link_number IN ",
                links!(),
                " AND k.pack_id <= (SELECT s.summed_until FROM click_sums s WHERE s.workspace_id = k.workspace_id AND s.mode = k.mode)"
            )),
            ", h AS MATERIALIZED (SELECT DISTINCT t.name AS host FROM programs q CROSS JOIN click_totals t \
             ON t.workspace_id = q.workspace_id AND t.mode = 'test' AND t.kind = 'referrer_host' WHERE q.id = ?1) ",
            by_kind!(),
            ") t WHERE click_totals.workspace_id = (SELECT q.workspace_id FROM programs q WHERE q.id = ?1) \
             AND click_totals.mode = 'test' AND click_totals.kind = t.kind AND click_totals.name = t.name AND click_totals.day = t.day"
        )),
        bound(concat!(
            "UPDATE click_packs SET clicks = (SELECT count(*) FROM json_each(click_packs.records) r WHERE r.value ->> 1 NOT IN ",
            links!(),
            "), humans = (SELECT COALESCE(SUM(c.value ->> 1), 0) FROM json_each(click_packs.counted) c WHERE c.value ->> 0 NOT IN ",
            links!(),
            "), machines = (SELECT COALESCE(SUM(c.value ->> 2), 0) FROM json_each(click_packs.counted) c WHERE c.value ->> 0 NOT IN ",
            links!(),
            "), counted = (SELECT json_group_array(json(c.value)) FROM json_each(click_packs.counted) c WHERE c.value ->> 0 NOT IN ",
            links!(),
            "), records = (SELECT json_group_array(json(r.value)) FROM json_each(click_packs.records) r \
             WHERE r.value ->> 1 NOT IN ",
            links!(),
            ") WHERE id IN ",
            touched!()
        )),
        Statement::new(
            "DELETE FROM click_packs WHERE id IN (SELECT p.id FROM programs q CROSS JOIN click_packs p \
             ON p.workspace_id = q.workspace_id AND p.mode = 'test' WHERE q.id = ? AND p.clicks = 0)",
        )
        .bind(program_id),
    ]
}
