//! What is fuzzed, one function a target: it takes any bytes, panics on none, and checks what must hold of every answer.

use std::sync::OnceLock;

use domain::click_id::{ClickCipher, ClickId};
use domain::fact::StripeFact;
use domain::ids;
use domain::key::{ApiKey, KeyKind};
use domain::mode::Mode;
use domain::money::{AMOUNT_MAX, Currency, rounded_share};
use domain::time::Instant;
use domain::{email, visitor};
use stripe::event::{self, Reading};
use stripe::signature::{self, HEADER_BYTES_MAX, SIGNATURES_MAX, TOLERANCE_S};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 6] = [
    ("stripe_signature", stripe_signature),
    ("stripe_event", stripe_event),
    ("money", money),
    ("ids", ids),
    ("instant", instant),
    ("email", email),
];

const SECRET: &str = "whsec_of_the_fuzzing";
const NOW_S: i64 = 1_700_000_000;

/// The first line is the header, the rest the body. An `@` in the header stands for the right signature, so that the fuzzer
/// gets past the HMAC. What is let in must be what a plain second reading lets in.
pub fn stripe_signature(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (head, rest) = data.split_at(end);
    let body = rest.get(1..).unwrap_or_default();
    let right = |timestamp_s: i64| {
        let header = signature::sign(SECRET, timestamp_s, body);
        header.split_once(",v1=").map(|(_, hex)| hex.to_owned()).unwrap_or_default()
    };
    let text = String::from_utf8_lossy(head);
    let told_s = text.split(',').find_map(|element| element.strip_prefix("t=")?.parse().ok());
    let header: Vec<u8> = match told_s {
        Some(told_s) if head.contains(&b'@') => {
            let right = right(told_s);
            head.iter().flat_map(|byte| if *byte == b'@' { right.as_bytes().to_vec() } else { vec![*byte] }).collect()
        }
        _ => head.to_vec(),
    };
    let now = Instant::from_seconds(NOW_S);
    let answer = signature::verify(&[SECRET], &[&header], body, now);
    assert_eq!(answer.is_ok(), is_let_in(&header, &right), "{answer:?} {:?}", String::from_utf8_lossy(&header));
    assert!(signature::verify(&[""], &[&header], body, now).is_err());
    assert!(signature::verify(&[SECRET], &[&header, &header], body, now).is_err());
}

fn is_let_in(header: &[u8], right: &dyn Fn(i64) -> String) -> bool {
    let Ok(text) = std::str::from_utf8(header) else { return false };
    let pairs: Option<Vec<(&str, &str)>> = text.split(',').map(|element| element.split_once('=')).collect();
    let Some(pairs) = pairs else { return false };
    let times: Vec<&str> = pairs.iter().filter(|(key, _)| *key == "t").map(|(_, value)| *value).collect();
    let [time] = times.as_slice() else { return false };
    let plain = (1..=10).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
    let Some(time_s) = time.parse::<i64>().ok().filter(|_| plain) else { return false };
    header.len() <= HEADER_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && pairs.iter().all(|(key, _)| !key.is_empty())
        && pairs.len() - 1 <= SIGNATURES_MAX
        && (NOW_S - time_s).abs() <= TOLERANCE_S
        && pairs.iter().any(|(key, value)| *key == "v1" && value.eq_ignore_ascii_case(&right(time_s)))
}

/// Any body: it is read or refused, the same way each time; what is read has money in its range and is stored and read again
/// as it was.
pub fn stripe_event(data: &[u8]) {
    let hash = |address: &str| email::hash_email(b"key", address);
    let read = event::read(data, &hash);
    assert_eq!(read, event::read(data, &hash));
    let Ok(event) = read else { return };
    assert!((1..=255).contains(&event.id.len()) && (1..=255).contains(&event.kind.len()));
    let Reading::Facts(facts) = event.reading else { return };
    assert!(!facts.is_empty());
    for fact in facts {
        let stored = serde_json::to_value(&fact).expect("a fact is JSON");
        amounts_are_in_range(&stored);
        let again: StripeFact = serde_json::from_value(stored).expect("a stored fact is read");
        assert_eq!(again, fact);
    }
}

fn amounts_are_in_range(value: &serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => {
            let whole = number.as_i64().expect("no fraction is stored");
            // Times are before the year 10,000, in milliseconds; amounts below 2^53.
            assert!((-AMOUNT_MAX..=AMOUNT_MAX).contains(&whole));
        }
        serde_json::Value::Array(list) => list.iter().for_each(amounts_are_in_range),
        serde_json::Value::Object(object) => object.values().for_each(amounts_are_in_range),
        _ => {}
    }
}

