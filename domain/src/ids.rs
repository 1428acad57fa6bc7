//! Ids: a prefix that says what it names, an underscore, and 26 characters that sort by the time they were made.
//!
//! The 26 characters are 48 bits of milliseconds and 80 random bits in Crockford's base 32, lower case (the layout of a
//! ULID), so that a table ordered by id is ordered by when its rows were recorded and needs no index for it.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::time::Instant;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BODY_CHARS: usize = 26;
/// The bits of the time that hold a workspace's database, from the top; the others last until the year 2109.
const DATABASE_BITS: u32 = 6;
const TIME_BITS: u32 = 48 - DATABASE_BITS;

/// What an id names.
pub trait Kind {
    /// The part before the underscore.
    const PREFIX: &'static str;
}

/// An id of one kind. Parsing and making are the only ways in.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id<K: Kind> {
    text: String,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Id<K> {
    /// A new id, from the time and ten random bytes.
    pub fn make(now: Instant, random: [u8; 10]) -> Self {
        let time = u128::from(now.ms().clamp(0, (1 << 48) - 1).unsigned_abs());
        let mut bits = time << 80;
        for (place, byte) in random.iter().rev().enumerate() {
            bits |= u128::from(*byte) << (8 * place);
        }
        let mut text = String::with_capacity(K::PREFIX.len() + 1 + BODY_CHARS);
        text.push_str(K::PREFIX);
        text.push('_');
        for place in (0..BODY_CHARS).rev() {
            let digit = (bits >> (5 * place)) & 31;
            text.push(char::from(ALPHABET[digit as usize]));
        }
        Self { text, kind: PhantomData }
    }

    /// The least id that can be made at that time: what was recorded from then on has one not below it.
    pub fn least(at: Instant) -> Self {
        Self::make(at, [0; 10])
    }

    /// Reads an id of this kind.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(K::PREFIX)?.strip_prefix('_')?;
        let sound = body.len() == BODY_CHARS && body.bytes().all(|byte| ALPHABET.contains(&byte));
        sound.then(|| Self { text: text.to_owned(), kind: PhantomData })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<K: Kind> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}
impl<K: Kind> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<K: Kind> Eq for Id<K> {}
impl<K: Kind> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K: Kind> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl<K: Kind> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<K: Kind> From<Id<K>> for String {
    fn from(id: Id<K>) -> Self {
        id.text
    }
}
impl<K: Kind> TryFrom<String> for Id<K> {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("not an id that begins with {}_", K::PREFIX))
    }
}

impl Id<Workspace> {
    /// A new workspace's id, which says in which database of the deployment's list it lies, 0 to 15: a click id has four bits for
    /// that. Those of the first are as if nothing was said.
    pub fn make_in(database: u8, now: Instant, random: [u8; 10]) -> Self {
        let time = now.ms().clamp(0, (1 << TIME_BITS) - 1) | i64::from(database & 15) << TIME_BITS;
        Self::make(Instant::from_ms(time), random)
    }

