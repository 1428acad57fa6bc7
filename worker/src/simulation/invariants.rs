//! What must hold after every step, whatever the model says: entries are never changed and never sum below nothing, and the
//! events of each subject count from 1 without a gap.

use std::collections::HashMap;

use super::run::{Finding, Found};
use crate::store::{Database, Row, Statement};
use crate::testing::World;

#[derive(Default)]
pub struct Watch {
    entries: i64,
    entries_seen: Vec<(String, String, i64)>,
    sums: HashMap<String, i64>,
    events: i64,
    sequences: HashMap<String, i64>,
    /// How often each kind of event was told of each subject.
    pub told: HashMap<(String, String), i64>,
}

pub fn rows(world: &World, statement: Statement) -> Vec<Row> {
    pollster::block_on(world.db.rows(statement)).unwrap()
}

impl Watch {
    pub fn look(&mut self, world: &World) -> Found {
        let new =
            Statement::new("SELECT rowid, id, commission_id, amount_cents FROM entries WHERE rowid > ? ORDER BY rowid");
        for row in rows(world, new.bind(self.entries)) {
            self.entries = row.integer("rowid").unwrap();
            let (commission, amount) = (row.text("commission_id").unwrap(), row.integer("amount_cents").unwrap());
            let sum = self.sums.entry(commission.clone()).or_default();
            *sum += amount;
            if *sum < 0 {
                return Err(Finding::Broken(format!("{commission} has come to {sum}")));
            }
            self.entries_seen.push((row.text("id").unwrap(), commission, amount));
        }
        let new = Statement::new("SELECT rowid, type, subject, sequence FROM events WHERE rowid > ? ORDER BY rowid");
        for row in rows(world, new.bind(self.events)) {
            self.events = row.integer("rowid").unwrap();
            let (kind, subject) = (row.text("type").unwrap(), row.text("subject").unwrap());
            let last = self.sequences.entry(subject.clone()).or_default();
            *last += 1;
            if row.integer("sequence").unwrap() != *last {
                return Err(Finding::Broken(format!("{kind} of {subject} is not number {last}")));
            }
            *self.told.entry((kind, subject)).or_default() += 1;
        }
        Ok(())
    }

    /// All entries are still what they were when they were first seen, and the daily totals are those of the rows.
    pub fn nothing_changed(&self, world: &World) -> Found {
        world.records();
        let differ = world.totals_that_differ();
        if !differ.is_empty() {
            return Err(Finding::Broken(format!("{differ:?} differ from their rows")));
        }
        let all = rows(world, Statement::new("SELECT id, commission_id, amount_cents FROM entries ORDER BY rowid"));
        let same = all.len() == self.entries_seen.len()
            && all.iter().zip(&self.entries_seen).all(|(row, (id, commission, amount))| {
                row.text("id").as_ref() == Ok(id)
                    && row.text("commission_id").as_ref() == Ok(commission)
                    && row.integer("amount_cents") == Ok(*amount)
            });
        if same { Ok(()) } else { Err(Finding::Broken("entries were changed".to_owned())) }
    }
}
