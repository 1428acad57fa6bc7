//! A click id that proves itself: a UUID that looks like version 4 and needs no database to be believed.
//!
//! Of a version 4 UUID's 128 bits, 122 are free. Ours hold, before encryption and from the top:
//!
//! | bits | what |
//! |---|---|
//! | 40 | milliseconds since 2026-01-01T00:00:00Z (34 years) |
//! | 4 | the index of the link's database |
//! | 26 | the link's number in that database |
//! | 20 | nonce: a random start per isolate, then counting |
//! | 32 | redundancy: a constant |
//!
//! The 122 bits are enciphered as one block by FF1 (NIST SP 800-38G), radix 2, AES-256, under a secret of the deployment.
//! FF1 is a permutation of the 122-bit strings, so whatever is changed, the redundancy comes out wrong but for one chance
//! in 2^32.

use std::fmt;

use aes::Aes256;
use fpe::ff1::{FF1, NumeralString, Operations};

use crate::time::Instant;

/// 2026-01-01T00:00:00Z, in milliseconds since 1970.
const EPOCH_MS: i64 = 1_767_225_600_000;
const TIME_BITS: u32 = 40;
const DATABASE_BITS: u32 = 4;
const LINK_BITS: u32 = 26;
const NONCE_BITS: u32 = 20;
const REDUNDANCY_BITS: u32 = 32;
const FREE_BITS: u32 = 122;
const HALF_BITS: u32 = FREE_BITS / 2;
const HALF_MASK: u64 = (1 << HALF_BITS) - 1;
/// "SELG".
const REDUNDANCY: u128 = 0x5345_4c47;
/// Domain separation, so that the same secret could not be used for another 122-bit thing by mistake.
const TWEAK: &[u8] = b"selgeo click 1";

const _: () = assert!(TIME_BITS + DATABASE_BITS + LINK_BITS + NONCE_BITS + REDUNDANCY_BITS == FREE_BITS);

/// The greatest link number that fits.
pub const LINK_NUMBER_MAX: u32 = (1 << LINK_BITS) - 1;

/// A link's number: in which database it lies, and where there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkNumber {
    /// The index of the database, 0 to 15.
    pub database: u8,
    /// The number in it, at most [`LINK_NUMBER_MAX`].
    pub number: u32,
}

/// What a click id says once it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Click {
    /// When the click was registered.
    pub at: Instant,
    /// On which link.
    pub link: LinkNumber,
    /// Tells clicks of one link in one millisecond apart. 20 bits.
    pub nonce: u32,
}

/// The text of a click id: a UUID in lower case. Whether it is one of ours, [`ClickCipher::open`] tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClickId([u8; 16]);

impl ClickId {
    /// Reads a UUID of the form 8-4-4-4-12, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let dashes = [8, 13, 18, 23];
        let formed = bytes.len() == 36
            && bytes.iter().enumerate().all(
                |(i, b)| {
                    if dashes.contains(&i) { *b == b'-' } else { b.is_ascii_hexdigit() }
                },
            );
        if !formed {
            return None;
        }
        let hex: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'-').collect();
        let mut id = [0; 16];
        hex::decode_to_slice(hex, &mut id).ok()?;
        Some(Self(id))
    }

    /// The 16 bytes.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// From the 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 122 free bits, if version and variant are those of version 4.
    fn free_bits(self) -> Option<u128> {
        let all = u128::from_be_bytes(self.0);
        if (all >> 76) & 0xf != 4 || (all >> 62) & 0b11 != 0b10 {
            return None;
        }
        let high = all >> 80; // 48 bits
        let middle = (all >> 64) & 0xfff; // 12 bits
        let low = all & ((1 << 62) - 1); // 62 bits
        Some((high << 74) | (middle << 62) | low)
    }

    fn from_free_bits(bits: u128) -> Self {
        let high = bits >> 74;
        let middle = (bits >> 62) & 0xfff;
        let low = bits & ((1 << 62) - 1);
        Self(((high << 80) | (4 << 76) | (middle << 64) | (0b10 << 62) | low).to_be_bytes())
    }
}

