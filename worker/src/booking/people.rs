//! Everybody who may be credited by one booking, as they stand now.

use std::collections::HashMap;

use domain::attribution::{Person, Standing};
use domain::email::{self, EmailHashes};
use domain::fraud::{Policy, is_own_address};
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
    /// The partner's address; it is compared, and not stored with a decision.
    email: Option<EmailHashes>,
    /// Anybody can have an address of the partner's domain.
    domain_shared: bool,
    conversions: u32,
    refunded: u32,
    /// What the program wants done about each fraud rule.
    pub policy: Policy,
    /// A subscription that ends takes its pending commissions with it.
    pub reverse_pending_on_end: bool,
}

impl Known {
    /// As the fraud rules see it, for a buyer with these addresses.
    pub fn person(&self, buyer: &[EmailHashes]) -> Person {
        let is_own =
            |partner: &EmailHashes| buyer.iter().any(|buyer| is_own_address(buyer, partner, self.domain_shared));
        Person {
            participant_id: self.standing.participant_id.clone(),
            own_address: self.email.as_ref().is_some_and(is_own),
            conversions: self.conversions,
            refunded: self.refunded,
            policy: self.policy.clone(),
        }
    }
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
    let (conversions, refunded): (u32, u32) = row.json("recent")?;
    Ok(Known {
        standing,
        model: row.parsed("attribution_model", AttributionModel::parse, "an attribution model")?,
        email: email::hash_email(key, &address),
        domain_shared: email::has_shared_domain(&address),
        conversions,
        refunded,
        policy: row.json::<Policy>("fraud")?,
        reverse_pending_on_end: row.flag("reverse_pending_on_end")?,
    })
}
