//! An export in a database of its own, in memory: the rows as they were, without what writing them once caused.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use domain::click_id::{Click, ClickId, LinkNumber};
use domain::time::Instant;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde_json::{Map, Value as Json};

use super::export_file::{self, Whole};
use super::sqlite::Sqlite;
use crate::app::App;
use crate::export::OPENED_CLICKS;
use crate::replay::Wanted;
use crate::secrets::Secrets;
use crate::store::exports::{STEPS, WITHHELD};

/// An export that can be replayed.
pub struct Loaded {
    /// What its pages say of it.
    pub whole: Whole,
    /// An application over its rows.
    pub app: App,
}

impl Loaded {
    /// What is replayed of it: all that there is.
    pub fn wanted(&self) -> Wanted {
        let mode = match self.whole.modes.as_slice() {
            [one] => Some(*one),
            _ => None,
        };
        Wanted { workspace_id: Some(self.whole.workspace_id.clone()), mode, ..Wanted::everything() }
    }
}

/// Loads an export. `secrets` are anybody's: an export says itself what its clicks were.
pub fn load(lines: impl BufRead, migrations: &Path, secrets: Secrets) -> Result<Loaded, String> {
    let mut database = Loading::new(migrations)?;
    let mut clicks = BTreeMap::new();
    let whole = export_file::read(lines, |workspace, table, row| {
        if table == OPENED_CLICKS {
            let (id, click) = click(&row, workspace.database()).ok_or("is no opened click")?;
            clicks.insert(id, click);
            return Ok(());
        }
        database.insert(table, row)
    })?;
    let sqlite = database.end()?;
    let app = super::app(Arc::new(sqlite), Vec::new(), secrets.with_told_clicks(clicks));
    Ok(Loaded { whole, app })
}

fn click(row: &Map<String, Json>, database: u8) -> Option<(ClickId, Click)> {
    let number = |name: &str| row.get(name).and_then(Json::as_i64);
    let id = ClickId::parse(row.get("click_id")?.as_str()?)?;
    let link = LinkNumber { database, number: u32::try_from(number("link_number")?).ok()? };
    Some((id, Click { at: Instant::from_ms(number("clicked_at")?), link, nonce: 0 }))
}

/// A database while it is filled.
struct Loading {
    connection: Connection,
    /// The columns of each table that is exported; of each, whether it must hold something.
    tables: HashMap<&'static str, BTreeMap<String, bool>>,
    rows: u64,
}

impl Loading {
    fn new(migrations: &Path) -> Result<Self, String> {
        let connection = Connection::open_in_memory().map_err(said)?;
        let folder = std::fs::read_dir(migrations).map_err(|why| format!("{}: {why}", migrations.display()))?;
        let files: BTreeSet<_> = folder.flatten().map(|entry| entry.path()).collect();
        for file in files {
            let sql = std::fs::read_to_string(&file).map_err(|why| format!("{}: {why}", file.display()))?;
            connection.execute_batch(&sql).map_err(|why| format!("{}: {why}", file.display()))?;
        }
        // What the triggers would write is among the rows, and what the checks ask for is in part withheld.
        let pragmas = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON";
        connection.execute_batch(pragmas).map_err(said)?;
        for trigger in names(&connection, "SELECT name FROM sqlite_master WHERE type = 'trigger'")? {
            connection.execute_batch(&format!("DROP TRIGGER {trigger}")).map_err(said)?;
        }
        let mut tables = HashMap::new();
        for step in STEPS {
            let all = names(&connection, &format!("SELECT name FROM pragma_table_info('{}')", step.table))?;
            let sql = format!("SELECT name FROM pragma_table_info('{}') WHERE \"notnull\" = 1", step.table);
            let needed = names(&connection, &sql)?;
            tables.insert(step.table, all.into_iter().map(|name| (name.clone(), needed.contains(&name))).collect());
        }
        connection.execute_batch("BEGIN").map_err(said)?;
        Ok(Self { connection, tables, rows: 0 })
    }

    fn insert(&mut self, table: &str, mut row: Map<String, Json>) -> Result<(), String> {
        let Some((table, columns)) = self.tables.get_key_value(table) else {
            return Err(format!("is of a table that is not known here, {table:?}: its deployment is newer"));
        };
        self.rows += 1;
        for (_, column, _) in
            WITHHELD.iter().filter(|(of, column, _)| of == table && columns.get(*column) == Some(&true))
        {
            row.insert((*column).to_owned(), Json::from(format!("withheld {}", self.rows)));
        }
        if let Some(other) = row.keys().find(|name| !columns.contains_key(*name)) {
            return Err(format!("has a column that {table} has not here, {other:?}: its deployment is newer"));
        }
        // Of names that the schema has, and of no others.
        let named: Vec<&str> = row.keys().map(String::as_str).collect();
        let places = vec!["?"; named.len()].join(", ");
        let sql = format!("INSERT INTO {table} ({}) VALUES ({places})", named.join(", "));
        let values = row.values().map(value).collect::<Result<Vec<_>, _>>()?;
        let mut statement = self.connection.prepare_cached(&sql).map_err(said)?;
        statement.execute(params_from_iter(values)).map_err(|why| format!("does not fit into {table}: {why}"))?;
        Ok(())
    }

    fn end(self) -> Result<Sqlite, String> {
        self.connection.execute_batch("COMMIT").map_err(said)?;
        Sqlite::of(self.connection).map_err(|why| why.to_string())
    }
}

fn value(cell: &Json) -> Result<Value, String> {
    match cell {
        Json::Null => Ok(Value::Null),
        Json::String(text) => Ok(Value::Text(text.clone())),
        Json::Number(number) => {
            number.as_i64().map(Value::Integer).ok_or_else(|| "has a number that is not whole".to_owned())
        }
        _ => Err("has a cell that is no text and no number".to_owned()),
    }
}

fn names(connection: &Connection, sql: &str) -> Result<Vec<String>, String> {
    let mut statement = connection.prepare(sql).map_err(said)?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(said)?;
    rows.collect::<Result<Vec<String>, _>>().map_err(said)
}

fn said(error: rusqlite::Error) -> String {
    error.to_string()
}
