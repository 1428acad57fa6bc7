//! `clicks`.

use domain::retention::PURGED_EVERY_MS;
use domain::time::Instant;
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

/// What counting needs of a record.
#[derive(Serialize)]
struct Counted<'a> {
    click_id: &'a str,
    workspace_id: &'a str,
    mode: &'a str,
    clicked_at: Instant,
    human: bool,
}

/// Writes many records, and counts those that are new, in two statements of one batch. A record that is there already stays,
/// unless a conversion had to write it: then the click's own takes its place. One from before the last purge is written, but was
/// counted when it came first.
pub fn insert_all(records: &[ClickRecord]) -> Result<[Statement; 2], DbError> {
    let counted: Vec<_> = records
        .iter()
        .map(|record| Counted {
            click_id: &record.click_id,
            workspace_id: &record.workspace_id,
            mode: &record.mode,
            clicked_at: record.clicked_at,
            human: record.human,
        })
        .collect();
    let count = Statement::new(
        "INSERT INTO daily_clicks (workspace_id, mode, day, humans, machines) \
         SELECT r.workspace_id, r.mode, r.clicked_at / 86400000, SUM(r.human), SUM(1 - r.human) FROM \
         (SELECT value->>'click_id' AS click_id, value->>'workspace_id' AS workspace_id, value->>'mode' AS mode, \
         CAST(value->>'clicked_at' AS INTEGER) AS clicked_at, CAST(value->>'human' AS INTEGER) AS human \
         FROM json_each(?) GROUP BY value->>'click_id') r \
         WHERE NOT EXISTS (SELECT 1 FROM clicks c WHERE c.click_id = r.click_id) \
         AND r.clicked_at >= (SELECT w.clicks_purged_until FROM workspaces w WHERE w.id = r.workspace_id) GROUP BY 1, 2, 3 \
         ON CONFLICT (workspace_id, mode, day) \
         DO UPDATE SET humans = humans + excluded.humans, machines = machines + excluded.machines",
    )
    .bind(super::to_json(&counted)?);
    let write = Statement::new(
        "INSERT INTO clicks (click_id, workspace_id, mode, link_number, clicked_at, url, referrer, human, flags, \
         address_hash, device, browser, country, request_id) \
         SELECT value->>'click_id', value->>'workspace_id', value->>'mode', CAST(value->>'link_number' AS INTEGER), \
         CAST(value->>'clicked_at' AS INTEGER), value->>'url', value->>'referrer', CAST(value->>'human' AS INTEGER), \
         value->'flags', value->>'address_hash', value->>'device', value->>'browser', value->>'country', \
         value->>'request_id' FROM json_each(?) WHERE true \
         ON CONFLICT (click_id) DO UPDATE SET url = excluded.url, referrer = excluded.referrer, human = excluded.human, \
         flags = excluded.flags, address_hash = excluded.address_hash, device = excluded.device, \
         browser = excluded.browser, country = excluded.country, request_id = excluded.request_id \
         WHERE clicks.flags = '[\"recovered\"]'",
    )
    .bind(super::to_json(&records)?);
    Ok([count, write])
}

/// Which workspaces a purge looks at: those whose turn it is, longest overdue first. Each part of [`purge`] finds the same ones.
const TO_PURGE: &str =
    "(SELECT id, clicks_purged_until FROM workspaces WHERE clicks_purge_at <= ? ORDER BY clicks_purge_at, id LIMIT ?)";

/// Purges clicks that were kept long enough, at most `clicks` of them, of at most `workspaces`; whoever has none left has its
/// turn again a day later. That they are purged is noted before: none of them is ever counted twice.
pub fn purge(now: Instant, workspaces: i64, clicks: i64) -> Vec<Statement> {
    let whose = |statement: Statement| statement.push(TO_PURGE).bind(now).bind(workspaces);
    let note = Statement::new(
        "UPDATE workspaces SET clicks_purged_until = max(clicks_purged_until, CAST(? AS INTEGER) - clicks_kept_days * 86400000) \
         WHERE id IN (SELECT id FROM ",
    )
    .bind(now);
    let delete = whose(Statement::new(
        "DELETE FROM clicks WHERE click_id IN (SELECT c.click_id FROM ",
    ))
    .push(
        " w CROSS JOIN (SELECT 'test' AS mode UNION ALL SELECT 'live') m CROSS JOIN clicks c ON c.workspace_id = w.id \
         AND c.mode = m.mode AND c.clicked_at < w.clicks_purged_until LIMIT ?)",
    )
    .bind(clicks);
    let settle = whose(
        Statement::new("UPDATE workspaces SET clicks_purge_at = ? WHERE id IN (SELECT w.id FROM ")
            .bind(now.plus_ms(PURGED_EVERY_MS)),
    )
    .push(
        " w WHERE NOT EXISTS (SELECT 1 FROM clicks c WHERE c.workspace_id = w.id AND c.mode = 'test' \
         AND c.clicked_at < w.clicks_purged_until) AND NOT EXISTS (SELECT 1 FROM clicks c WHERE c.workspace_id = w.id \
         AND c.mode = 'live' AND c.clicked_at < w.clicks_purged_until))",
    );
    vec![whose(note).push(")"), delete, settle]
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

/// A page, newest first; `after` is the time and id of the last one seen.
pub fn list(scope: &Scope, filter: &Filter, after: Option<(Instant, String)>, limit: i64) -> Statement {
    let mut statement = Statement::new(
        "SELECT c.*, l.id AS link_id, l.participant_id FROM clicks c LEFT JOIN links l ON l.number = c.link_number \
         WHERE c.workspace_id = ? AND c.mode = ?",
    )
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .push_if(" AND l.id = ?", filter.link_id.as_ref())
    .push_if(" AND l.participant_id = ?", filter.participant_id.as_ref())
    .push_if(" AND c.human = ?", filter.human)
    .push_if(" AND c.clicked_at >= ?", filter.from)
    .push_if(" AND c.clicked_at < ?", filter.to);
    if let Some((at, click_id)) = after {
        statement = statement.push(" AND (c.clicked_at, c.click_id) < (?, ?)").bind(at).bind(click_id);
    }
    statement.push(" ORDER BY c.clicked_at DESC, c.click_id DESC LIMIT ?").bind(limit + 1)
}

/// One click.
pub fn by_id(scope: &Scope, click_id: &str) -> Statement {
    Statement::new(
        "SELECT c.*, l.id AS link_id, l.participant_id FROM clicks c LEFT JOIN links l ON l.number = c.link_number \
         WHERE c.workspace_id = ? AND c.mode = ? AND c.click_id = ?",
    )
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(click_id)
}

/// The click that a conversion is credited by, if its record is still there.
pub fn of_conversion(scope: &Scope, conversion_id: &str) -> Statement {
    Statement::new(
        "SELECT c.*, l.id AS link_id, l.participant_id FROM conversions v JOIN clicks c ON c.click_id = v.attributed_click_id \
         LEFT JOIN links l ON l.number = c.link_number WHERE v.workspace_id = ?1 AND v.mode = ?2 AND v.id = ?3 \
         AND c.workspace_id = ?1 AND c.mode = ?2",
    )
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(conversion_id)
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
