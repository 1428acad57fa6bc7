//! What a page costs in a workspace that has grown: round trips to D1, and the rows that D1 says it read for them.
//!
//! A tenth of the size by default; `SELGEO_ROWS=1000000` for 10^6 clicks, 10^5 conversions and 10^4 partners.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use e2e::{Browser, Engine, Server, Timer, crawl, furnish, live_participant};
use rusqlite::Connection;
use serde_json::json;

const CLICKS_DEFAULT: u64 = 100_000;
const TRIPS_MAX: u64 = 5;
/// A few hundred.
const ROWS_MAX: u64 = 700;
/// Times that a page is asked for: another request's reads may be counted with one, hardly with each.
const TIMES: usize = 3;

struct Town {
    browser: Browser,
    server: Server,
    quiet: Quiet,
}

/// Who has nothing among all who have much: a list of theirs finds no row, however long it looks.
struct Quiet {
    participant: String,
    link: String,
}

e2e::suite! {
    start;
    every_page_of_the_dashboard_costs_little_however_much_there_is,
    every_page_of_the_portal_costs_little_however_much_there_is,
    payouts_and_statements_cost_little_however_much_there_is,
}

fn start() -> Result<Town> {
    let mut server = Server::start()?;
    furnish(&server)?;
    server.kill9()?;
    let clicks = env::var("SELGEO_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(CLICKS_DEFAULT);
    let timer = Timer::start();
    let quiet = grow(&server.state(), server.text("/workspace_id")?, clicks)?;
    println!(
        "{clicks} clicks, {} conversions, {} partners ({:.0} s)",
        clicks / 10,
        clicks / 100,
        timer.elapsed().as_secs_f64()
    );
    server.restart()?;
    Ok(Town { browser: Browser::start(Engine::Chromium)?, server, quiet })
}

/// The local D1's file: the one beside the platform's own.
fn database(state: &Path) -> Result<PathBuf> {
    let mut folders = vec![state.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let is_database = path.extension().is_some_and(|end| end == "sqlite") && !path.ends_with("metadata.sqlite");
            if path.is_dir() {
                folders.push(path);
            } else if is_database && folder.to_string_lossy().contains("D1Database") {
                return Ok(path);
            }
        }
    }
    anyhow::bail!("no database in {}", state.display())
}

/// Ids that sort among the others and say their number.
const ID: &str = "substr(id, 1, instr(id, '_') + 10) || printf('%016x', n.n)";

