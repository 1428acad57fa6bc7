//! Rate limits: a zone, a key, a number per aligned minute (contract, section 4). Counting itself is [`domain::limit`];
//! here is how it is reached.

use domain::ids::KeyId;
use domain::limit::{Admission, Returned};
use domain::time::Instant;
use futures_util::future::BoxFuture;

/// Who counts together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Clicks, per public key.
    Clicks {
        /// The key's id.
        key_id: String,
    },
    /// The Conversion API, per secret key.
    Conversions {
        /// The key's id.
        key_id: String,
    },
    /// Every other `/api/…` path, per address.
    Other {
        /// The workspace whose setting is the limit.
        workspace_id: String,
        /// The IPv4 address, or the /64 of an IPv6 address.
        address: String,
    },
    /// Signatures that failed, per Stripe connection.
    Signatures {
        /// The connection's id.
        connection_id: String,
    },
    /// Links to sign in by, asked for from one address.
    SignInsFrom {
        /// The IPv4 address, or the /64 of an IPv6 address.
        address: String,
    },
    /// Applications to programs, sent from one address.
    JoinsFrom {
        /// The IPv4 address, or the /64 of an IPv6 address.
        address: String,
    },
    /// Links to sign in by, sent to one e-mail address, whether anybody has it or not.
    SignInsTo {
        /// The keyed hash of the address.
        email_hash: String,
    },
}

impl Bucket {
    /// The name of the Durable Object that counts for this bucket.
    pub fn name(&self) -> String {
        match self {
            Self::Clicks { key_id } => format!("clicks:{key_id}"),
            Self::Conversions { key_id } => format!("conversions:{key_id}"),
            Self::Other { workspace_id, address } => format!("other:{workspace_id}:{address}"),
            Self::Signatures { connection_id } => format!("signatures:{connection_id}"),
            Self::SignInsFrom { address } => format!("sign-ins-from:{address}"),
            Self::JoinsFrom { address } => format!("joins-from:{address}"),
            Self::SignInsTo { email_hash } => format!("sign-ins-to:{email_hash}"),
        }
    }
}

/// The limiter cannot answer right now.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreachable(pub String);

/// What an isolate that has no lease asks of the counter of a public key, for one click.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// Who counts together.
    pub bucket: Bucket,
    /// The limit, as far as the isolate knows.
    pub limit: u32,
    /// What became of its last lease.
    pub returned: Option<Returned>,
    /// The key that was sent; none where the click came by a page's host or a short link.
    pub key: Option<KeyId>,
    /// When the database said what the isolate knows.
    pub known_at: Instant,
}

/// What is said to that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    /// Whether the click is admitted, and what is lent beside it.
    Lent(Loan),
    /// The key is revoked.
    Revoked,
}

/// An answer to one click, and a lease for more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loan {
    /// What is said to the click.
    pub admission: Admission,
    /// The minute that the lease is of, counted from 1970.
    pub minute: i64,
    /// For how many clicks.
    pub size: u32,
    /// For how long.
    pub lasts_ms: i64,
    /// When a link of the workspace and mode was changed last, as far as is known.
    pub links_changed_at: Option<Instant>,
}

/// Counts one request. Two run: a Durable Object per bucket, and a table in memory in tests.
pub trait Limiter: Send + Sync {
    /// Takes one of `limit` in the minute of `now`. Never admits more than the limit, at any concurrency.
    fn take(&self, bucket: &Bucket, limit: u32, now: Instant) -> BoxFuture<'_, Result<Admission, Unreachable>>;

    /// Asks for one click and a lease.
    fn lend(&self, ask: Ask, now: Instant) -> BoxFuture<'_, Result<Said, Unreachable>>;

    /// Tells the counter of a public key that it is revoked. A message that is lost costs 45 seconds.
    fn revoked(&self, key_id: &KeyId, now: Instant) -> BoxFuture<'_, ()>;

    /// Tells a counter that a link was changed. A message that is lost costs an isolate one more click.
    fn links_changed(&self, bucket: &Bucket, now: Instant) -> BoxFuture<'_, ()>;

    /// A coarse guard against strangers, per address, before anything that costs: `false` means too many.
    fn stranger(&self, address: &str) -> BoxFuture<'_, bool>;
}
