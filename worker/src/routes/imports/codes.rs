//! Rows of promo codes: `code`; whose, by `participant_id`, or by `email` and `program`; and `stripe_promotion_code_id`. A code is known
//! again by its text, whatever the case.

use std::collections::HashMap;

use super::links::{People, Whose};
use super::{Cells, Line, Plan, decoded, read_all};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::routes::promo_codes::promotion_code_id;
use crate::store::imports as table;
use crate::store::links::{self, PromoCode, folded};
use crate::store::{Scope, families};

struct Row {
    whose: Whose,
    code: String,
    stripe_id: Option<String>,
}

/// What these rows come to.
pub async fn plan(app: &App, call: &Call, scope: &Scope, rows: Vec<Cells>) -> Result<Plan, ApiError> {
    let (rows, mut lines) = read_all(rows, |fields| {
        let whose = Whose::read(fields);
        let code = fields.required_text("code", 100);
        Some(Row { whose, code, stripe_id: promotion_code_id(fields) })
    });
    let people: Vec<&Whose> = rows.iter().map(|(_, row)| &row.whose).collect();
    let codes: Vec<String> = rows.iter().map(|(_, row)| folded(&row.code)).collect();
    let stripe_ids: Vec<&str> = rows.iter().filter_map(|(_, row)| row.stripe_id.as_deref()).collect();
    let mut asked = People::asked(scope, &people)?;
    asked.extend(table::codes(scope, &codes, &stripe_ids)?);
    let found = app.db.batch(asked).await?;
    let people = People::read(&found)?;
    let there = decoded(found.get(2), links::decode_promo_code)?;
    let mapped = decoded(found.get(3), links::decode_promo_code)?;
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut new: Vec<PromoCode> = Vec::new();
    for (number, row) in rows {
        let code = folded(&row.code);
        if let Some(first) = seen.get(&code) {
            lines.push(Line::refused(number, "code", format!("is in line {first} already")));
            continue;
        }
        let member = match people.find(&row.whose) {
            Ok(member) => member,
            Err((field, message)) => {
                lines.push(Line::refused(number, field, message));
                continue;
            }
        };
        if let Some(held) = there.iter().find(|held| folded(&held.code) == code) {
            if held.participant_id != member.id {
                lines.push(Line::refused(number, "code", "is another participant's"));
                continue;
            }
            let other = row.stripe_id.is_some() && row.stripe_id != held.stripe_promotion_code_id;
            let differs = if other { vec!["stripe_promotion_code_id"] } else { Vec::new() };
            lines.push(Line::unchanged(number, &held.id, differs));
            continue;
        }
        let planned = new.iter().any(|one| row.stripe_id.is_some() && one.stripe_promotion_code_id == row.stripe_id);
        if planned || mapped.iter().any(|held| held.stripe_promotion_code_id == row.stripe_id) {
            lines.push(Line::refused(number, "stripe_promotion_code_id", "is taken by another code"));
            continue;
        }
        let promo = PromoCode {
            id: app.fresh(call.now),
            participant_id: member.id.clone(),
            code: row.code,
            stripe_promotion_code_id: row.stripe_id,
            created_at: call.now,
        };
        seen.insert(code, number);
        lines.push(Line::created(number, &promo.id));
        new.push(promo);
    }
    let (mut batch, mut woken_at) = (Vec::new(), None);
    if !new.is_empty() {
        batch.push(table::insert_codes(scope, &new, call.now)?);
        let ids: Vec<&str> = new.iter().filter_map(|promo| promo.stripe_promotion_code_id.as_deref()).collect();
        if !ids.is_empty() {
            // Sales that named them before anybody had mapped them are decided again.
            woken_at = Some(batch.len() + 1);
            batch.extend(families::wake(scope, &ids, call.now)?);
        }
    }
    Ok(Plan { lines, batch, programs: Vec::new(), links: Vec::new(), woken_at })
}
