//! Rows of partners: `email`, `name`, and with `program` (its id or its slug) also the membership, `approved` or `pending`.

use std::collections::HashMap;

use domain::status::ParticipantStatus;
use serde_json::json;

use super::{Cells, Line, Plan, decoded, read_all};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::routes::partners::given;
use crate::shapes;
use crate::store::Scope;
use crate::store::events::{self, Event};
use crate::store::imports as table;
use crate::store::partners::{self, Participant, Partner};

struct Row {
    email: String,
    name: Option<String>,
    program: Option<String>,
    status: Option<ParticipantStatus>,
}

/// What these rows come to.
pub async fn plan(app: &App, call: &Call, scope: &Scope, rows: Vec<Cells>) -> Result<Plan, ApiError> {
    let (rows, mut lines) = read_all(rows, |fields| {
        if fields.raw("email").is_none() {
            fields.error("email", "is required");
        }
        let (name, email) = given(fields);
        let status = fields.word("status", &["pending", "approved"], |word| {
            ParticipantStatus::parse(word)
                .filter(|one| matches!(one, ParticipantStatus::Pending | ParticipantStatus::Approved))
        });
        if status.is_some() && fields.raw("program").is_none() {
            fields.error("status", "is what the partner is in a program; name the program");
        }
        Some(Row { email: email?, name, program: fields.text("program", 255), status })
    });
    let emails: Vec<&str> = rows.iter().map(|(_, row)| row.email.as_str()).collect();
    let named: Vec<&str> = rows.iter().filter_map(|(_, row)| row.program.as_deref()).collect();
    let found = app.db.batch(vec![
        table::programs(scope, &named)?,
        table::partners(scope, &emails)?,
        table::participants(scope, &emails, &[])?,
    ]);
    let found = found.await?;
    let programs = decoded(found.first(), table::decode_program)?;
    let known: HashMap<String, Partner> = decoded(found.get(1), partners::decode)?
        .into_iter()
        .map(|partner: Partner| (partner.email.clone(), partner))
        .collect();
    let members = decoded(found.get(2), table::decode_member)?;
    let (mut new, mut joined): (Vec<Partner>, Vec<Participant>) = (Vec::new(), Vec::new());
    let mut seen: HashMap<(String, Option<String>), u64> = HashMap::new();
    let mut of_programs = Vec::new();
    for (number, row) in rows {
        let program = match &row.program {
            None => None,
            Some(word) => match programs.iter().find(|program| program.id.as_str() == word || program.slug == *word) {
                Some(program) => Some(program.id.clone()),
                None => {
                    let message = "names no program of this workspace and mode, by id or by slug";
                    lines.push(Line::refused(number, "program", message));
                    continue;
                }
            },
        };
        let same = (row.email.clone(), program.as_ref().map(ToString::to_string));
        if let Some(first) = seen.get(&same) {
            lines.push(Line::refused(number, "email", format!("is in line {first} already")));
            continue;
        }
        if let Some(program) = &program {
            let id = program.to_string();
            if !of_programs.contains(&id) {
                of_programs.push(id);
            }
        }
        let there = known.get(&row.email);
        let planned = new.iter().find(|partner| partner.email == row.email);
        let (partner_id, is_new) = match (there.or(planned), &row.name) {
            (Some(partner), _) => (partner.id.clone(), false),
            (None, Some(name)) => {
                let partner = Partner {
                    id: app.fresh(call.now),
                    name: name.clone(),
                    email: row.email.clone(),
                    erased_at: None,
                    created_at: call.now,
                };
                let id = partner.id.clone();
                new.push(partner);
                (id, true)
            }
            (None, None) => {
                lines.push(Line::refused(number, "name", "is required of a partner who is not there yet"));
                continue;
            }
        };
        // A row that is wrong takes nothing from a later one.
        seen.insert(same, number);
        let mut differs = Vec::new();
        if there.or(planned_of(&new, &row.email)).zip(row.name.as_ref()).is_some_and(|(held, name)| held.name != *name)
        {
            differs.push("name");
        }
        let Some(program_id) = program else {
            lines.push(if is_new {
                Line::created(number, &partner_id)
            } else {
                Line::unchanged(number, &partner_id, differs)
            });
            continue;
        };
        let member = members.iter().find(|one| one.email == row.email && one.program_id == program_id.as_str());
        match member {
            Some(member) => {
                if row.status.is_some_and(|status| status.as_str() != member.status) {
                    differs.push("status");
                }
                lines.push(Line::unchanged(number, &partner_id, differs));
            }
            None => {
                joined.push(Participant {
                    id: app.fresh(call.now),
                    program_id,
                    partner_id: partner_id.clone(),
                    status: row.status.unwrap_or(ParticipantStatus::Pending),
                    application: None,
                    created_at: call.now,
                });
                lines.push(Line { differs, ..Line::created(number, &partner_id) });
            }
        }
    }
    let mut batch = Vec::new();
    if !new.is_empty() {
        batch.push(table::insert_partners(scope, &new, call.now)?);
    }
    if !joined.is_empty() {
        batch.push(table::insert_participants(scope, &joined, call.now)?);
        batch.extend(told(app, call, scope, "participant.created", joined.iter())?);
        let approved = joined.iter().filter(|one| one.status == ParticipantStatus::Approved);
        batch.extend(told(app, call, scope, "participant.approved", approved)?);
    }
    Ok(Plan { lines, batch, programs: of_programs, links: Vec::new(), woken_at: None })
}

fn planned_of<'a>(new: &'a [Partner], email: &str) -> Option<&'a Partner> {
    new.iter().find(|partner| partner.email == email)
}

/// The events of those who joined.
fn told<'a>(
    app: &App,
    call: &Call,
    scope: &Scope,
    kind: &'static str,
    joined: impl Iterator<Item = &'a Participant>,
) -> Result<Vec<crate::store::Statement>, ApiError> {
    let events: Vec<Event> = joined
        .map(|one| {
            let data = json!(shapes::participant(one, scope.mode));
            Event { id: app.fresh(call.now), kind, subject: one.id.to_string(), data }
        })
        .collect();
    Ok(events::insert_all(scope, &events, call.now)?)
}
