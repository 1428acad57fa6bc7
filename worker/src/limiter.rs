//! Rate limits: a zone, a key, a number per aligned minute (contract, section 4). Counting itself is [`domain::limit`];
//! here is how it is reached.

use domain::limit::Admission;
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

/// Counts one request. Two run: a Durable Object per bucket, and a table in memory in tests.
pub trait Limiter: Send + Sync {
    /// Takes one of `limit` in the minute of `now`. Never admits more than the limit, at any concurrency.
    fn take(&self, bucket: &Bucket, limit: u32, now: Instant) -> BoxFuture<'_, Result<Admission, Unreachable>>;

    /// A coarse guard against strangers, per address, before anything that costs: `false` means too many.
    fn stranger(&self, address: &str) -> BoxFuture<'_, bool>;
}
