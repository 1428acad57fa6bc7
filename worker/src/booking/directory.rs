//! Whom the clicks, codes and customers of one booking belong to.

use std::collections::HashMap;

use domain::attribution::{Bound, ClickInput, CustomerInput, PromoInput, SeenClick, Sighting, Standing};
use domain::fact::ClickSource;
use domain::ids::{Id, LinkId, ParticipantId, WorkspaceId};
use domain::mode::Mode;

use super::people::People;
use crate::app::App;
use crate::store::bookings::Parts;
use crate::store::customers::{self, Known};
use crate::store::{DbError, Row, Scope, links};

/// The click of an id that is ours, and of a link in this workspace's database.
pub fn open(app: &App, workspace: &WorkspaceId, text: &str) -> Option<domain::click_id::Click> {
    let click = app.secrets.open_click(text)?;
    (click.link.database == workspace.database()).then_some(click)
}

/// A link: its id, and whose it is.
struct Link {
    id: LinkId,
    workspace: WorkspaceId,
    mode: Mode,
    participant: ParticipantId,
}

/// A promo code: folded, Stripe's id of it, its mode, and whose it is.
struct Code {
    folded: String,
    stripe_id: Option<String>,
    mode: Mode,
    participant: ParticipantId,
}

/// Whom the clicks, codes and customers of one booking belong to.
pub struct Directory {
    scope: Scope,
    links: HashMap<u32, Link>,
    codes: Vec<Code>,
    /// From `di_…` to `promo_…`.
    discounts: HashMap<String, String>,
    /// The customers that the facts name, the first seen first, each once for each of its keys.
    customers: Vec<(String, Known)>,
    /// Everybody who may be credited.
    pub people: People,
}

impl Directory {
    /// Reads a directory.
    pub fn read(scope: &Scope, parts: &Parts, people: People) -> Result<Self, DbError> {
        let mut links = HashMap::new();
        for row in &parts.links {
            let number = u32::try_from(row.integer("number")?).unwrap_or(u32::MAX);
            let link = Link {
                id: row.parsed("link_id", LinkId::parse, "a link id")?,
                workspace: row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?,
                mode: row.mode("mode")?,
                participant: row.parsed("participant_id", Id::parse, "a participant id")?,
            };
            links.insert(number, link);
        }
        let mut codes = parts.codes.iter().map(code).collect::<Result<Vec<_>, _>>()?;
        let mut discounts = HashMap::new();
        for row in &parts.discounts {
            discounts.insert(row.text("discount")?, row.text("promotion_code")?);
            if row.text_opt("participant_id")?.is_some() {
                codes.push(code(row)?);
            }
        }
        let mut customers = Vec::new();
        for row in &parts.customers {
            customers.push((row.text("key")?, customers::decode_known(row)?));
        }
        Ok(Self { scope: scope.clone(), links, codes, discounts, customers, people })
    }

    /// A click, as the decision sees it.
    pub fn click(&self, app: &App, click_id: &str, source: Option<ClickSource>) -> ClickInput {
        let opened = open(app, &self.scope.workspace_id, click_id)
            .and_then(|click| self.links.get(&click.link.number).map(|link| (click, link)));
        let sighting = match opened {
            Some((_, link)) if link.workspace != self.scope.workspace_id => Sighting::Unknown,
            Some((_, link)) if link.mode != self.scope.mode => Sighting::OtherMode,
            Some((click, link)) => match self.people.standing(&link.participant) {
                Some(standing) => {
                    Sighting::Here(SeenClick { at: click.at, link_id: link.id.clone(), standing: standing.clone() })
                }
                None => Sighting::Unknown,
            },
            None => Sighting::Unknown,
        };
        ClickInput { click_id: click_id.to_owned(), source, sighting }
    }

    /// A promo code as a merchant reports it.
    pub fn code(&self, code: &str) -> PromoInput {
        let folded = links::folded(code);
        PromoInput { code: code.to_owned(), stripe: false, sighting: self.sighting(|held| held.folded == folded) }
    }

    /// A promotion code as Stripe names it.
    pub fn promotion_code(&self, id: &str) -> PromoInput {
        let sighting = self.sighting(|held| held.stripe_id.as_deref() == Some(id));
        PromoInput { code: id.to_owned(), stripe: true, sighting }
    }

    /// The promotion code that a discount was made of; the discount itself, while nobody has told.
    pub fn discount(&self, id: &str) -> PromoInput {
        match self.discounts.get(id) {
            Some(promotion_code) => self.promotion_code(promotion_code),
            None => PromoInput { code: id.to_owned(), stripe: true, sighting: Sighting::Unknown },
        }
    }

    /// A customer by one of its keys, and whom it is bound to; not by one of `own`, the conversions of the family that is
    /// decided on: its sales would depend on the order in which they came.
    pub fn customer(&self, key: String, own: &[&str]) -> CustomerInput {
        let by_others = |known: &&Known| known.bound_by.as_deref().is_none_or(|by| !own.contains(&by));
        let known = self.customers.iter().find(|(held, _)| *held == key).map(|(_, known)| known).filter(by_others);
        let bound = known.and_then(|known| known.participant_id.as_deref()).and_then(ParticipantId::parse);
        let person = bound.as_ref().and_then(|id| self.people.get(id));
        let unauthenticated = known.is_some_and(|known| known.unauthenticated);
        let sighting = match person {
            Some(person) => {
                Sighting::Here(Bound { model: person.model, unauthenticated, standing: person.standing.clone() })
            }
            None => Sighting::Unknown,
        };
        CustomerInput { key, sighting }
    }

    /// The customers that these keys name, each once, the first seen first; and the keys that name nobody yet.
    pub fn customers<'a>(&self, keys: &'a [String]) -> (Vec<&Known>, Vec<&'a String>) {
        let mut known: Vec<&Known> = Vec::new();
        let mut new = Vec::new();
        for key in keys {
            match self.customers.iter().find(|(held, _)| held == key) {
                Some((_, one)) if known.iter().any(|held| held.id == one.id) => {}
                Some((_, one)) => known.push(one),
                None => new.push(key),
            }
        }
        known.sort_by(|a, b| a.id.cmp(&b.id));
        (known, new)
    }

    fn sighting(&self, is_it: impl Fn(&Code) -> bool) -> Sighting<Standing> {
        let in_mode = |here: bool| self.codes.iter().find(|code| is_it(code) && (code.mode == self.scope.mode) == here);
        match (in_mode(true), in_mode(false)) {
            (Some(code), _) => match self.people.standing(&code.participant) {
                Some(standing) => Sighting::Here(standing.clone()),
                None => Sighting::Unknown,
            },
            (None, Some(_)) => Sighting::OtherMode,
            (None, None) => Sighting::Unknown,
        }
    }
}

fn code(row: &Row) -> Result<Code, DbError> {
    Ok(Code {
        folded: row.text("code_folded")?,
        stripe_id: row.text_opt("stripe_promotion_code_id")?,
        mode: row.mode("mode")?,
        participant: row.parsed("participant_id", Id::parse, "a participant id")?,
    })
}