    /// In which database it lies. One that nobody made may say up to 63.
    pub fn database(&self) -> u8 {
        // The first two characters hold eight bits: two that are always 0, and these six.
        let digit = |place: usize| {
            let byte = self.text.as_bytes().get(Workspace::PREFIX.len() + 1 + place);
            ALPHABET.iter().position(|one| Some(one) == byte).unwrap_or(0)
        };
        u8::try_from((digit(0) << 5 | digit(1)) >> 2 & 63).unwrap_or(0)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $prefix:literal, $alias:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
        }
        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    /// A workspace.
    Workspace = "ws", WorkspaceId;
    /// An API key.
    Key = "key", KeyId;
    /// A host.
    Host = "host", HostId;
    /// A program.
    Program = "prog", ProgramId;
    /// A reward: all its versions.
    Reward = "rew", RewardId;
    /// One version of a reward.
    RewardVersion = "rewv", RewardVersionId;
    /// A partner.
    Partner = "part", PartnerId;
    /// A participant.
    Participant = "ppt", ParticipantId;
    /// A link.
    Link = "link", LinkId;
    /// A promo code.
    PromoCode = "promo", PromoCodeId;
    /// A family of sales.
    Family = "fam", FamilyId;
    /// A fact.
    Fact = "fact", FactId;
    /// A conversion.
    Conversion = "conv", ConversionId;
    /// A decision.
    Decision = "dec", DecisionId;
    /// A commission.
    Commission = "com", CommissionId;
    /// An entry.
    Entry = "ent", EntryId;
    /// A payout.
    Payout = "payout", PayoutId;
    /// An export of a workspace.
    Export = "exp", ExportId;
    /// A recorded human step.
    Act = "act", ActId;
    /// A customer.
    Customer = "cust", CustomerId;
    /// A refund or dispute, as it is listed.
    Refund = "rfd", RefundId;
    /// Something that a fraud rule found.
    FraudAlert = "frd", FraudAlertId;
    /// An event of the outbox.
    Event = "evt", EventId;
    /// A Stripe connection.
    Connection = "conn", ConnectionId;
    /// A Stripe event, in our own log.
    StripeEvent = "sev", StripeEventId;
    /// Something that Stripe's API is asked.
    StripeLookup = "slk", StripeLookupId;
    /// An endpoint of outgoing webhooks.
    Endpoint = "whe", EndpointId;
    /// What one endpoint is owed of one event.
    Delivery = "whd", DeliveryId;
    /// An invite to join a program.
    Invite = "inv", InviteId;
    /// Something that a partner is told.
    Notice = "ntc", NoticeId;
    /// Something that a partner asks.
    Question = "qst", QuestionId;
    /// Somebody who signs in.
    Person = "person", PersonId;
    /// A person's membership of a workspace.
    Member = "mem", MemberId;
    /// A mail to be sent.
    Mail = "mail", MailId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_are_read_again() {
        let early = ProgramId::make(Instant::from_ms(1_767_225_600_000), [0xff; 10]);
        let late = ProgramId::make(Instant::from_ms(1_767_225_600_001), [0; 10]);
        assert!(early < late);
        assert_eq!(ProgramId::parse(early.as_str()), Some(early.clone()));
        let (from, to) = (
            ProgramId::least(Instant::from_ms(1_767_225_600_000)),
            ProgramId::least(Instant::from_ms(1_767_225_600_001)),
        );
        assert!(from <= early && early < to && to <= late);
    }

    #[test]
    fn what_is_no_id_of_the_kind_is_refused() {
        let id = ProgramId::make(Instant::from_ms(0), [1; 10]);
        assert_eq!(LinkId::parse(id.as_str()), None);
        for text in ["", "prog", "prog_", "prog_1", "prog_0123456789abcdefghjkmnpqrU", "prog_0123456789abcdefghijklmno"]
        {
            assert_eq!(ProgramId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_workspace_says_in_which_database_it_lies_and_all_before_said_the_first() {
        let now = Instant::from_ms(1_795_903_000_000);
        for database in 0..16 {
            let id = WorkspaceId::make_in(database, now, [7; 10]);
            assert_eq!(
                (id.database(), WorkspaceId::parse(id.as_str()).map(|id| id.database())),
                (database, Some(database))
            );
        }
        assert_eq!(WorkspaceId::make(now, [0xff; 10]).database(), 0);
        assert_eq!(WorkspaceId::make_in(0, now, [7; 10]), WorkspaceId::make(now, [7; 10]));
        let last = Instant::from_ms((1 << 42) - 1);
        assert_eq!(WorkspaceId::make_in(0, last, [0xff; 10]).database(), 0, "until 2109");
    }

    #[test]
    fn id_format_unchanged() {
        let second = WorkspaceId::make_in(1, Instant::from_ms(1_767_225_600_000), [0; 10]);
        assert_eq!(second.as_str(), "ws_05kdvdna000000000000000000");
        let id = ConversionId::make(Instant::from_ms(1_767_225_600_000), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(id.as_str(), "conv_01kdvdna00000g40r40m30e209");
    }
}