impl fmt::Display for ClickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = hex::encode(self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for ClickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Seals clicks into ids under the current secret, and opens ids under it and under those before it.
pub struct ClickCipher {
    /// The current one first.
    ciphers: Vec<FF1<Aes256>>,
}

/// There is no secret to seal under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSecret;

impl ClickCipher {
    /// From the deployment's secrets, the current one first. An old secret stays for the longest window, 365 days.
    pub fn new(secrets: &[[u8; 32]]) -> Result<Self, NoSecret> {
        let ciphers: Vec<_> = secrets.iter().filter_map(|secret| FF1::new(secret, 2).ok()).collect();
        if ciphers.is_empty() { Err(NoSecret) } else { Ok(Self { ciphers }) }
    }

    /// The id of a click. `None` before 2026, after 2060, or when the link's number does not fit.
    pub fn seal(&self, click: Click) -> Option<ClickId> {
        let time = u128::try_from(click.at.ms() - EPOCH_MS).ok().filter(|time| *time < 1 << TIME_BITS)?;
        let fits = click.link.number <= LINK_NUMBER_MAX && u32::from(click.link.database) < 1 << DATABASE_BITS;
        if !fits {
            return None;
        }
        let mut bits = time;
        bits = (bits << DATABASE_BITS) | u128::from(click.link.database);
        bits = (bits << LINK_BITS) | u128::from(click.link.number);
        bits = (bits << NONCE_BITS) | u128::from(click.nonce & ((1 << NONCE_BITS) - 1));
        bits = (bits << REDUNDANCY_BITS) | REDUNDANCY;
        let sealed = self.ciphers.first()?.encrypt(TWEAK, &Bits::of(bits)).ok()?;
        Some(ClickId::from_free_bits(sealed.joined()))
    }

    /// The click that this id names; `None` when it is not one of ours, whole and unchanged.
    pub fn open(&self, id: ClickId) -> Option<Click> {
        let sealed = Bits::of(id.free_bits()?);
        self.ciphers.iter().find_map(|cipher| {
            let bits = cipher.decrypt(TWEAK, &sealed).ok()?.joined();
            if bits & ((1 << REDUNDANCY_BITS) - 1) != REDUNDANCY {
                return None;
            }
            let bits = bits >> REDUNDANCY_BITS;
            let nonce = (bits & ((1 << NONCE_BITS) - 1)) as u32;
            let bits = bits >> NONCE_BITS;
            let number = (bits & ((1 << LINK_BITS) - 1)) as u32;
            let bits = bits >> LINK_BITS;
            let database = (bits & ((1 << DATABASE_BITS) - 1)) as u8;
            let time = i64::try_from(bits >> DATABASE_BITS).ok()?;
            Some(Click { at: Instant::from_ms(EPOCH_MS + time), link: LinkNumber { database, number }, nonce })
        })
    }
}

/// 122 bits as FF1 wants them: two halves of 61. The crate's own strings take whole bytes only, or cost ten times this.
struct Bits(u64, u64);

impl Bits {
    fn of(bits: u128) -> Self {
        Self((bits >> HALF_BITS) as u64 & HALF_MASK, bits as u64 & HALF_MASK)
    }

    fn joined(&self) -> u128 {
        (u128::from(self.0) << HALF_BITS) | u128::from(self.1)
    }
}

struct Half(u64);

impl Operations for Half {
    type Bytes = [u8; 8];

    fn numeral_count(&self) -> usize {
        HALF_BITS as usize
    }

    fn to_be_bytes(&self, _radix: u32, _b: usize) -> [u8; 8] {
        // b = ceil(61 / 8) = 8.
        self.0.to_be_bytes()
    }

    fn add_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, _m: usize) -> Self {
        Self(self.0.wrapping_add(low_bits(other)) & HALF_MASK)
    }

    fn sub_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, _m: usize) -> Self {
        Self(self.0.wrapping_sub(low_bits(other)) & HALF_MASK)
    }
}

/// The low 64 bits of a big-endian number: arithmetic modulo 2^61 needs no others.
fn low_bits(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0, |number, byte| (number << 8) | u64::from(byte))
}

impl NumeralString for Bits {
    type Ops = Half;

    fn is_valid(&self, radix: u32) -> bool {
        radix == 2 && self.0 <= HALF_MASK && self.1 <= HALF_MASK
    }

    fn numeral_count(&self) -> usize {
        FREE_BITS as usize
    }

