//! A mail of the outbox leaves. At least once: whoever dies over it leaves it to the next sweep.

use domain::account::{self, LINK_LIVES_MS, MAIL_CLAIMED_MS, OPEN_PER_EMAIL_MAX, Token};
use domain::ids::MailId;
use domain::time::Instant;

use super::Message;
use crate::app::App;
use crate::auth::people;
use crate::error::ApiError;
use crate::mail::{self, Disabled, Letter, Waiting};
use crate::store::{accounts, invites, mails, notices};

/// Owners who are told of what happened to their workspace.
const OWNERS_TOLD_MAX: i64 = 50;

/// Makes one attempt, if the mail is due.
pub async fn send(app: &App, id: &str) -> Result<Vec<Message>, ApiError> {
    let now = app.clock.now();
    let rows = app.db.rows(mails::claim(id, now, now.plus_ms(MAIL_CLAIMED_MS))).await?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let claimed = mails::decode_claimed(row)?;
    let waiting = Waiting::open(app, id, &claimed.content);
    if let Some(Waiting::EndpointDisabled(disabled)) = waiting {
        return tell_owners(app, id, &disabled, now).await;
    }
    let after = match waiting {
        None => mails::finish(id, Some("it could not be opened")),
        Some(waiting) => match letter(app, &waiting, claimed.created_at, now).await? {
            // Nobody has this address, or it has links enough, or nobody waits for this one any more.
            None => mails::finish(id, None),
            Some(letter) => match app.mail.send(&letter).await {
                Ok(()) => mails::finish(id, None),
                Err(unsent) => {
                    crate::log(&format!("{id}, attempt {}: {}", claimed.attempts, unsent.0));
                    match account::mail_again_ms(claimed.attempts) {
                        Some(span_ms) => mails::postpone(id, &unsent.0, now.plus_ms(span_ms)),
                        None => mails::finish(id, Some(&unsent.0)),
                    }
                }
            },
        },
    };
    app.db.batch(vec![after]).await?;
    Ok(Vec::new())
}

/// Posts a mail for each owner, and ends this one in the same batch: whoever does it once more posts none.
async fn tell_owners(app: &App, id: &str, disabled: &Disabled, now: Instant) -> Result<Vec<Message>, ApiError> {
    let (mut batch, mut messages) = (Vec::new(), Vec::new());
    for row in &app.db.rows(accounts::owners(&disabled.workspace_id, OWNERS_TOLD_MAX)).await? {
        let (address, workspace) = accounts::decode_owner(row)?;
        let email = match people::opened(app, &address) {
            Ok(email) => email,
            // The others are told all the same.
            Err(error) => {
                crate::log(&format!("{id}: {}", error.log_detail().unwrap_or("refused")));
                continue;
            }
        };
        let mail_id: MailId = app.fresh(now);
        let waiting = Waiting::EndpointDisabledForOwner { email, workspace, disabled: disabled.clone() };
        batch.push(mails::insert_of_mail(&mail_id, &waiting.seal(app, &mail_id)?, id, now));
        messages.push(Message::Mail { id: mail_id.to_string() });
    }
    batch.push(mails::finish(id, None));
    app.db.batch(batch).await?;
    Ok(messages)
}

/// What is sent. A link's token is made here and goes nowhere else: an attempt that failed leaves a link that nobody has.
async fn letter(app: &App, waiting: &Waiting, since: Instant, now: Instant) -> Result<Option<Letter>, ApiError> {
    match waiting {
        Waiting::Invitation { email, origin, workspace, by } => {
            Ok(Some(mail::invitation_letter(email, origin, workspace, by)))
        }
        Waiting::EndpointDisabledForOwner { email, workspace, disabled } => {
            Ok(Some(mail::disabled_letter(email, workspace, disabled)))
        }
        // It turns into letters, and is none.
        Waiting::EndpointDisabled(_) => Ok(None),
        Waiting::PartnerInvite { id, email, url } => {
            let rows = app.db.rows(invites::for_letter(id, now)).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            Ok(Some(mail::partner_invite_letter(email, url, &row.text("program")?, &row.text("workspace")?)))
        }
        Waiting::Joined { email, origin, program, workspace, approved } => {
            Ok(Some(mail::joined_letter(email, origin, program, workspace, *approved)))
        }
        Waiting::Notices { partner_id, lines, more } => {
            let rows = app.db.rows(notices::reader(partner_id)).await?;
            let reader = rows.first().map(notices::decode_reader).transpose()?.filter(|reader| !reader.is_erased);
            let origin = app.config.public_url.as_deref();
            Ok(reader.map(|reader| mail::notices_letter(&reader.email, &reader.workspace, lines, *more, origin)))
        }
        Waiting::SignIn { email, origin, next } => {
            let Some(address) = people::kept_address(app, email).await? else { return Ok(None) };
            let standing = people::standing(app, &address, email, now).await?;
            let has_enough = standing.open_links >= OPEN_PER_EMAIL_MAX;
            let known = standing.known || app.config.is_operator(email);
            if !known || has_enough || now >= since.plus_ms(LINK_LIVES_MS) {
                return Ok(None);
            }
            let token: Token = people::token(app);
            let expires_at = now.plus_ms(LINK_LIVES_MS);
            app.db
                .batch(vec![accounts::insert_link(&token.digest(), &address, next.as_deref(), expires_at, now)])
                .await?;
            Ok(Some(mail::sign_in_letter(email, &people::link_url(origin, &token))))
        }
    }
}
