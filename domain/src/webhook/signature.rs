//! Signatures of two families over one secret, so that receivers that were written for either verify.
//!
//! The secret is `whsec_` and 64 hex digits. `X-Selgeo-Signature` is keyed with the 32 bytes that the digits encode.
//! Standard Webhooks (<https://www.standardwebhooks.com>, its specification's section "Signature scheme") takes what stands
//! after `whsec_` for base64, and 64 hex digits are base64 too, of 48 bytes: `webhook-signature` carries one signature under
//! each, so that the official libraries verify with the secret as it is shown.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";

/// A secret to sign with. Its text is in no error and no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    bytes: [u8; 32],
}

impl Secret {
    /// A new one, of 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self { text: format!("{PREFIX}{}", hex::encode(bytes)), bytes }
    }

    /// Reads one as it is shown.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix(PREFIX)?, &mut bytes).ok()?;
        // Made anew from its bytes: digits in capitals would be other bytes in base64.
        Some(Self::new(bytes)).filter(|secret| secret.text == text)
    }

    /// As it is shown to the merchant.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What Standard Webhooks' libraries make of it.
    fn read_as_base64(&self) -> Vec<u8> {
        STANDARD.decode(self.text.trim_start_matches(PREFIX)).unwrap_or_default()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What is signed: a message's id, when it is sent, and its body.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The event's id.
    pub id: &'a str,
    /// Unix seconds.
    pub at: i64,
    /// The body as it is sent.
    pub body: &'a str,
}

impl Message<'_> {
    /// `X-Selgeo-Signature`: always one `v1`, since published receivers keep the last.
    pub fn selgeo(&self, secret: &Secret) -> String {
        let signed = mac(&secret.bytes, &[&self.at.to_string(), ".", self.body]);
        format!("t={},v1={}", self.at, hex::encode(signed))
    }

    /// `webhook-signature`: for each secret one signature under the bytes of either reading.
    pub fn standard(&self, secrets: &[&Secret]) -> String {
        let sign = |key: &[u8]| {
            let signed = mac(key, &[self.id, ".", &self.at.to_string(), ".", self.body]);
            format!("v1,{}", STANDARD.encode(signed))
        };
        let all: Vec<String> =
            secrets.iter().flat_map(|secret| [sign(&secret.bytes), sign(&secret.read_as_base64())]).collect();
        all.join(" ")
    }
}

fn mac(key: &[u8], parts: &[&str]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        // HMAC takes keys of any length.
        return [0; 32];
    };
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(place).unwrap();
        }
        Secret::new(bytes)
    }

    #[test]
    fn signature_format_unchanged() {
        // The contract's vector.
        let body = r#"{"api_version":"v1","type":"webhook.test"}"#;
        let message = Message { id: "evt_1", at: 1_767_225_600, body };
        let expected = "t=1767225600,v1=6d79b63b51ab02479dd0887c7df2e80043e9fc1b0064463a97722723f10c467f";
        assert_eq!(message.selgeo(&secret()), expected);
        let both = message.standard(&[&secret(), &Secret::new([7; 32])]);
        let each: Vec<&str> = both.split(' ').collect();
        assert_eq!(each.len(), 4);
        assert!(each.iter().all(|one| one.starts_with("v1,") && one.len() == 47), "{both}");
    }

    #[test]
    fn what_standard_webhooks_publishes_holds() {
        // Of the specification's repository: the worked example, and the reference libraries' test.
        let check = |key: &str, id: &str, at: &str, body: &str, expected: &str| {
            let signed = mac(&STANDARD.decode(key).unwrap(), &[id, ".", at, ".", body]);
            assert_eq!(STANDARD.encode(signed), expected);
        };
        check(
            "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        );
        check(
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        );
    }

    #[test]
    fn a_secret_is_read_only_as_it_is_shown() {
        let shown = secret();
        assert_eq!(Secret::parse(shown.as_str()).unwrap(), shown);
        assert_eq!(shown.read_as_base64().len(), 48);
        let text = shown.as_str();
        for other in
            ["", "whsec_", &text[..69], &text.to_uppercase(), &text.replace("whsec_", ""), &text.replace('f', "F")]
        {
            assert_eq!(Secret::parse(other), None, "{other}");
        }
        assert_eq!(format!("{shown:?}"), "Secret");
    }
}
