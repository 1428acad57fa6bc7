//! Mail: the port by which letters leave, what they say, and the outbox in which they wait.

#[cfg(target_arch = "wasm32")]
pub mod platform;

use std::sync::Arc;
use std::time::Duration;

use domain::ids::{EndpointId, MailId, WorkspaceId};
use domain::mode::Mode;
use domain::status::DisabledReason;
use domain::time::Instant;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::app::{App, Clock, Random};
use crate::error::ApiError;
use crate::jobs::Message;
use crate::store::databases::Databases;
use crate::store::{Statement, mails};

/// A provider has so long to take a letter.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// What a subject says of a name, at most.
const NAME_CHARS_MAX: usize = 80;

/// A letter, in plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// One address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl std::fmt::Debug for Letter {
    /// A letter may hold a token, which is in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letter(…)")
    }
}

/// Why a letter did not leave: words that may be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent(pub String);

/// Sends letters. Four run: Cloudflare's binding, an HTTP provider, a local mailbox, and a scripted one in tests.
pub trait Mail: Send + Sync {
    /// Hands one over. After an error it may have left all the same.
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), Unsent>>;
}

/// A deployment that names no way to send.
pub struct NoMail;

impl Mail for NoMail {
    fn send<'a>(&'a self, _letter: &'a Letter) -> BoxFuture<'a, Result<(), Unsent>> {
        let why = "no mail can be sent: bind EMAIL or set MAIL_HTTP_URL, and MAIL_FROM".to_owned();
        Box::pin(std::future::ready(Err(Unsent(why))))
    }
}

/// A local server's mailbox, in its database.
pub struct Mailbox {
    /// The database.
    pub db: Arc<Databases>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
}

impl Mail for Mailbox {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), Unsent>> {
        Box::pin(async move {
            let now = self.clock.now();
            let mut random = [0; 10];
            self.random.fill(&mut random);
            let statement = mails::deliver_locally(&MailId::make(now, random), letter, now);
            self.db.batch(vec![statement]).await.map(drop).map_err(|error| Unsent(error.to_string()))
        })
    }
}

/// What waits in the outbox, as it is sealed there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Waiting {
    /// Somebody asked for a link to sign in. Whether anybody has this address is looked at when it is sent, and not before, so
    /// that asking is the same for every address.
    SignIn {
        /// The address, lower case.
        email: String,
        /// `https://host` where it was asked for.
        origin: String,
        /// Where to go afterwards.
        next: Option<String>,
    },
    /// Somebody was made a member.
    Invitation {
        /// The address, lower case.
        email: String,
        /// `https://host` where they are to sign in.
        origin: String,
        /// The workspace's name.
        workspace: String,
        /// Who invited them.
        by: String,
    },
    /// An endpoint has disabled itself. Its workspace's owners are looked up when it is sent: it turns into one
    /// [`Self::EndpointDisabledForOwner`] for each, so that no owner's letter waits for another's.
    EndpointDisabled(Disabled),
    /// The same, for one owner.
    EndpointDisabledForOwner {
        /// The owner's address, lower case.
        email: String,
        /// The workspace's name.
        workspace: String,
        /// What happened.
        disabled: Disabled,
    },
    /// Somebody is invited to a program. Its address holds a token, which is why it waits sealed, and is forgotten once sent.
    PartnerInvite {
        /// The invite, which must still be open when it is sent.
        id: String,
        /// The address, lower case.
        email: String,
        /// Where they join.
        url: String,
    },
    /// Somebody joined a program, or applied to it.
    Joined {
        /// The address, lower case.
        email: String,
        /// `https://host` where they are to sign in.
        origin: String,
        /// The program's name.
        program: String,
        /// The workspace's name.
        workspace: String,
        /// They are in already.
        approved: bool,
    },
    /// What a partner is told. Where it goes, and whether they want it still, is looked at when it is sent.
    Notices {
        /// The partner.
        partner_id: String,
        /// Each in a sentence.
        lines: Vec<String>,
        /// How many more there are.
        more: usize,
    },
}

/// An endpoint that has disabled itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// In which mode.
    pub mode: Mode,
    /// Its id.
    pub endpoint_id: EndpointId,
    /// Where it was told, without what may be a secret.
    pub url: String,
    /// Why.
    pub reason: DisabledReason,
    /// When.
    pub at: Instant,
    /// `https://host` where it can be looked after, where that is known.
    pub origin: Option<String>,
}

impl Waiting {
    /// Puts it into the outbox, with the batch that is its cause; and the message that makes it leave soon.
    pub fn post(&self, app: &App, now: Instant) -> Result<(Statement, Message), ApiError> {
        let id: MailId = app.fresh(now);
        let sealed = self.seal(app, &id)?;
        Ok((mails::insert(&id, &sealed, now), Message::Mail { id: id.to_string() }))
    }

