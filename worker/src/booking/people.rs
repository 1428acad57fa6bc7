//! Everybody who may be credited by one booking, as they stand now.

use std::collections::HashMap;

use domain::attribution::{Person, Standing};
use domain::email;
use domain::fraud::Policy;
use domain::ids::ParticipantId;
use domain::status::AttributionModel;

use crate::app::App;
use crate::store::{DbError, Row, Scope, partners};

/// A participant, with what its program wants.
pub struct Known {
    /// Who, and how it stands.
    pub standing: Standing,
    /// How the program treats a customer who is bound.
    pub model: AttributionModel,
    /// As the fraud rules see it.
    pub person: Person,
    /// A subscription that ends takes its pending commissions with it.
    pub reverse_pending_on_end: bool,
}

/// Everybody who may be credited.
pub struct People(HashMap<ParticipantId, Known>);

impl People {
    /// Reads them.
    pub fn read(app: &App, scope: &Scope, rows: &[Row]) -> Result<Self, DbError> {
        let key = app.secrets.email_key(scope.workspace_id.as_str());
        let mut people = HashMap::new();
        for row in rows {
            let known = known(row, &key)?;
            people.insert(known.standing.participant_id.clone(), known);
        }
        Ok(Self(people))
    }

    /// One of them.
    pub fn get(&self, id: &ParticipantId) -> Option<&Known> {
        self.0.get(id)
    }

    /// All of them, to be looked at in another light.
    pub fn each_mut(&mut self) -> impl Iterator<Item = &mut Known> {
        self.0.values_mut()
    }

    /// How one of them stands.
    pub fn standing(&self, id: &ParticipantId) -> Option<&Standing> {
        self.0.get(id).map(|known| &known.standing)
    }
}

fn known(row: &Row, key: &[u8]) -> Result<Known, DbError> {
    let standing = partners::decode_standing(row)?;
    let address = row.text("email")?;
    let counted = |column| Ok(u32::try_from(row.integer(column)?).unwrap_or(0));
    let person = Person {
        participant_id: standing.participant_id.clone(),
        email: email::hash_email(key, &address),
        domain_shared: email::has_shared_domain(&address),
        conversions: counted("conversions")?,
        refunded: counted("refunded")?,
        policy: row.json::<Policy>("fraud")?,
    };
    Ok(Known {
        standing,
        model: row.parsed("attribution_model", AttributionModel::parse, "an attribution model")?,
        person,
        reverse_pending_on_end: row.flag("reverse_pending_on_end")?,
    })
}
