//! Rows of links: `ref` and `landing_url`; whose, by `participant_id`, or by `email` and `program`; and `slug` and `name`. A link is known
//! again by its ref.

use std::collections::HashMap;

use domain::ids::ParticipantId;
use domain::status::LinkStatus;

use super::{Cells, Line, Plan, decoded, read_all};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Fields;
use crate::routes::hosts::host_of;
use crate::routes::links::{NAME_CHARS_MAX, landing, made_up};
use crate::routes::programs::is_slug;
use crate::store::imports::{self as table, Member, NamedProgram};
use crate::store::links::Link;
use crate::store::slugs;
use crate::store::{DbError, Row as Found, Scope, Statement};

struct Row {
    whose: Whose,
    link_ref: String,
    slug: Option<String>,
    landing_url: String,
    host: String,
    name: String,
}

/// Whose something is, as a row says it.
pub struct Whose {
    participant_id: Option<ParticipantId>,
    email: Option<String>,
    program: Option<String>,
}

impl Whose {
    /// Reads who is named: by id, or by address and program.
    pub fn read(fields: &mut Fields) -> Self {
        let participant_id = fields.id("participant_id");
        let email = fields.text("email", 254).map(|email| email.to_lowercase());
        let program = fields.text("program", 255);
        if fields.raw("participant_id").is_none() {
            for (name, is_missing) in [("email", email.is_none()), ("program", program.is_none())] {
                if is_missing && fields.raw(name).is_none() {
                    fields.error(name, "is required where no participant_id is given");
                }
            }
        }
        Self { participant_id, email, program }
    }
}

/// Everybody whom rows name.
pub struct People {
    programs: Vec<NamedProgram>,
    members: Vec<Member>,
}

impl People {
    /// The statements whose results [`Self::read`] reads.
    pub fn asked(scope: &Scope, named: &[&Whose]) -> Result<Vec<Statement>, DbError> {
        let programs: Vec<&str> = named.iter().filter_map(|whose| whose.program.as_deref()).collect();
        let emails: Vec<&str> = named.iter().filter_map(|whose| whose.email.as_deref()).collect();
        let ids: Vec<&str> =
            named.iter().filter_map(|whose| whose.participant_id.as_ref().map(|id| id.as_str())).collect();
        Ok(vec![table::programs(scope, &programs)?, table::participants(scope, &emails, &ids)?])
    }

    /// Reads them.
    pub fn read(found: &[Vec<Found>]) -> Result<Self, DbError> {
        let programs = decoded(found.first(), table::decode_program)?;
        Ok(Self { programs, members: decoded(found.get(1), table::decode_member)? })
    }

    /// Who is meant; or which cell names nobody.
    pub fn find(&self, whose: &Whose) -> Result<&Member, (&'static str, &'static str)> {
        let program = match whose.program.as_deref() {
            None => None,
            Some(word) => {
                let named = self.programs.iter().find(|program| program.id.as_str() == word || program.slug == word);
                Some(named.ok_or(("program", "names no program of this workspace and mode, by id or by slug"))?)
            }
        };
        let by_id = whose.participant_id.as_ref();
        let member = self.members.iter().find(|member| match by_id {
            Some(id) => member.id == *id,
            None => {
                Some(&member.email) == whose.email.as_ref()
                    && program.is_some_and(|program| member.program_id == program.id.as_str())
            }
        });
        let Some(member) = member else {
            return Err(match by_id {
                Some(_) => ("participant_id", "names nobody in this workspace and mode"),
                None => ("email", "is nobody's who takes part in this program; import the partner first"),
            });
        };
        // What is said beside the id must not name somebody else.
        if whose.email.as_ref().is_some_and(|email| *email != member.email) {
            return Err(("email", "is not the participant's"));
        }
        if program.is_some_and(|program| program.id.as_str() != member.program_id) {
            return Err(("program", "is not the participant's"));
        }
        Ok(member)
    }
}

