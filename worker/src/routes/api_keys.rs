//! `/api/v1/api-keys`: the keys of a mode, and what each secret one is for.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::account::Permission;
use domain::ids::{self, Id, KeyId};
use domain::key::{ALL_SCOPES, ApiKey, KeyKind, KeyScope, Need};
use domain::mode::Mode;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management::{self, Actor};
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::known;
use crate::store::keys::{self as table, Listed};

/// A page of keys, revoked ones too. A secret one is not shown again.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Key>();
    query.finish()?;
    listing::page(&app, table::list(&scope, &page), &page, |row| Ok(shape(&table::decode_listed(row)?, scope.mode)))
        .await
}

/// One key.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let key = listing::one(&app, table::by_id(&scope, &id), table::decode_listed, "key").await?;
    Ok(call::json(StatusCode::OK, &shape(&key, scope.mode)))
}

/// Makes a key. Of a secret one, this answer alone holds it; `scopes` say what it is for, by default everything.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::admit(&app, &call, request.headers(), Need::Change).await?;
    must_be_member(&actor)?;
    idempotency::claim(&app, &call, &scope).await?;
    let mut fields = management::json_body(request).await?;
    let kind = fields.word("kind", &["public", "secret"], KeyKind::parse);
    if fields.raw("kind").is_none() {
        fields.error("kind", "is required");
    }
    let scopes = scopes(&mut fields, kind);
    fields.finish()?;
    let key = new_key(&app, kind.unwrap_or(KeyKind::Public), scope.mode)?;
    let id: KeyId = app.fresh(call.now);
    let mut batch = vec![table::insert(&id, &scope.workspace_id, &key, &scopes, call.now)?];
    let listed = Listed { id, kind: key.kind(), scopes, shown: key.shown(), created_at: call.now, revoked_at: None };
    let mut shown = shape(&listed, scope.mode);
    shown["key"] = json!(key.as_str());
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    app.db.batch(batch).await?;
    Ok(call::json(StatusCode::CREATED, &shown))
}

/// What a secret key is to be for, each once.
fn scopes(fields: &mut Fields, kind: Option<KeyKind>) -> Vec<KeyScope> {
    let Some(given) = fields.raw("scopes").cloned() else { return ALL_SCOPES.to_vec() };
    if kind == Some(KeyKind::Public) {
        fields.error("scopes", "are of secret keys; a public key registers clicks");
    }
    let words = given.as_array().map(|list| list.iter().map(|word| word.as_str().and_then(KeyScope::parse)));
    match words.and_then(|words| words.collect::<Option<Vec<KeyScope>>>()).filter(|scopes| !scopes.is_empty()) {
        Some(given) => ALL_SCOPES.into_iter().filter(|scope| given.contains(scope)).collect(),
        None => {
            fields.error("scopes", format!("must be a list of any of {}, not empty", KeyScope::WORDS.join(", ")));
            Vec::new()
        }
    }
}