/// Copies what one sale left behind, as often as it takes; the triggers add up the totals as they always do. Of what is to be looked
/// at there is little, and the last participant and their link have nothing.
fn grow(state: &Path, workspace: &str, clicks: u64) -> Result<Quiet> {
    let database = Connection::open(database(state)?)?;
    let sale: (String, String) = database.query_row(
        "SELECT id, family_id FROM conversions WHERE workspace_id = ?1 AND mode = 'test' AND attributed_click_id IS NOT NULL LIMIT 1",
        [workspace],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    // Everybody's in turn.
    let participant = format!(
        "iif(participant_id IS NULL, NULL, substr(participant_id, 1, 14) || printf('%016x', 1 + n.n % {}))",
        clicks / 100
    );
    let participant = participant.as_str();
    let quiet = format!("substr(participant_id, 1, 14) || printf('%016x', {})", clicks / 100 + 1);
    let quiet = quiet.as_str();
    let copies = [
        (
            "partners",
            clicks / 100 + 1,
            "id = (SELECT partner_id FROM participants WHERE id = (SELECT participant_id FROM conversions WHERE id = :sale))",
            &[("id", ID), ("email", "'p' || n.n || '@grown.example'"), ("name", "'Partner ' || n.n")][..],
        ),
        (
            "participants",
            clicks / 100 + 1,
            "id = (SELECT participant_id FROM conversions WHERE id = :sale)",
            &[
                ("id", ID),
                ("partner_id", "substr(partner_id, 1, 15) || printf('%016x', n.n)"),
                ("status", "iif(n.n % 100, status, 'pending')"),
            ],
        ),
        ("families", clicks / 10, "id = :family", &[("id", ID), ("due_at", "NULL")]),
        (
            "conversions",
            clicks / 10,
            "id = :sale",
            &[
                ("id", ID),
                ("family_id", "substr(family_id, 1, 14) || printf('%016x', n.n)"),
                ("external_transaction_id", "'grown-' || n.n"),
                ("occurred_at", "occurred_at - n.n * 600000"),
                ("participant_id", participant),
            ],
        ),
        (
            "decisions",
            clicks / 10,
            "conversion_id = :sale",
            &[
                ("id", ID),
                ("conversion_id", "substr(conversion_id, 1, 15) || printf('%016x', n.n)"),
                ("external_transaction_id", "'grown-' || n.n"),
            ],
        ),
        (
            "commissions",
            clicks / 10,
            "conversion_id = :sale",
            &[
                ("id", ID),
                ("conversion_id", "substr(conversion_id, 1, 15) || printf('%016x', n.n)"),
                ("participant_id", participant),
                ("needs_review", "iif(n.n % 1000, needs_review, '[\"no_auto_approval\"]')"),
                ("state", "iif(n.n % 1000, state, 'pending')"),
                ("hold_until", "hold_until + 86400000"),
            ],
        ),
        (
            "entries",
            clicks / 10,
            "commission_id = (SELECT id FROM commissions WHERE conversion_id = :sale)",
            &[("id", ID), ("commission_id", "substr(commission_id, 1, 14) || printf('%016x', n.n)")],
        ),
        (
            "refunds",
            clicks / 10,
            "conversion_id IN (SELECT id FROM conversions WHERE mode = 'test' AND workspace_id = \
             (SELECT workspace_id FROM conversions WHERE id = :sale))",
            &[
                ("id", ID),
                ("key", "key || '-' || n.n"),
                ("conversion_id", "iif(n.n % 1000, substr(conversion_id, 1, 15) || printf('%016x', n.n), NULL)"),
            ],
        ),
        (
            "links",
            1,
            "participant_id = (SELECT participant_id FROM conversions WHERE id = :sale)",
            &[
                ("number", "NULL"),
                ("id", ID),
                ("ref", "'quiet'"),
                ("slug", "'quiet'"),
                ("participant_id", quiet),
                ("human_clicks", "0"),
            ],
        ),
        (
            "events",
            clicks / 10,
            "subject = :sale AND sequence = 1",
            &[
                // A delivery's id is made of this one's beginning.
                ("id", "substr(id, 1, 14) || printf('%06x', n.n) || substr(id, 21)"),
                ("subject", "substr(subject, 1, 15) || printf('%016x', n.n)"),
            ],
        ),
    ];
    database.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN")?;
    for (table, count, which, changed) in copies {
        copy(&database, table, count, which, changed, &sale).with_context(|| format!("{table} could not be copied"))?;
    }
    packs(&database, clicks, &sale.0).context("clicks could not be packed")?;
    let paid: (String, String) = database.query_row(
        "SELECT id, family_id FROM conversions WHERE workspace_id = ?1 AND mode = 'live' ORDER BY id LIMIT 1",
        [workspace],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (table, count, which, changed) in payouts(clicks) {
        copy(&database, table, count, which, changed, &paid).with_context(|| format!("{table} could not be copied"))?;
    }
    database.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    let quiet = database.query_row("SELECT participant_id, id FROM links WHERE ref = 'quiet'", [], |row| {
        Ok(Quiet { participant: row.get(0)?, link: row.get(1)? })
    })?;
    Ok(quiet)
}

/// The newest packs, which wait to be summed: they hold nearly as many clicks as may wait.
const PENDING: u64 = 16;

/// A click a minute on the link of a sale's participant, in packs of an hour that are summed but for the newest.
fn packs(database: &Connection, clicks: u64, sale: &str) -> Result<()> {
    let records = "json_array(printf('%08x-0000-4000-8000-%012x', n, n), number, at, 1, json_array(), 'https://shop.example/', NULL, NULL, \
        NULL, 'desktop', 'firefox', 'DE', NULL)";
    let made = database.execute(
        &format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {clicks}) \
             INSERT INTO click_packs (workspace_id, mode, hour, first_at, last_at, clicks, counted_from, humans, machines, counted, records) \
             SELECT workspace_id, mode, at / 3600000, min(at), max(at), count(*), 0, count(*), 0, json_array(json_array(number, count(*), 0)), json_group_array({records}) \
             FROM (SELECT n.n, o.*, o.occurred_at - n.n * 60000 AS at FROM n CROSS JOIN (SELECT l.number, v.workspace_id, v.mode, v.occurred_at \
             FROM conversions v JOIN links l ON l.participant_id = v.participant_id WHERE v.id = ?1 LIMIT 1) o) GROUP BY at / 3600000"
        ),
        [sale],
    )?;
    ensure!(made as u64 >= clicks / 60, "{made} packs of {clicks} clicks");
    let summed = format!("(SELECT max(id) - {PENDING} FROM click_packs)");
    database.execute_batch(&format!(
        "INSERT INTO click_totals (workspace_id, mode, kind, name, day, humans, machines) \
         SELECT c.workspace_id, c.mode, k.value, CASE k.value WHEN 'all' THEN '' WHEN 'participant' THEN l.participant_id \
         ELSE CAST(l.number AS TEXT) END, iif(k.value = 'link_ever', 0, c.hour / 24), count(*), 0 FROM packed_clicks c \
         JOIN links l ON l.number = c.link_number JOIN click_sums s ON s.workspace_id = c.workspace_id AND s.mode = c.mode \
         AND c.pack_id > s.summed_until AND c.pack_id <= {summed} CROSS JOIN json_each('[\"all\", \"link\", \"link_ever\", \"participant\"]') k \
         WHERE true GROUP BY 1, 2, 3, 4, 5 ON CONFLICT (workspace_id, mode, kind, name, day) DO UPDATE SET humans = humans + excluded.humans; \
         UPDATE click_sums SET summed_until = {summed}",
    ))?;
    Ok(())
}

