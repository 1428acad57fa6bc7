//! A mail of the outbox leaves. At least once: whoever dies over it leaves it to the next sweep.

use domain::account::{self, LINK_LIVES_MS, MAIL_CLAIMED_MS, OPEN_PER_EMAIL_MAX, Token};
use domain::time::Instant;

use super::Message;
use crate::app::App;
use crate::auth::people;
use crate::error::ApiError;
use crate::mail::{self, Letter, Waiting};
use crate::store::{accounts, mails};

/// Makes one attempt, if the mail is due.
pub async fn send(app: &App, id: &str) -> Result<Vec<Message>, ApiError> {
    let now = app.clock.now();
    let rows = app.db.rows(mails::claim(id, now, now.plus_ms(MAIL_CLAIMED_MS))).await?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let claimed = mails::decode_claimed(row)?;
    let after = match Waiting::open(app, id, &claimed.content) {
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

/// What is sent. A link's token is made here and goes nowhere else: an attempt that failed leaves a link that nobody has.
async fn letter(app: &App, waiting: &Waiting, since: Instant, now: Instant) -> Result<Option<Letter>, ApiError> {
    match waiting {
        Waiting::Invitation { email, origin, workspace, by } => {
            Ok(Some(mail::invitation_letter(email, origin, workspace, by)))
        }
        Waiting::SignIn { email, origin, next } => {
            let Some(address) = people::address(app, email)? else { return Ok(None) };
            let standing = app.db.rows(accounts::standing(&address.hash, email, now)).await?;
            let standing = accounts::decode_standing(&standing)?;
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
