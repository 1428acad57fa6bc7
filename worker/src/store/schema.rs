//! Whether the database is migrated.

use super::Statement;

/// Fails until the newest migration has run: it names a column of it. A new migration changes this, or a test fails.
pub fn is_migrated() -> Statement {
    Statement::each("SELECT count(modes) AS known FROM (SELECT modes FROM exports LIMIT 1)")
}

/// What makes a database one that is not migrated.
#[cfg(test)]
pub const UNDONE: &str = "ALTER TABLE exports RENAME TO exports_gone";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_database_with_every_migration_is_taken_for_migrated() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for file in files {
            assert!(connection.prepare(is_migrated().sql()).is_err(), "{} is not looked for", file.display());
            connection.execute_batch(&std::fs::read_to_string(&file).unwrap()).unwrap();
        }
        assert!(connection.prepare(is_migrated().sql()).is_ok());
    }
}