type Copies = (&'static str, u64, &'static str, &'static [(&'static str, &'static str)]);

/// What it takes to have many payouts, and many entries in one.
fn payouts(clicks: u64) -> [Copies; 5] {
    [
        (
            "conversions",
            clicks / 100,
            "id = :sale",
            &[("id", ID), ("external_transaction_id", "'paid-' || n.n"), ("occurred_at", "occurred_at - n.n * 600000")],
        ),
        (
            "commissions",
            clicks / 100,
            "conversion_id = :sale",
            &[("id", ID), ("conversion_id", "substr(conversion_id, 1, 15) || printf('%016x', n.n)")],
        ),
        (
            "entries",
            clicks / 100,
            "commission_id = (SELECT id FROM commissions WHERE conversion_id = :sale)",
            &[("id", ID), ("commission_id", "substr(commission_id, 1, 14) || printf('%016x', n.n)")],
        ),
        (
            "payout_entries",
            clicks / 100,
            "entry_id IN (SELECT id FROM entries WHERE commission_id = (SELECT id FROM commissions WHERE conversion_id = :sale))",
            &[("entry_id", "substr(entry_id, 1, instr(entry_id, '_') + 10) || printf('%016x', n.n)")],
        ),
        ("payouts", clicks / 1_000, "status = 'paid'", &[("id", ID)]),
    ]
}

fn copy(
    database: &Connection,
    table: &str,
    count: u64,
    which: &str,
    changed: &[(&str, &str)],
    (sale, family): &(String, String),
) -> Result<()> {
    let columns: Vec<String> = database
        .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let values: Vec<&str> = columns
        .iter()
        .map(|column| changed.iter().find(|(name, _)| name == column).map_or(column.as_str(), |(_, value)| value))
        .collect();
    let which = which.replace(":sale", &format!("'{sale}'")).replace(":family", &format!("'{family}'"));
    let sql = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) \
         INSERT INTO {table} ({}) SELECT {} FROM n, (SELECT * FROM {table} WHERE {which} LIMIT 1) o",
        columns.join(", "),
        values.join(", "),
    );
    let made = database.execute(&sql, [])?;
    ensure!(made as u64 >= count, "{made} rows of {count}");
    Ok(())
}