/// What these rows come to.
pub async fn plan(app: &App, call: &Call, scope: &Scope, rows: Vec<Cells>) -> Result<Plan, ApiError> {
    let (rows, mut lines) = read_all(rows, read);
    let people: Vec<&Whose> = rows.iter().map(|(_, row)| &row.whose).collect();
    let texts = |of: fn(&Row) -> &str| -> Vec<&str> { rows.iter().map(|(_, row)| of(row)).collect() };
    let slugs: Vec<String> = rows.iter().filter_map(|(_, row)| row.slug.clone()).collect();
    let mut asked = People::asked(scope, &people)?;
    asked.push(table::links(scope, &texts(|row| &row.link_ref))?);
    asked.push(table::hosts(scope, &texts(|row| &row.host))?);
    let found = app.db.batch(asked).await?;
    let people = People::read(&found)?;
    let there = decoded(found.get(2), table::decode_link)?;
    let hosts = decoded(found.get(3), |row| row.text("host"))?;
    let taken = slugs::taken(&app.db, &scope.workspace_id, &slugs).await?;
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut new: Vec<Link> = Vec::new();
    for (number, row) in rows {
        if let Some(first) = seen.get(&row.link_ref) {
            lines.push(Line::refused(number, "ref", format!("is in line {first} already")));
            continue;
        }
        let member = match people.find(&row.whose) {
            Ok(member) => member,
            Err((field, message)) => {
                lines.push(Line::refused(number, field, message));
                continue;
            }
        };
        if let Some(link) = there.iter().find(|link| link.link_ref == row.link_ref) {
            if link.participant_id != member.id.as_str() {
                lines.push(Line::refused(number, "ref", "is another participant's"));
                continue;
            }
            let differs = [
                ("landing_url", link.landing_url != row.landing_url),
                ("slug", row.slug.as_ref().is_some_and(|slug| *slug != link.slug)),
                ("name", !row.name.is_empty() && row.name != link.name),
            ];
            let differs = differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
            lines.push(Line::unchanged(number, &link.id, differs));
            continue;
        }
        if !hosts.contains(&row.host) {
            let message =
                format!("{} is not a registered host of this workspace and mode; register it under hosts", row.host);
            lines.push(Line::refused(number, "landing_url", message));
            continue;
        }
        let is_taken = |slug: &String| taken.contains(slug) || new.iter().any(|link| link.slug == *slug);
        if row.slug.as_ref().is_some_and(is_taken) {
            lines.push(Line::refused(number, "slug", "is taken"));
            continue;
        }
        let link = Link {
            id: app.fresh(call.now),
            participant_id: member.id.clone(),
            link_ref: row.link_ref.clone(),
            slug: row.slug.unwrap_or_else(|| made_up(app)),
            landing_url: row.landing_url,
            name: row.name,
            status: LinkStatus::Active,
            clicks: 0,
            created_at: call.now,
        };
        seen.insert(row.link_ref, number);
        lines.push(Line::created(number, &link.id));
        new.push(link);
    }
    let mut batch = Vec::new();
    if !new.is_empty() {
        batch.push(table::insert_links(scope, &new, call.now)?);
    }
    Ok(Plan { lines, batch, programs: Vec::new(), links: new, woken_at: None })
}

fn read(fields: &mut Fields) -> Option<Row> {
    let whose = Whose::read(fields);
    let link_ref = fields.required_text("ref", 255);
    if link_ref.chars().any(|c| c.is_control() || c.is_whitespace()) {
        fields.error("ref", "must not contain white space");
    }
    let slug = fields.text("slug", 63);
    if slug.as_deref().is_some_and(|slug| !is_slug(slug)) {
        fields.error("slug", "must be lower-case letters, digits and inner dashes");
    }
    if fields.raw("landing_url").is_none() {
        fields.error("landing_url", "is required");
    }
    let landing = landing(fields);
    let name = fields.text("name", NAME_CHARS_MAX).unwrap_or_default();
    let (landing_url, url) = landing?;
    Some(Row { whose, link_ref, slug, landing_url, host: host_of(&url).unwrap_or_default(), name })
}
