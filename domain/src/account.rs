//! Accounts: how long links and sessions live, who may do what, and where a signed-in person may be sent.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::status::words;
use crate::time::{DAY_MS, HOUR_MS, Instant, MINUTE_MS, SECOND_MS};

/// A link by e-mail signs in for so long (contract, section 13).
pub const LINK_LIVES_MS: i64 = 10 * MINUTE_MS;
/// A first owner's link, which an operator hands on.
pub const SET_UP_LINK_LIVES_MS: i64 = 7 * DAY_MS;
/// A session ends after so long, whatever happens in it.
pub const SESSION_LIVES_MS: i64 = 30 * DAY_MS;
/// A session ends when nobody has come for so long.
pub const SESSION_IDLES_MS: i64 = 14 * DAY_MS;
/// That somebody came is noted at most so often.
pub const SEEN_EVERY_MS: i64 = HOUR_MS;
/// Links that one network address may ask for in a minute.
pub const ASKED_PER_ADDRESS_MAX: u32 = 20;
/// Links that are sent to one e-mail address in a minute.
pub const SENT_PER_EMAIL_MAX: u32 = 3;
/// Links of one e-mail address that can be spent at a time: whoever asks for more in somebody's name sends them no more mail.
pub const OPEN_PER_EMAIL_MAX: i64 = 6;
/// The longest path that is gone to after signing in.
pub const PATH_CHARS_MAX: usize = 500;
/// While a mail is being sent, nobody else sends it; whoever died over it is believed dead after this.
pub const MAIL_CLAIMED_MS: i64 = MINUTE_MS;

/// A secret that a link or a cookie carries: 256 random bits. Only its digest is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one.
    pub fn make(random: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// Reads one, as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    /// As a link or a cookie carries it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is stored and looked up: SHA-256 of the text, hex. It is random enough to need no salt.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl std::fmt::Debug for Token {
    /// A token is in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Whether a session that began and was last seen then still lives.
pub const fn session_lives(created: Instant, seen: Instant, now: Instant) -> bool {
    now.ms() < created.ms() + SESSION_LIVES_MS && now.ms() < seen.ms() + SESSION_IDLES_MS
}

/// When a mail is tried again after so many attempts that failed; `None` gives it up.
pub const fn mail_again_ms(attempts: i64) -> Option<i64> {
    match attempts {
        ..=1 => Some(15 * SECOND_MS),
        2 => Some(MINUTE_MS),
        3 => Some(5 * MINUTE_MS),
        4 => Some(30 * MINUTE_MS),
        5 => Some(3 * HOUR_MS),
        _ => None,
    }
}

words! {
    /// What a member is in a workspace.
    Role {
        /// Everything, members and owners included.
        Owner = "owner",
        /// Everything but what concerns owners.
        Admin = "admin",
        /// Looks.
        Viewer = "viewer",
    }
}

/// What a member may be asked to have the right to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// To see what the workspace holds.
    Read,
    /// To change it.
    Change,
    /// To make and revoke API keys.
    Keys,
    /// To invite and remove members, within [`Role::may_set`].
    Members,
    /// To name the workspace, and to say for how long it keeps what.
    Workspace,
}

impl Role {
    /// Who may do what.
    pub const fn may(self, permission: Permission) -> bool {
        match self {
            Self::Owner => true,
            Self::Admin => !matches!(permission, Permission::Workspace),
            Self::Viewer => matches!(permission, Permission::Read),
        }
    }

    /// Whether a member of this role may make a member of one role one of another; `None` is no member.
    /// Only an owner makes or unmakes an owner.
    pub const fn may_set(self, before: Option<Self>, after: Option<Self>) -> bool {
        let concerns_owner = matches!(before, Some(Self::Owner)) || matches!(after, Some(Self::Owner));
        match self {
            Self::Owner => true,
            Self::Admin => !concerns_owner,
            Self::Viewer => false,
        }
    }
}

