//! Letters of what partners are told: each notice is in one letter at most, and a partner gets one in an hour at most.

use domain::ids::PartnerId;
use domain::partner::NOTICES_PER_LETTER_MAX;
use domain::time::Instant;

use super::Message;
use crate::app::App;
use crate::error::ApiError;
use crate::mail::Waiting;
use crate::partner_side::words;
use crate::store::DbError;
use crate::store::notices as table;

/// Notices that are taken up at once.
const TAKEN_UP_MAX: i64 = 500;

/// Puts a letter into the outbox for each partner who has not been told of something yet.
pub async fn write_letters(app: &App, now: Instant, limit: i64) -> Result<Vec<Message>, ApiError> {
    let mut messages = Vec::new();
    for row in &app.db.rows(table::due(now, limit)).await? {
        let partner_id = table::decode_due(row)?;
        match write(app, &partner_id, now).await {
            Ok(letter) => messages.extend(letter),
            // One partner's trouble must not hold up everybody else's letters.
            Err(error) => crate::log(&format!("notices of {partner_id}: {}", error.log_detail().unwrap_or("refused"))),
        }
    }
    Ok(messages)
}

/// The letter and that its notices are in it are one batch: what dies before it has told nothing, and after it nothing twice.
async fn write(app: &App, partner_id: &PartnerId, now: Instant) -> Result<Option<Message>, ApiError> {
    let reads = vec![table::reader(partner_id.as_str()), table::unmailed(partner_id.as_str(), now, TAKEN_UP_MAX)];
    let mut found = app.db.batch(reads).await?.into_iter();
    let reader = found.next().unwrap_or_default().first().map(table::decode_reader).transpose()?;
    let rows = found.next().unwrap_or_default();
    let notices = rows.iter().map(table::decode).collect::<Result<Vec<_>, _>>()?;
    let Some(reader) = reader.filter(|_| !notices.is_empty()) else { return Ok(None) };
    let ids: Vec<&str> = notices.iter().map(|notice| notice.id.as_str()).collect();
    let wanted: Vec<_> =
        notices.iter().filter(|notice| !reader.is_erased && !reader.unmailed.contains(&notice.kind.switch())).collect();
    let mut batch = table::settle(partner_id, &ids, (!wanted.is_empty()).then_some(now))?;
    let mut message = None;
    if !wanted.is_empty() {
        let told = wanted.iter().take(NOTICES_PER_LETTER_MAX);
        let waiting = Waiting::Notices {
            partner_id: partner_id.to_string(),
            lines: told.map(|notice| format!("{}: {}", notice.program, words::notice(notice))).collect(),
            more: wanted.len().saturating_sub(NOTICES_PER_LETTER_MAX),
        };
        let (statement, soon) = waiting.post(app, now)?;
        batch.push(statement);
        message = Some(soon);
    }
    match app.db.of(&reader.workspace_id).batch(batch).await {
        Ok(_) => Ok(message),
        // Another sweep wrote this letter.
        Err(DbError::Constraint(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