    fn split(&self) -> (Half, Half) {
        (Half(self.0), Half(self.1))
    }

    fn concat(a: Half, b: Half) -> Self {
        Self(a.0, b.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cipher() -> ClickCipher {
        ClickCipher::new(&[[7; 32]]).unwrap()
    }

    fn any_click() -> impl Strategy<Value = Click> {
        (0i64..1 << 40, 0u8..16, 0u32..=LINK_NUMBER_MAX, 0u32..1 << 20).prop_map(|(ms, database, number, nonce)| {
            Click { at: Instant::from_ms(EPOCH_MS + ms), link: LinkNumber { database, number }, nonce }
        })
    }

    proptest! {
        #[test]
        fn a_sealed_click_opens_again_and_looks_like_version_4(click in any_click()) {
            let id = cipher().seal(click).unwrap();
            prop_assert_eq!(cipher().open(id), Some(click));
            let text = id.to_string();
            prop_assert_eq!(&text[14..15], "4");
            prop_assert!("89ab".contains(&text[19..20]));
            prop_assert_eq!(ClickId::parse(&text), Some(id));
            prop_assert_eq!(ClickId::parse(&text.to_uppercase()), Some(id));
        }

        #[test]
        fn a_flipped_bit_anywhere_is_refused(click in any_click(), bit in 0usize..128) {
            let mut bytes = cipher().seal(click).unwrap().bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(cipher().open(ClickId::from_bytes(bytes)), None);
        }

        #[test]
        fn an_invented_uuid_is_refused(bytes: [u8; 16]) {
            let mut bytes = bytes;
            bytes[6] = (bytes[6] & 0x0f) | 0x40;
            bytes[8] = (bytes[8] & 0x3f) | 0x80;
            prop_assert_eq!(cipher().open(ClickId::from_bytes(bytes)), None);
        }

        #[test]
        fn ids_of_one_link_made_in_one_millisecond_differ(click in any_click(), other in 0u32..1 << 20) {
            prop_assume!(click.nonce != other);
            let ids = [click.nonce, other].map(|nonce| cipher().seal(Click { nonce, ..click }).unwrap());
            prop_assert_ne!(ids[0], ids[1]);
        }

        #[test]
        fn an_old_secret_still_reads_and_a_foreign_one_does_not(click in any_click()) {
            let id = cipher().seal(click).unwrap();
            let rotated = ClickCipher::new(&[[8; 32], [7; 32]]).unwrap();
            prop_assert_eq!(rotated.open(id), Some(click));
            prop_assert_ne!(rotated.seal(click), Some(id));
            prop_assert_eq!(ClickCipher::new(&[[8; 32]]).unwrap().open(id), None);
        }
    }

    #[test]
    fn click_id_format_unchanged() {
        let click = Click {
            at: Instant::from_ms(EPOCH_MS + 123_456_789),
            link: LinkNumber { database: 3, number: 4_567 },
            nonce: 89,
        };
        assert_eq!(cipher().seal(click).unwrap().to_string(), "4fea78d7-674b-4545-ae5c-bb7d1563d788");
    }

    #[test]
    fn a_click_outside_the_layout_is_not_sealed() {
        let click = Click { at: Instant::from_ms(EPOCH_MS), link: LinkNumber { database: 0, number: 1 }, nonce: 0 };
        assert!(cipher().seal(click).is_some());
        assert_eq!(cipher().seal(Click { at: Instant::from_ms(EPOCH_MS - 1), ..click }), None);
        assert_eq!(cipher().seal(Click { at: Instant::from_ms(EPOCH_MS + (1 << 40)), ..click }), None);
        assert_eq!(cipher().seal(Click { link: LinkNumber { database: 0, number: 1 << 26 }, ..click }), None);
        assert_eq!(cipher().seal(Click { link: LinkNumber { database: 16, number: 1 }, ..click }), None);
        assert_eq!(ClickCipher::new(&[]).err(), Some(NoSecret));
    }

    #[test]
    fn what_is_no_uuid_is_no_click_id() {
        for text in ["", "x", "00000000-0000-4000-8000-00000000000", "00000000x0000-4000-8000-000000000000", "é"] {
            assert_eq!(ClickId::parse(text), None, "{text}");
        }
    }
}