    /// Seals it as the outbox keeps it under that id.
    pub fn seal(&self, app: &App, id: &MailId) -> Result<String, ApiError> {
        let text = serde_json::to_string(self).map_err(|error| ApiError::Internal(format!("a mail: {error}")))?;
        app.secrets.seal(&*app.random, &purpose(id.as_str()), text.as_bytes())
    }

    /// Reads what was sealed.
    pub fn open(app: &App, id: &str, sealed: &str) -> Option<Self> {
        serde_json::from_slice(&app.secrets.open(&purpose(id), sealed)?).ok()
    }
}

fn purpose(id: &str) -> String {
    format!("mail {id}")
}

/// The letter with a link to sign in by.
pub fn sign_in_letter(to: &str, url: &str) -> Letter {
    let text = format!(
        "Somebody asked to sign in to Selgeo with this address.\n\nOpen this link and press the button. It works once, for ten \
         minutes:\n\n{url}\n\nIf it was not you, there is nothing to do: without the link nobody can sign in.\n"
    );
    Letter { to: to.to_owned(), subject: "Sign in to Selgeo".to_owned(), text }
}

/// The letter that tells somebody of their membership.
pub fn invitation_letter(to: &str, origin: &str, workspace: &str, by: &str) -> Letter {
    let (workspace, by) = (one_line(workspace), one_line(by));
    let text = format!(
        "{by} has made you a member of the workspace \"{workspace}\" on Selgeo.\n\nSign in with this address, {to}:\n\n\
         {origin}/sign-in\n\nIf you did not expect this, you can ignore it.\n"
    );
    Letter { to: to.to_owned(), subject: format!("You are a member of {workspace} on Selgeo"), text }
}

/// The letter that tells an owner of an endpoint that has disabled itself.
pub fn disabled_letter(to: &str, workspace: &str, disabled: &Disabled) -> Letter {
    let (workspace, mode) = (one_line(workspace), disabled.mode);
    let why = match disabled.reason {
        DisabledReason::Gone => "It answered 410 Gone, by which a receiver says that it wants nothing more.",
        DisabledReason::Failing => "Every attempt of the last five days has failed.",
        DisabledReason::ByHand => "A person disabled it.",
    };
    let place =
        disabled.origin.as_ref().map_or_else(String::new, |origin| format!(" Look after it here:\n\n{origin}/app"));
    let text = format!(
        "A webhook endpoint of the workspace \"{workspace}\" on Selgeo was disabled in {mode} mode, at {}:\n\n{}\n\n{why}\n\n\
         Nothing is sent there any more. What it was still owed, and what happens from now on, is kept for 30 days as dead \
         letters.\n\nOnce the receiver works, enable the endpoint ({}) and resend what it has missed.{place}\n",
        disabled.at, disabled.url, disabled.endpoint_id
    );
    Letter { to: to.to_owned(), subject: format!("A webhook endpoint of {workspace} was disabled ({mode} mode)"), text }
}

/// The letter that invites somebody to a program.
pub fn partner_invite_letter(to: &str, url: &str, program: &str, workspace: &str) -> Letter {
    let (program, workspace) = (one_line(program), one_line(workspace));
    let text = format!(
        "{workspace} invites you to its partner program \"{program}\".\n\nRead what it offers, and join:\n\n{url}\n\nThe \
         invitation is for this address, {to}, and ends in 30 days. If you do not want it, there is nothing to do.\n"
    );
    Letter { to: to.to_owned(), subject: format!("{workspace} invites you to {program}"), text }
}

/// The letter to somebody who joined a program or applied to it.
pub fn joined_letter(to: &str, origin: &str, program: &str, workspace: &str, approved: bool) -> Letter {
    let (program, workspace) = (one_line(program), one_line(workspace));
    let (subject, what) = match approved {
        true => (
            format!("You are in: {program}"),
            format!(
                "You have joined the partner program \"{program}\" of {workspace}. Your links are in the partner portal."
            ),
        ),
        false => (
            format!("Your application to {program}"),
            format!(
                "Somebody applied to the partner program \"{program}\" of {workspace} with this address. {workspace} decides; \
                 how it stands is in the partner portal."
            ),
        ),
    };
    let text = format!(
        "{what}\n\nSign in with this address, {to}:\n\n{origin}/sign-in?next=%2Fpartner\n\nIf it was not you, you can ignore \
         this letter.\n"
    );
    Letter { to: to.to_owned(), subject, text }
}

