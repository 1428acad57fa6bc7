//! Where a member sits: the workspace and mode that the path names, who they are there, and the API, which a page asks as any
//! other client does. So every rule, limit and refusal holds once, whichever way it is asked.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use domain::account::Permission;
use domain::mode::Mode;
use http::request::Parts;
use http::{Method, header};
use http_body_util::BodyExt;
use serde_json::Value as Json;
use tower_service::Service;

use crate::app::{App, Inside};
use crate::auth::people::{self, MODE_HEADER, Person, WORKSPACE_HEADER};
use crate::call::{self, AfterAnswer, Call};
use crate::error::ApiError;
use crate::jobs::Message;
use crate::pages::seals::Seals;
use crate::pages::{density, here, sign_in};
use crate::store::Scope;
use crate::store::accounts::Membership;

/// A member at a page of `/app/{workspace_id}/{mode}/…`.
#[derive(Clone)]
pub struct Desk {
    /// The application.
    pub app: Arc<App>,
    /// The request's surroundings.
    pub call: Call,
    /// Who.
    pub person: Arc<Person>,
    /// What they are in the workspace.
    pub membership: Membership,
    /// The mode of the path.
    pub mode: Mode,
    /// Whether their browser is shown more on a screen.
    pub is_compact: bool,
    inside: Inside,
    after: Arc<Mutex<Vec<Message>>>,
}

impl FromRequestParts<Arc<App>> for Desk {
    type Rejection = Response;

    /// To sign in, 403 for who is no member anywhere, 404 for another's workspace and for what is no mode; 403 where
    /// the workspace is suspended.
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        Self::enter(parts, app).await.map_err(IntoResponse::into_response)?
    }
}

impl Desk {
    async fn enter(parts: &Parts, app: &Arc<App>) -> Result<Result<Self, Response>, ApiError> {
        let missing = || ApiError::Internal("a page was reached without its surroundings".to_owned());
        let call = parts.extensions.get::<Call>().cloned().ok_or_else(missing)?;
        let inside = parts.extensions.get::<Inside>().cloned().ok_or_else(missing)?;
        let Some(person) = people::session(app, &call, &parts.headers).await? else {
            return Ok(Err(sign_in::first(&parts.method, &parts.uri)?));
        };
        if person.memberships.is_empty() {
            return Ok(Err(here::no_member(&person)?));
        }
        let mut segments = parts.uri.path().split('/').skip(2);
        let (workspace, mode) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        let membership = person.memberships.iter().find(|one| one.workspace_id.as_str() == workspace).cloned();
        let (Some(membership), Some(mode)) = (membership, Mode::parse(mode)) else {
            return Ok(Err(here::nothing_there(&person, "/app")?));
        };
        if membership.is_suspended {
            return Ok(Err(here::suspended(&person)?));
        }
        let person = Arc::new(person);
        let is_compact = density::is_compact(&call, &parts.headers);
        Ok(Ok(Self { app: app.clone(), call, person, membership, mode, is_compact, inside, after: Arc::default() }))
    }

    /// The workspace and mode, for the few reads that no client of the API has.
    pub fn scope(&self) -> Scope {
        Scope { workspace_id: self.membership.workspace_id.clone(), mode: self.mode }
    }

    /// The same desk in a mode.
    pub fn in_mode(&self, mode: Mode) -> Self {
        Self { mode, ..self.clone() }
    }

    /// Whether a role may change anything here.
    pub fn may_change(&self) -> bool {
        self.membership.role.may(Permission::Change)
    }

    /// The address of a page of this workspace and mode.
    pub fn href(&self, page: &str) -> String {
        self.href_in(self.mode, page)
    }

    /// The same page in a mode.
    pub fn href_in(&self, mode: Mode, page: &str) -> String {
        let base = format!("/app/{}/{}", self.membership.workspace_id, mode.as_str());
        if page.is_empty() { base } else { format!("{base}/{page}") }
    }

    /// What seals that something was done.
    pub fn seals(&self) -> Seals {
        Seals::of(&self.app, &self.call, &self.person.id)
    }

    /// What the API says to `GET /api/v1{path}`.
    pub async fn get(&self, path: &str) -> Result<Json, ApiError> {
        self.ask(Method::GET, path, None).await
    }

    /// Asks the API for a change. `null` where the answer has no body.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json, ApiError> {
        let bytes = match self.fetch(method, path, body).await?.into_body().collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) => return Err(ApiError::Internal(format!("the API's answer could not be read: {error}"))),
        };
        if bytes.is_empty() {
            return Ok(Json::Null);
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::Internal(format!("the API's answer is no JSON: {error}")))
    }

    /// The API's answer as it is, such as a file's.
    pub async fn fetch(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Response, ApiError> {
        let call = self.call.inside(self.person.clone(), method.clone());
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(WORKSPACE_HEADER, self.membership.workspace_id.as_str())
            .header(MODE_HEADER, self.mode.as_str())
            .header(header::ORIGIN, &self.call.origin);
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let mut request =
            request.body(body).map_err(|error| ApiError::Internal(format!("a page asks amiss: {error}")))?;
        request.extensions_mut().insert(call);
        let mut response = match self.inside.0.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if let Some(AfterAnswer(messages)) = response.extensions_mut().remove::<AfterAnswer>()
            && let Ok(mut after) = self.after.lock()
        {
            after.extend(messages);
        }
        match response.extensions_mut().remove::<ApiError>() {
            Some(error) => Err(error),
            None => Ok(response),
        }
    }

    /// The page's answer, with what the API wants done after it.
    pub fn answer(&self, response: Response) -> Response {
        let messages = self.after.lock().map(|mut after| std::mem::take(&mut *after)).unwrap_or_default();
        call::after(response, messages)
    }
}
