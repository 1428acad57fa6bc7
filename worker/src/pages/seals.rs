//! What was done is told by the page that one is led to, in words of ours that its address chooses. A seal in the address says that
//! we led there: it is made for one person, one page and what is told, and holds for a minute or two. An address without it, which
//! somebody else may have made, tells nothing.

use domain::ids::PersonId;
use domain::time::MINUTE_MS;
use http::Uri;
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::call::Call;
use crate::pages::field;
use crate::secrets::{self, Secret};

/// What an address may tell: what was done, to what, of which kind, and how many were made and are left.
const TOLD: [&str; 5] = ["done", "of", "kind", "made", "left"];
const SEAL: &str = "seal";

/// The seals of one person, of this minute and the one before.
pub struct Seals {
    keys: [Secret; 2],
}

impl Seals {
    /// Of whoever is signed in.
    pub fn of(app: &App, call: &Call, person: &PersonId) -> Self {
        let minute = call.now.ms().div_euclid(MINUTE_MS);
        Self { keys: [minute, minute - 1].map(|minute| app.secrets.notice_key(person.as_str(), minute)) }
    }

    /// The address of a page of ours that tells something. Told are names of those above, with what they say.
    pub fn telling(&self, page: &str, told: &[(&str, &str)]) -> String {
        let (path, given) = page.split_once('?').unwrap_or((page, ""));
        let kept =
            url::form_urlencoded::parse(given.as_bytes()).filter(|(name, _)| !TOLD.contains(&&**name) && name != SEAL);
        let said = TOLD.map(|name| told.iter().find(|(of, _)| *of == name).map(|(_, says)| *says).unwrap_or_default());
        let seal = seal(&self.keys[0], path, said);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept).extend_pairs(told).append_pair(SEAL, &seal);
        format!("{path}?{}", query.finish())
    }

    /// Whether we led there, and lately.
    pub fn hold(&self, address: &Uri) -> bool {
        let query = address.query().unwrap_or("").as_bytes();
        let Some(given) = field(query, SEAL) else { return false };
        let said = TOLD.map(|name| field(query, name).unwrap_or_default());
        let is_ours =
            |key| seal(key, address.path(), said.each_ref().map(String::as_str)).as_bytes().ct_eq(given.as_bytes());
        self.keys.iter().any(|key| bool::from(is_ours(key)))
    }
}

fn seal(key: &Secret, path: &str, said: [&str; TOLD.len()]) -> String {
    let [done, of, kind, made, left] = said;
    hex::encode(&secrets::mac(key, &[path, done, of, kind, made, left])[..12])
}