/// Revokes a key, everywhere within a minute.
pub async fn revoke(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    must_be_member(&actor)?;
    let revoked = app.db.batch(vec![table::revoke(&scope, &id, call.now)]).await?;
    let digest = revoked.first().and_then(|rows| rows.first()).ok_or(ApiError::NotFound("key"))?.text("digest")?;
    known::forget_key(&app, &digest).await;
    if let Some(key_id) = Id::parse(&id) {
        app.leases.forget(&key_id);
        app.limiter.revoked(&key_id, call.now).await;
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A key that makes keys could not be taken from whoever stole it.
fn must_be_member(actor: &Actor) -> Result<(), ApiError> {
    match actor {
        Actor::Member { membership, .. } => people::allow(membership.role, Permission::Keys),
        Actor::Key => Err(ApiError::Forbidden("Only a signed-in member may do this, not a key.".to_owned())),
    }
}

/// A key of random bytes.
pub fn new_key(app: &App, kind: KeyKind, mode: Mode) -> Result<ApiKey, ApiError> {
    let mut random = [0; 64];
    app.random.fill(&mut random);
    ApiKey::make(kind, mode, &random).ok_or_else(|| ApiError::Unavailable("64 random bytes made no key".to_owned()))
}

fn shape(key: &Listed, mode: Mode) -> Json {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    json!({
        "id": key.id,
        "mode": mode,
        "kind": key.kind.as_str(),
        "scopes": (key.kind == KeyKind::Secret).then_some(scopes),
        "shown": key.shown,
        "created_at": key.created_at.to_string(),
        "revoked_at": key.revoked_at.map(|at| at.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{OPERATOR_TOKEN, Visitor, World};

    #[test]
    fn a_key_does_what_its_scopes_say_and_nothing_else() {
        let world = World::new();
        let program = world.program(&world.keys.sk_test, "anna");
        let workspace = world.api("GET /api/v1/workspace", json!(null)).text("/id");
        let operator = format!("Bearer {OPERATOR_TOKEN}");
        let owner = json!({"owner_email": "owner@shop.test"});
        let line = format!("POST /operator/v1/workspaces/{workspace}/owners");
        assert_eq!(world.send(&line, &[("authorization", &operator)], owner).status, 201);
        let owner = Visitor::signed_in(&world, "owner@shop.test");
        let make = |body| {
            world.pass_ms(1);
            owner.api(&workspace, "POST /api/v1/api-keys", body)
        };
        let key = |scopes: &[&str]| {
            let made = make(json!({"kind": "secret", "scopes": scopes}));
            assert_eq!((made.status.as_u16(), &made.body["scopes"]), (201, &json!(scopes)), "{}", made.raw);
            made.text("/key")
        };
        let (report, read, manage) = (key(&["conversions"]), key(&["read"]), key(&["manage"]));
        let all = make(json!({"kind": "secret"})).text("/key");
        let click = world.click(&world.keys.pk_test, "anna");
        let sold = world.api(
            "POST /api/v1/conversions",
            json!({"click_id": click, "external_transaction_id": "t", "event_type": "purchase", "amount_cents": 100, "currency": "EUR"}),
        );
        let refunds = format!("POST /api/v1/conversions/{}/refunds", sold.text("/id"));
        let suspend = format!("POST /api/v1/participants/{}/suspend", program.participant_id);
        // What a key of each scope, and one of all, is answered: 403 or whatever comes after.
        let mut number = 0;
        for (line, allowed) in [
            ("POST /api/v1/conversions", [true, false, true, true]),
            (refunds.as_str(), [true, false, true, true]),
            ("GET /api/v1/conversions", [false, true, true, true]),
            ("GET /api/v1/attribution-audit", [false, true, true, true]),
            ("GET /api/v1/workspace", [false, true, true, true]),
            ("GET /api/v1/payouts/csv", [false, true, true, true]),
            ("POST /api/v1/programs", [false, false, true, true]),
            (suspend.as_str(), [false, false, true, true]),
            ("PATCH /api/v1/programs/prog_x", [false, false, true, true]),
            ("DELETE /api/v1/hosts/host_x", [false, false, true, true]),
            ("POST /api/v1/workspace/wipe-test-data", [false, false, true, true]),
        ] {
            for (key, allowed) in [&report, &read, &manage, &all].into_iter().zip(allowed) {
                number += 1;
                let body = match line {
                    line if line.starts_with("GET") => json!(null),
                    line if line.ends_with("/refunds") => {
                        json!({"external_refund_id": number.to_string(), "amount_cents": 1})
                    }
                    _ => json!({}),
                };
                let answer = world.api_as(key, line, body);
                assert_eq!(answer.status != 403, allowed, "{line}: {}", answer.raw);
                if !allowed {
                    assert!(answer.text("/error/message").contains("lacks the scope"), "{line}: {}", answer.raw);
                }
            }
        }
        for bad in [json!([]), json!(["write"]), json!("read"), json!([7])] {
            assert_eq!(make(json!({"kind": "secret", "scopes": bad})).summary(), "400 VALIDATION_ERROR", "{bad}");
        }
        assert_eq!(make(json!({"kind": "public", "scopes": ["read"]})).summary(), "400 VALIDATION_ERROR");
        let listed = world.api("GET /api/v1/api-keys?limit=100", json!(null));
        let scopes = |at: usize| listed.body["data"][at]["scopes"].clone();
        assert_eq!((scopes(0), scopes(1)), (json!(["conversions", "read", "manage"]), json!(["manage"])));
        assert!(
            listed.body["data"]
                .as_array()
                .unwrap()
                .iter()
                .any(|key| key["kind"] == "public" && key["scopes"].is_null())
        );
    }
}
