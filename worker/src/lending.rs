//! What counts for a public key, in one place for all: the minute's count, what is lent out of it, whether the key is valid, and
//! when a link was changed last. So a lease is the proof that the key is valid, and that what an isolate knows of links holds: with
//! one, it need ask nobody.

use std::sync::Mutex;

use domain::limit::Window;
use domain::time::{Instant, SECOND_MS};

use crate::limiter::{Ask, Loan, Said};
use crate::store::{Database, DbError, Row, keys};

/// A proof that is older is asked for anew, also that a key is not valid: a suspended workspace may be resumed. With it and [`LEASE_MS`],
/// whatever is revoked is refused everywhere within 45 s, though nobody told the object.
const PROVED_MS: i64 = 25 * SECOND_MS;
/// How long a lease lasts at most, within its minute.
const LEASE_MS: i64 = 20 * SECOND_MS;
/// How long one lasts while the database cannot be asked: nothing can be revoked in it then.
const UNPROVED_LEASE_MS: i64 = 5 * SECOND_MS;

/// Whoever asks the database for longer is taken to be gone.
const ASKING_MS_MAX: i64 = 5 * SECOND_MS;

/// What is known of the key.
#[derive(Clone, Copy, Debug)]
struct Proof {
    /// When the database said so.
    at: Instant,
    is_valid: bool,
    /// The workspace's limit.
    limit: u32,
}

/// Counts for one bucket, and lends.
#[derive(Default)]
pub struct Lender {
    /// The count; whoever has it stored looks at it here.
    pub window: Mutex<Window>,
    proof: Mutex<Option<Proof>>,
    /// When a link of the workspace and mode was changed last. Whoever has it stored looks at it here.
    pub links_changed_at: Mutex<Option<Instant>>,
    asking_since: Mutex<Option<Instant>>,
}

impl Lender {
    /// Lends to an isolate, if the key that it names is valid.
    pub async fn lend(&self, db: &dyn Database, ask: &Ask, now: Instant) -> Said {
        let (limit, lease_ms) = match &ask.key {
            None => (ask.limit, LEASE_MS),
            Some(_) => match self.prove(db, ask, now).await {
                Some(found) => found,
                None => return Said::Revoked,
            },
        };
        let Ok(mut window) = self.window.lock() else { return Said::Revoked };
        let (admission, size) = window.lend(limit, ask.returned, now);
        let left_ms = (window.minute + 1) * domain::time::MINUTE_MS - now.ms();
        let links_changed_at = self.links_changed_at.lock().ok().and_then(|at| *at);
        Said::Lent(Loan {
            admission,
            minute: window.minute,
            size,
            lasts_ms: lease_ms.min(left_ms).max(0),
            links_changed_at,
        })
    }

    /// A link was changed: with its next lease every isolate hears of it.
    pub fn note_change(&self, now: Instant) {
        if let Ok(mut at) = self.links_changed_at.lock() {
            *at = (*at).max(Some(now));
        }
    }

    /// From now on the key is refused, until the database says otherwise.
    pub fn revoke(&self, now: Instant) {
        if let Ok(mut proof) = self.proof.lock() {
            *proof = Some(Proof { at: now, is_valid: false, limit: 0 });
        }
    }

