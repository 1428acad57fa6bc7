//! What people did, in words.

use super::super::cell::Cell;
use super::super::desk::Desk;
use crate::error::ApiError;
use crate::routes;
use crate::store::acts::Listed;

/// An act in a few words, by its kind.
pub fn title(kind: &str) -> &'static str {
    match kind {
        "conversion.attribute" => "Credited by hand",
        "commission.approve" => "The commission was approved",
        "commission.reject" => "The commission was rejected",
        "commission.bonus" => "Somebody gave a bonus",
        "refund.match" => "A refund was matched by hand",
        "fraud_alert.dismiss" => "A fraud alert was dismissed",
        "payout.pay" => "The payout was marked as paid",
        "payout.cancel" => "The payout was canceled",
        "workspace.wipe_test_data" => "Test data was wiped",
        _ => "Somebody did something",
    }
}

/// By whom, and why.
pub fn lines(desk: &Desk, act: &Listed) -> Result<Vec<(&'static str, Cell)>, ApiError> {
    let mut lines = vec![("By", by(desk, act)?)];
    lines.extend(act.reason.clone().map(|reason| ("Reason", Cell::Text(reason))));
    lines.extend(act.request_id.clone().filter(|id| !id.is_empty()).map(|id| ("Request", Cell::Id(id))));
    Ok(lines)
}

/// Who did it: a member by name and address, or whoever held a key.
pub fn by(desk: &Desk, act: &Listed) -> Result<Cell, ApiError> {
    let by = routes::acts::by(&desk.app, act)?;
    let text = |name: &str| by[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(match (text("name"), text("email")) {
        (Some(name), Some(email)) => Cell::Text(format!("{name} ({email})")),
        (None, Some(email)) => Cell::Text(email),
        _ => Cell::Text("an API key".to_owned()),
    })
}