/// The path, if it is one of ours to go to after signing in: whatever a browser might take for another host's is none, nor is
/// one that would sign in or out again.
pub fn own_path(text: &str) -> Option<&str> {
    let mut bytes = text.bytes();
    let sound = bytes.next() == Some(b'/')
        && !matches!(bytes.next(), Some(b'/' | b'\\'))
        && text.len() <= PATH_CHARS_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let circles = ["/sign-in", "/sign-out", "/dev/"].iter().any(|prefix| text.starts_with(prefix)) || text == "/";
    (sound && !circles).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made_and_not_shown() {
        let token = Token::make([7; 32]);
        assert_eq!(token.as_str().len(), 43);
        assert_eq!(Token::parse(token.as_str()), Some(token.clone()));
        assert_eq!(format!("{token:?}"), "Token(…)");
        for text in ["", "x", &token.as_str()[1..], &format!("{}A", token.as_str()), &"=".repeat(43), &"é".repeat(43)]
        {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }

    #[test]
    fn token_digest_format_unchanged() {
        let digest = Token::make([7; 32]).digest();
        assert_eq!(digest, "dc4bf80c77473d130fa0de86ba4018fe98bb214005e6a5891d12ba91446f9e81");
    }

    #[test]
    fn a_session_ends_at_its_time_or_when_nobody_comes() {
        let began = Instant::from_ms(1_767_225_600_000);
        let check = |seen_ms: i64, now_ms: i64, expected: bool| {
            assert_eq!(
                session_lives(began, began.plus_ms(seen_ms), began.plus_ms(now_ms)),
                expected,
                "{seen_ms} {now_ms}"
            );
        };
        check(0, 0, true);
        check(0, SESSION_IDLES_MS - 1, true);
        check(0, SESSION_IDLES_MS, false);
        check(SESSION_LIVES_MS - 2, SESSION_LIVES_MS - 1, true);
        check(SESSION_LIVES_MS - 2, SESSION_LIVES_MS, false);
    }

    #[test]
    fn a_viewer_reads_an_admin_changes_and_only_an_owner_concerns_owners() {
        use Permission as P;
        use Role::{Admin, Owner, Viewer};
        for permission in [P::Change, P::Keys, P::Members] {
            assert_eq!([Owner, Admin, Viewer].map(|role| role.may(permission)), [true, true, false], "{permission:?}");
        }
        assert!([Owner, Admin, Viewer].iter().all(|role| role.may(P::Read)));
        let everything = [None, Some(Owner), Some(Admin), Some(Viewer)];
        for before in everything {
            for after in everything {
                let owner_in_it = before == Some(Owner) || after == Some(Owner);
                assert!(Owner.may_set(before, after));
                assert_eq!(Admin.may_set(before, after), !owner_in_it, "{before:?} {after:?}");
                assert!(!Viewer.may_set(before, after));
            }
        }
    }

    #[test]
    fn only_a_path_of_ours_is_gone_to() {
        for path in ["/app", "/app/links?status=active&q=a%2Fb", "/partner", "/join/demo#terms", "/.//evil.test"] {
            assert_eq!(own_path(path), Some(path));
        }
        let long = format!("/{}", "a".repeat(PATH_CHARS_MAX));
        for path in [
            "",
            "app",
            "/",
            "//evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "https://evil.test",
            "javascript:alert(1)",
            "/\t/evil.test",
            "/\n/evil.test",
            "/app\r\nSet-Cookie: a=b",
            "/app\\x",
            "/é",
            " /app",
            "/sign-in",
            "/sign-in/abc",
            "/sign-out",
            "/dev/sign-in?email=a",
            &long,
        ] {
            assert_eq!(own_path(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_mail_is_tried_for_some_hours_and_then_given_up() {
        let all: Vec<_> = (1..=7).map(mail_again_ms).collect();
        assert_eq!(all.iter().flatten().count(), 5);
        assert!(all[5].is_none() && all[6].is_none());
    }
}
