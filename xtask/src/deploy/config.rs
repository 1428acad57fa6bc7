//! What a deployment has to create, read from wrangler.toml.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// What wrangler.toml names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// All queues, dead letters' too.
    pub queues: Vec<String>,
    /// All databases, the directory first.
    pub databases: Vec<Database>,
    /// Where the pages are, if it is said.
    pub public_url: Option<String>,
}

/// A D1 database.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// `DB`, `DB_1` and so on.
    pub binding: String,
    /// Its name in the account.
    pub name: String,
}

impl Config {
    /// Reads it.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join("wrangler.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&text)
    }

    /// Tables and texts on lines of their own are all that is looked for: wrangler itself reads the whole.
    fn parse(text: &str) -> Result<Self> {
        let (mut config, mut table) = (Self::default(), "");
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                table = line;
                if table == "[[d1_databases]]" {
                    config.databases.push(Database::default());
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
            let Some(value) = value.trim().strip_prefix('"').and_then(|rest| rest.split_once('"')) else { continue };
            match (table, key.trim(), value.0) {
                ("[[queues.producers]]" | "[[queues.consumers]]", "queue" | "dead_letter_queue", name)
                    if !config.queues.iter().any(|known| known == name) =>
                {
                    config.queues.push(name.to_owned());
                }
                ("[[d1_databases]]", key, value) => {
                    if let Some(database) = config.databases.last_mut() {
                        match key {
                            "binding" => value.clone_into(&mut database.binding),
                            "database_name" => value.clone_into(&mut database.name),
                            _ => {}
                        }
                    }
                }
                ("[vars]", "PUBLIC_URL", url) if !url.is_empty() => config.public_url = Some(url.to_owned()),
                _ => {}
            }
        }
        if config.databases.iter().any(|one| one.binding.is_empty() || one.name.is_empty()) {
            bail!(
                "wrangler.toml: each [[d1_databases]] needs a binding and a database_name, each on a line of its own"
            );
        }
        if config.databases.first().is_none_or(|first| first.binding != "DB") {
            bail!("wrangler.toml: the first of [[d1_databases]] must have the binding DB");
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(binding: &str, name: &str) -> Database {
        Database { binding: binding.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn the_projects_own_file_names_its_queues_and_its_database() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let config = Config::read(root).unwrap();
        assert_eq!(config.queues, ["selgeo", "selgeo-dead", "selgeo-clicks"]);
        assert_eq!(config.databases, [database("DB", "selgeo")]);
        assert_eq!(config.public_url, None);
    }

    #[test]
    fn further_databases_are_found_and_comments_are_not() {
        let text = "[vars]\nPUBLIC_URL = \"https://selgeo.example\" # ours\n[[d1_databases]]\nbinding = \"DB\"\n\
            database_name=\"one\"\n# [[d1_databases]]\n# binding = \"DB_9\"\n[[d1_databases]]\nbinding = \"DB_1\"\ndatabase_name = \"two\"\n";
        let config = Config::parse(text).unwrap();
        assert_eq!(config.databases, [database("DB", "one"), database("DB_1", "two")]);
        assert_eq!(config.public_url.as_deref(), Some("https://selgeo.example"));
    }

    #[test]
    fn a_database_that_is_not_whole_is_said() {
        let check = |text: &str, expected: &str| {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "must have the binding DB");
        check("[[d1_databases]]\nbinding = \"DB\"\n", "needs a binding and a database_name");
        check("[[d1_databases]]\nbinding = \"DB_1\"\ndatabase_name = \"x\"\n", "must have the binding DB");
    }
}
