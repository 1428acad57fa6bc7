//! Names for the ids of a page: who a participant is, and what a program is called. One round trip for all of them.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value as Json;

use super::desk::Desk;
use crate::error::ApiError;
use crate::store::names::{self as table, ParticipantName};

/// The names that a page needs.
#[derive(Default)]
pub struct Names {
    participants: HashMap<String, ParticipantName>,
    programs: HashMap<String, String>,
    partners: HashMap<String, String>,
}

impl Names {
    /// Of whatever is named in these objects by `participant_id`, `program_id` and `partner_id`, or where a decision names them.
    pub async fn of(desk: &Desk, objects: &[Json]) -> Result<Self, ApiError> {
        let ids = |name: &str| -> BTreeSet<String> {
            let direct = objects.iter().filter_map(|object| object[name].as_str());
            let credited = objects.iter().filter_map(|object| object["attribution"][name].as_str());
            direct.chain(credited).map(str::to_owned).collect()
        };
        let (participants, programs, partners) = (ids("participant_id"), ids("program_id"), ids("partner_id"));
        if participants.is_empty() && programs.is_empty() && partners.is_empty() {
            return Ok(Self::default());
        }
        let scope = desk.scope();
        let found = desk
            .app
            .db
            .batch(vec![
                table::participants(&scope, &participants)?,
                table::programs(&scope, &programs)?,
                table::partners(&scope, &partners)?,
            ])
            .await?;
        let mut names = Self::default();
        for row in found.first().into_iter().flatten() {
            let (id, name) = table::decode_participant(row)?;
            names.participants.insert(id, name);
        }
        for row in found.get(1).into_iter().flatten() {
            let (id, name) = table::decode(row)?;
            names.programs.insert(id, name);
        }
        for row in found.get(2).into_iter().flatten() {
            let (id, name) = table::decode(row)?;
            names.partners.insert(id, name);
        }
        Ok(names)
    }

    /// A participant's partner and program.
    pub fn participant(&self, id: &str) -> Option<&ParticipantName> {
        self.participants.get(id)
    }

    /// A program's name.
    pub fn program(&self, id: &str) -> Option<&str> {
        self.programs.get(id).map(String::as_str)
    }

    /// A partner's name.
    pub fn partner(&self, id: &str) -> Option<&str> {
        self.partners.get(id).map(String::as_str)
    }
}