impl Town {
    /// What a page cost when it cost least: round trips and rows.
    fn cost(&self, path: &str) -> Result<(u64, u64)> {
        let script = "const done = arguments[arguments.length - 1];
            fetch(arguments[0]).then(async r => { await r.text(); done([r.status, r.headers.get('server-timing')]) }, e => done([0, String(e)]))";
        let mut least = (u64::MAX, u64::MAX);
        for _ in 0..TIMES {
            let answer = self.browser.run_async(script, &json!([format!("{}{path}", self.server.url())]))?;
            ensure!(answer[0] == 200, "{path}: {answer}");
            let numbers: Vec<u64> = answer[1]
                .as_str()
                .unwrap_or_default()
                .split(|letter: char| !letter.is_ascii_digit())
                .filter_map(|part| part.parse().ok())
                .collect();
            // d1;desc="3 trips, 120 rows read", …
            let &[_, trips, rows, ..] = numbers.as_slice() else { anyhow::bail!("{path}: {answer}") };
            least = (least.0.min(trips), least.1.min(rows));
        }
        Ok(least)
    }

    fn check(&self, sign_in: &str, first: &[String], below: &str) -> Result<()> {
        self.browser.go(self.server.text(sign_in)?)?;
        let paths = crawl(&self.browser, &self.server.url(), first, below)?;
        // From a page that asks for nothing by itself.
        self.browser.go(&format!("{}/healthz", self.server.url()))?;
        let (mut wrong, mut most) = (Vec::new(), (0, 0));
        for path in &paths {
            let (trips, rows) = self.cost(path)?;
            most = (most.0.max(trips), most.1.max(rows));
            if trips > TRIPS_MAX || rows > ROWS_MAX {
                wrong.push(format!("{path}: {trips} round trips, {rows} rows read"));
            }
        }
        println!("{} pages; at most {} round trips, {} rows read", paths.len(), most.0, most.1);
        ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        Ok(())
    }
}

fn every_page_of_the_dashboard_costs_little_however_much_there_is(town: &mut Town) -> Result<()> {
    let base = format!("/app/{}/test", town.server.text("/workspace_id")?);
    let first = [
        // Before others of their kinds.
        format!("{base}/participants/{}", town.quiet.participant),
        format!("{base}/links/{}", town.quiet.link),
        base.clone(),
        "/app".to_owned(),
        format!("{base}/search?q=grown-77"),
        format!("{base}/partners?q=partner+7"),
    ];
    town.check("/sign_in_url", &first, "/app")
}

fn every_page_of_the_portal_costs_little_however_much_there_is(town: &mut Town) -> Result<()> {
    let own = format!("/partner/commissions?in={}", town.server.text("/participant_id")?);
    town.check("/partner_sign_in_url", &[own, "/partner".to_owned()], "/partner")
}

fn payouts_and_statements_cost_little_however_much_there_is(town: &mut Town) -> Result<()> {
    let payouts = format!("/app/{}/live/payouts", town.server.text("/workspace_id")?);
    town.check("/sign_in_url", std::slice::from_ref(&payouts), &payouts)?;
    let first = format!("/partner/statements?in={}", live_participant(&town.server)?);
    town.check("/partner_sign_in_url", &[first], "/partner/statements")
}