/// A currency's text, and three numbers of which a share is rounded.
pub fn money(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(currency) = Currency::parse(text)
    {
        assert_eq!(currency.code(), text.to_ascii_uppercase());
        assert_eq!(Currency::parse(currency.code()), Ok(currency));
        assert!(currency.decimals() <= 4);
    }
    let number = |place: usize| {
        let bytes = data.get(16 * place..16 * (place + 1))?;
        Some(i128::from_le_bytes(bytes.try_into().ok()?))
    };
    let (Some(numerator), Some(factor), Some(denominator)) = (number(0), number(1), number(2)) else { return };
    // Also of a size that money has.
    for shift in [0, 40, 70, 90] {
        share(numerator >> shift, factor >> (shift + 20), denominator >> shift);
    }
}

fn share(numerator: i128, factor: i128, denominator: i128) {
    let Some(share) = rounded_share(numerator, factor, denominator) else { return };
    assert!(denominator != 0 && (-AMOUNT_MAX..=AMOUNT_MAX).contains(&share));
    // At the very edge of 128 bits only one sign fits.
    if let Some(negated) = numerator.checked_neg().filter(|negated| negated.checked_mul(factor).is_some()) {
        assert_eq!(rounded_share(negated, factor, denominator), Some(-share));
    }
    // |share × denominator − product| ≤ |denominator| ÷ 2.
    let product = numerator.checked_mul(factor);
    let doubled =
        product.and_then(|product| i128::from(share).checked_mul(denominator)?.checked_sub(product)?.checked_mul(2));
    if let Some(doubled) = doubled {
        assert!(doubled.unsigned_abs() <= denominator.unsigned_abs());
    }
}

/// A text that may be an id, a click id, a key or a visitor's token: each is read back as it is written, and none is two.
pub fn ids(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = [
        ids::WorkspaceId::parse(text).map(String::from),
        ids::ProgramId::parse(text).map(String::from),
        ids::ParticipantId::parse(text).map(String::from),
        ids::ConversionId::parse(text).map(String::from),
        ids::CommissionId::parse(text).map(String::from),
        ids::StripeEventId::parse(text).map(String::from),
        ids::ConnectionId::parse(text).map(String::from),
    ];
    let read: Vec<String> = read.into_iter().flatten().collect();
    assert!(read.len() <= 1 && read.iter().all(|id| id == text), "{read:?}");
    if let Some(key) = ApiKey::parse(text) {
        assert_eq!(key.as_str(), text);
        // A public key is no secret.
        assert!(key.kind() == KeyKind::Public || !format!("{key:?}").contains(text));
    }
    let secrets = [[7; 32], [8; 32]];
    if let Some(click) = ClickId::parse(text) {
        assert_eq!(click.to_string(), text.to_ascii_lowercase());
        static CIPHER: OnceLock<ClickCipher> = OnceLock::new();
        let cipher = CIPHER.get_or_init(|| ClickCipher::new(&[[7; 32]]).expect("there is a secret"));
        if let Some(opened) = cipher.open(click) {
            assert_eq!(cipher.seal(opened), Some(click));
        }
        let token = visitor::seal(&secrets[0], "ws_1", Mode::Test, click);
        assert_eq!(visitor::open(&secrets, "ws_1", Mode::Test, &token), Some(click));
        assert_eq!(visitor::open(&secrets, "ws_1", Mode::Live, &token), None);
    }
    if let Some(click) = visitor::open(&secrets, "ws_1", Mode::Test, text) {
        let ours = secrets.iter().map(|secret| visitor::seal(secret, "ws_1", Mode::Test, click));
        assert!(ours.into_iter().any(|token| token == text));
    }
}

/// A text that may be a time: it is written as it is read again, and within the years 0 to 9999.
pub fn instant(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(at) = Instant::parse(text) else { return };
    assert_eq!(Instant::parse(&at.to_string()), Ok(at), "{text}");
    assert_eq!(Instant::from_ms(at.ms()), at);
    assert!(at.seconds() * 1_000 <= at.ms() && at.ms() < (at.seconds() + 1) * 1_000);
}

/// A text that may be an address: its hashes do not depend on case or on white space around it.
pub fn email(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let hashes = email::hash_email(b"key", text);
    assert_eq!(email::hash_email(b"key", &format!(" {text}\n")), hashes);
    assert_eq!(email::hash_email(b"key", &text.trim().to_lowercase()), hashes);
    if let Some(hashes) = hashes {
        assert!([&hashes.exact, &hashes.plain, &hashes.domain].iter().all(|hash| hash.len() == 32));
    }
}
