//! `/api/v1/members`: who belongs to a workspace, in both modes.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::account::{Permission, Role};
use domain::ids::{self, MemberId, WorkspaceId};
use domain::key::Need;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management::{self, Actor};
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::idempotency;
use crate::mail::Waiting;
use crate::store::DbError;
use crate::store::accounts::{self as table, Member};

/// A page of members. A key may ask this too.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Member>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list_members(&scope.workspace_id, &page)).await? {
        let member = table::decode_member(row)?;
        shown.push((member.id.to_string(), shape(&app, &member)?));
    }
    Ok(listing::answer(shown, page.limit))
}

/// Makes somebody a member, and tells them by mail. They sign in with their own address: the mail holds no token.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::admit(&app, &call, request.headers(), Need::Change).await?;
    let (by, workspace) = member_with(&actor, Permission::Members)?;
    idempotency::claim(&app, &call, &scope).await?;
    let mut fields = management::json_body(request).await?;
    let email = people::normal(&fields.required_text("email", 254));
    let name = fields.text("name", 200).unwrap_or_default();
    let role = fields.word("role", Role::WORDS, Role::parse);
    if fields.raw("role").is_none() {
        fields.error("role", "is required");
    }
    let address = people::kept_address(&app, &email).await?;
    if address.is_none() && fields.raw("email").is_some() {
        fields.error("email", "must be an e-mail address");
    }
    fields.finish()?;
    let (Some(address), Some(role)) = (address, role) else {
        return Err(ApiError::Internal("a body that was found whole is not".to_owned()));
    };
    must_be_allowed_to_set(by.role, None, Some(role))?;
    let id: MemberId = app.fresh(call.now);
    let waiting = Waiting::Invitation { email, origin: call.origin.clone(), workspace, by: by.email };
    let (mail, message) = waiting.post(&app, call.now)?;
    let batch = vec![
        table::insert_person(&app.fresh(call.now), &address, &name, call.now),
        table::insert_member(&id, &scope.workspace_id, &address.hash, role, call.now),
        mail,
    ];
    match app.db.batch(batch).await {
        Ok(_) => {}
        Err(DbError::Constraint(_)) => {
            return Err(ApiError::Conflict("Somebody with this address is a member already.".to_owned()));
        }
        Err(error) => return Err(error.into()),
    }
    let member = one(&app, &scope.workspace_id, id.as_str()).await?;
    Ok(call::after(call::json(StatusCode::CREATED, &shape(&app, &member)?), [message]))
}

/// One member. A key may ask this too.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let member = one(&app, &scope.workspace_id, &id).await?;
    Ok(call::json(StatusCode::OK, &shape(&app, &member)?))
}

/// Gives a member another role.
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let (by, _) = member_with(&actor, Permission::Members)?;
    let mut fields = management::json_body(request).await?;
    let role = fields.word("role", Role::WORDS, Role::parse);
    fields.finish()?;
    let member = one(&app, &scope.workspace_id, &id).await?;
    if let Some(role) = role {
        must_be_allowed_to_set(by.role, Some(member.role), Some(role))?;
        if role != member.role {
            let set = table::set_role(&scope.workspace_id, &id, member.role, role);
            must_have_changed(&app.db.batch(vec![set]).await?)?;
        }
    }
    let member = one(&app, &scope.workspace_id, &id).await?;
    Ok(call::json(StatusCode::OK, &shape(&app, &member)?))
}

/// Takes a member out.
pub async fn delete(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let (by, _) = member_with(&actor, Permission::Members)?;
    let member = one(&app, &scope.workspace_id, &id).await?;
    must_be_allowed_to_set(by.role, Some(member.role), None)?;
    let removed = app.db.batch(vec![table::delete_member(&scope.workspace_id, &id, member.role)]).await?;
    must_have_changed(&removed)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The member who asks, and the workspace's name. A key is nobody: with one, whoever holds it could make themselves an owner.
struct By {
    email: String,
    role: Role,
}

fn member_with(actor: &Actor, permission: Permission) -> Result<(By, String), ApiError> {
    let Actor::Member { person, membership } = actor else {
        return Err(ApiError::Forbidden("Only a signed-in member may do this, not a key.".to_owned()));
    };
    people::allow(membership.role, permission)?;
    Ok((By { email: person.email.clone(), role: membership.role }, membership.workspace_name.clone()))
}

fn must_be_allowed_to_set(by: Role, before: Option<Role>, after: Option<Role>) -> Result<(), ApiError> {
    match by.may_set(before, after) {
        true => Ok(()),
        false => Err(ApiError::Forbidden("Only an owner makes or unmakes an owner.".to_owned())),
    }
}

fn must_have_changed(results: &[Vec<crate::store::Row>]) -> Result<(), ApiError> {
    match results.iter().all(Vec::is_empty) {
        false => Ok(()),
        true => Err(ApiError::Conflict(
            "A workspace keeps at least one owner; or this member was changed meanwhile.".to_owned(),
        )),
    }
}

async fn one(app: &App, workspace: &WorkspaceId, id: &str) -> Result<Member, ApiError> {
    listing::one(app, table::member_by_id(workspace, id), table::decode_member, "member").await
}

fn shape(app: &App, member: &Member) -> Result<Json, ApiError> {
    let address = table::Address { hash: member.email_hash.clone(), sealed: member.email.clone() };
    Ok(json!({
        "id": member.id,
        "email": people::opened(app, &address)?,
        "name": member.name,
        "role": member.role.as_str(),
        "last_seen_at": member.seen_at.map(|at| at.to_string()),
        "created_at": member.created_at.to_string(),
    }))
}

#[cfg(test)]
mod tests;
