//! What people did, as it is shown: within what it was done to.

use serde_json::{Value as Json, json};

use crate::app::App;
use crate::auth::people;
use crate::error::ApiError;
use crate::shapes;
use crate::store::acts::Listed;

/// An act, with who did it.
pub fn shown(app: &App, act: &Listed) -> Result<Json, ApiError> {
    Ok(shapes::act(act, &by(app, act)?))
}

/// `{"kind":"key"}`, or `{"kind":"member","name":…,"email":…}`.
pub fn by(app: &App, act: &Listed) -> Result<Json, ApiError> {
    let Some((name, address)) = &act.by else { return Ok(json!({ "kind": "key" })) };
    Ok(json!({ "kind": "member", "name": name, "email": people::opened(app, address)? }))
}