    /// The limit, and how long a lease may last; none where the key is revoked.
    async fn prove(&self, db: &dyn Database, ask: &Ask, now: Instant) -> Option<(u32, i64)> {
        let known = self.known(ask, now);
        if let Some(proof) = known.filter(|proof| now.since_ms(proof.at) < PROVED_MS) {
            return proof.is_valid.then_some((proof.limit, LEASE_MS));
        }
        // While it is not known better, what was valid is, and what was not is not.
        let meanwhile = || {
            let limit = known.map_or(Some(ask.limit), |proof| proof.is_valid.then_some(proof.limit))?;
            Some((limit, UNPROVED_LEASE_MS))
        };
        // One asks for all who come meanwhile.
        if !self.may_ask(now) {
            return meanwhile();
        }
        let asked = match &ask.key {
            Some(key_id) => db.rows(keys::validity(key_id)).await,
            None => Ok(Vec::new()),
        };
        if let Ok(mut since) = self.asking_since.lock() {
            *since = None;
        }
        match proved(asked, now) {
            Ok(fresh) => {
                let mut proof = self.proof.lock().ok()?;
                // Whoever revoked it meanwhile knew better.
                if proof.is_none_or(|proof| proof.is_valid || proof.at < now) {
                    *proof = Some(fresh);
                }
                proof.filter(|proof| proof.is_valid).map(|proof| (proof.limit, LEASE_MS))
            }
            Err(error) => {
                crate::log(&format!("limiter: whether a key is valid could not be asked: {error}"));
                meanwhile()
            }
        }
    }

    /// Whether nobody asks already. A time, not a flag: whoever asks may be gone before there is an answer.
    fn may_ask(&self, now: Instant) -> bool {
        let Ok(mut since) = self.asking_since.lock() else { return true };
        let is_asked = since.is_some_and(|since| (0..ASKING_MS_MAX).contains(&now.since_ms(since)));
        if !is_asked {
            *since = Some(now);
        }
        !is_asked
    }

    /// The newest that is known, here or by whoever asks. A key that is not valid stays so until the database says otherwise.
    fn known(&self, ask: &Ask, now: Instant) -> Option<Proof> {
        let mut held = self.proof.lock().ok()?;
        // An isolate whose clock is ahead proves nothing for the time to come.
        let at = ask.known_at.min(now);
        if held.is_none_or(|proof| proof.is_valid && proof.at < at) {
            *held = Some(Proof { at, is_valid: true, limit: ask.limit });
        }
        *held
    }
}

fn proved(asked: Result<Vec<Row>, DbError>, at: Instant) -> Result<Proof, DbError> {
    match asked?.first() {
        Some(row) => {
            let (is_valid, limit) = keys::decode_validity(row)?;
            Ok(Proof { at, is_valid, limit })
        }
        None => Ok(Proof { at, is_valid: false, limit: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use domain::ids::Id;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::limiter::Bucket;
    use crate::store::Statement;
    use crate::testing::World;

    /// Never answers.
    struct Silent;

    impl Database for Silent {
        fn rows(&self, _statement: Statement) -> BoxFuture<'_, Result<Vec<Row>, DbError>> {
            Box::pin(std::future::pending())
        }

        fn batch(&self, _statements: Vec<Statement>) -> BoxFuture<'_, Result<Vec<Vec<Row>>, DbError>> {
            Box::pin(std::future::pending())
        }

        fn size_bytes(&self) -> BoxFuture<'_, Result<i64, DbError>> {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn whoever_asks_and_is_gone_keeps_nobody_from_asking() {
        let world = World::new();
        let start = world.now();
        // A key that is not there is as good as revoked.
        let key = Id::make(start, [7; 10]);
        let ask = Ask {
            bucket: Bucket::Clicks { key_id: key.to_string() },
            limit: 1_000,
            returned: None,
            key: Some(key),
            known_at: start,
        };
        let lender = Lender::default();
        let lent = |ms| pollster::block_on(lender.lend(world.db.as_ref(), &ask, start.plus_ms(ms)));
        assert!(matches!(lent(0), Said::Lent(_)), "proved by whoever asks");
        let gone = lender.lend(&Silent, &ask, start.plus_ms(PROVED_MS));
        assert!(Box::pin(gone).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let Said::Lent(short) = lent(PROVED_MS + 1) else { panic!("somebody asks already") };
        assert_eq!(short.lasts_ms, UNPROVED_LEASE_MS);
        assert_eq!(lent(PROVED_MS + ASKING_MS_MAX), Said::Revoked);
    }
}