/// The letter that tells a partner what happened.
pub fn notices_letter(to: &str, workspace: &str, lines: &[String], more: usize, origin: Option<&str>) -> Letter {
    let workspace = one_line(workspace);
    let mut text = format!("News from {workspace}:\n\n");
    for line in lines {
        text.push_str(&format!("- {}\n", line.replace(['\r', '\n'], " ")));
    }
    if more > 0 {
        text.push_str(&format!("- and {more} more\n"));
    }
    text.push_str(&match origin {
        Some(origin) => format!("\nAll of it is in the partner portal:\n\n{origin}/partner/notices\n"),
        None => "\nAll of it is in the partner portal.\n".to_owned(),
    });
    text.push_str("\nWhat is mailed to you is a setting there.\n");
    let count = lines.len() + more;
    let subject = if count == 1 { format!("News from {workspace}") } else { format!("{count} news from {workspace}") };
    Letter { to: to.to_owned(), subject, text }
}

/// What somebody else wrote, as it may stand in a header: one line, not too long, and nothing that turns the text around.
fn one_line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    text.chars().filter(|c| !c.is_control() && !turns(*c)).take(NAME_CHARS_MAX).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_stays_one_line_of_a_letter() {
        let letter =
            invitation_letter("a@b.test", "https://selgeo.test", "Shop\r\nBcc: x@y.test\u{202e}", "<b>Ann</b>");
        assert_eq!(letter.subject, "You are a member of ShopBcc: x@y.test on Selgeo");
        assert!(invitation_letter("a@b.test", "", &"x".repeat(10_000), "").subject.len() < 150);
        assert_eq!(format!("{letter:?}"), "Letter(…)");
    }

    #[test]
    fn waiting_mail_format_unchanged() {
        let check = |waiting: Waiting, text: &str| assert_eq!(serde_json::to_string(&waiting).unwrap(), text);
        let (email, origin) = ("a@b.test".to_owned(), "https://s.test".to_owned());
        check(
            Waiting::SignIn { email: email.clone(), origin: origin.clone(), next: Some("/app".to_owned()) },
            r#"{"kind":"sign_in","email":"a@b.test","origin":"https://s.test","next":"/app"}"#,
        );
        check(
            Waiting::Invitation { email, origin, workspace: "Shop".to_owned(), by: "Ann".to_owned() },
            r#"{"kind":"invitation","email":"a@b.test","origin":"https://s.test","workspace":"Shop","by":"Ann"}"#,
        );
        let (random, now) = ([7; 10], Instant::from_seconds(1_800_000_000));
        let disabled = Disabled {
            workspace_id: WorkspaceId::make(now, random),
            mode: Mode::Live,
            endpoint_id: EndpointId::make(now, random),
            url: "https://h.test/in".to_owned(),
            reason: DisabledReason::Failing,
            at: now,
            origin: Some("https://s.test".to_owned()),
        };
        let fields = r#""workspace_id":"ws_01mcc5rm000w3ge1r70w3ge1r7","mode":"live","endpoint_id":"whe_01mcc5rm000w3ge1r70w3ge1r7","url":"https://h.test/in","reason":"failing","at":1800000000000,"origin":"https://s.test""#;
        check(Waiting::EndpointDisabled(disabled.clone()), &format!(r#"{{"kind":"endpoint_disabled",{fields}}}"#));
        let (email, workspace) = ("a@b.test".to_owned(), "Shop".to_owned());
        check(
            Waiting::EndpointDisabledForOwner { email, workspace, disabled },
            &format!(
                r#"{{"kind":"endpoint_disabled_for_owner","email":"a@b.test","workspace":"Shop","disabled":{{{fields}}}}}"#
            ),
        );
        let text = str::to_owned;
        check(
            Waiting::PartnerInvite {
                id: text("inv_1"),
                email: text("a@b.test"),
                url: text("https://s.test/join/x?invite=t"),
            },
            r#"{"kind":"partner_invite","id":"inv_1","email":"a@b.test","url":"https://s.test/join/x?invite=t"}"#,
        );
        check(
            Waiting::Joined {
                email: text("a@b.test"),
                origin: text("https://s.test"),
                program: text("Friends"),
                workspace: text("Shop"),
                approved: true,
            },
            r#"{"kind":"joined","email":"a@b.test","origin":"https://s.test","program":"Friends","workspace":"Shop","approved":true}"#,
        );
        check(
            Waiting::Notices { partner_id: text("part_1"), lines: vec![text("Paid.")], more: 2 },
            r#"{"kind":"notices","partner_id":"part_1","lines":["Paid."],"more":2}"#,
        );
    }
}
