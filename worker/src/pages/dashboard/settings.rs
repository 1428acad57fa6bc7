//! The workspace's settings, and wiping test data: one bounded step with each form that is sent, until nothing is left.

use askama::Template;
use axum::extract::Request;
use axum::response::Response;
use domain::account::Permission;
use domain::mode::Mode;
use domain::retention::{CLICKS_KEPT_DAYS_MAX, CLICKS_KEPT_DAYS_MIN};
use http::{Method, StatusCode};
use serde_json::{Map, Value as Json, json};

use super::cell::{moment, words_of};
use super::desk::Desk;
use super::frame::{Frame, Notice};
use crate::error::ApiError;
use crate::pages::text::Moment;
use crate::pages::{density, field, own_form, query, see};

#[derive(Template)]
#[template(path = "dashboard/settings.html")]
struct Settings<'a> {
    frame: Frame,
    id: String,
    made: Option<Moment>,
    name: String,
    days: String,
    by_workspace_id: bool,
    limits: Vec<(&'static str, String)>,
    operators: &'a [String],
    may_set: bool,
    problems: Vec<(String, String)>,
    days_min: i64,
    days_max: i64,
    action: String,
    density_action: String,
    wipe_href: Option<String>,
}

impl Settings<'_> {
    fn problem(&self, name: &str) -> Option<&String> {
        self.problems.iter().find(|(field, _)| field == name).map(|(_, message)| message)
    }

    /// What is wrong and belongs to no field that is shown.
    fn problem_elsewhere(&self) -> Option<&String> {
        self.problems.iter().find(|(field, _)| field.is_empty()).map(|(_, message)| message)
    }
}

#[derive(Template)]
#[template(path = "dashboard/wipe.html")]
struct Wipe {
    frame: Frame,
    action: String,
    back: String,
    /// None before anything was wiped.
    step: Option<Step>,
}

/// What one step did.
struct Step {
    deleted: Vec<(String, i64)>,
    left: Vec<(String, i64)>,
    is_done: bool,
}

/// `GET …/settings`.
pub async fn show(desk: Desk, request: Request) -> Result<Response, ApiError> {
    let saved = query(&request, "done").is_some() && desk.seals().hold(request.uri());
    let notice = saved.then(|| Notice { text: "Saved.".to_owned(), undo: None });
    let workspace = desk.get("/workspace").await?;
    page(&desk, &workspace, StatusCode::OK, notice, Vec::new(), None)
}

/// `POST …/settings`.
pub async fn change(desk: Desk, request: Request) -> Result<Response, ApiError> {
    let body = own_form(&desk.call, &request.headers().clone(), request).await?;
    let (name, days) = (field(&body, "name").unwrap_or_default(), field(&body, "clicks_kept_days").unwrap_or_default());
    let by_workspace_id = field(&body, "track_by_workspace_id").is_some();
    // What is no number is refused by the API, in its own words.
    let number = days.trim().parse::<i64>().map_or_else(|_| json!(days), |days| json!(days));
    let wanted = json!({ "name": name, "clicks_kept_days": number, "track_by_workspace_id": by_workspace_id });
    match desk.ask(Method::PATCH, "/workspace", Some(&wanted)).await {
        Ok(_) => Ok(desk.answer(saved(&desk)?)),
        Err(ApiError::Validation { message, details }) => {
            let mut problems: Vec<_> = details.into_iter().map(|wrong| (wrong.field, wrong.message)).collect();
            if problems.is_empty() {
                problems.push((String::new(), message));
            }
            let workspace = desk.get("/workspace").await?;
            page(&desk, &workspace, StatusCode::BAD_REQUEST, None, problems, Some((name, days, by_workspace_id)))
        }
        Err(error) => Err(error),
    }
}

/// `POST …/settings/density`: how closely pages are set in this browser, whoever uses it and whatever they may.
pub async fn set_density(desk: Desk, request: Request) -> Result<Response, ApiError> {
    let body = own_form(&desk.call, &request.headers().clone(), request).await?;
    let mut response = saved(&desk)?;
    density::keep(&desk.call, &body, &mut response)?;
    Ok(response)
}

/// Back to the settings, which say so.
fn saved(desk: &Desk) -> Result<Response, ApiError> {
    see(&desk.seals().telling(&desk.href("settings"), &[("done", "saved")]))
}

fn page(
    desk: &Desk,
    workspace: &Json,
    status: StatusCode,
    notice: Option<Notice>,
    problems: Vec<(String, String)>,
    typed: Option<(String, String, bool)>,
) -> Result<Response, ApiError> {
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (name, days, by_workspace_id) = typed.unwrap_or_else(|| {
        let by_workspace_id = workspace["track_by_workspace_id"] == true;
        (text(&workspace["name"]), text(&workspace["clicks_kept_days"]), by_workspace_id)
    });
    let limit = |name: &str| text(&workspace["limits"][name]);
    let settings = Settings {
        frame: Frame::of(desk, "settings", "Settings").with_notice(notice),
        id: text(&workspace["id"]),
        made: moment(&workspace["created_at"]),
        name,
        days,
        by_workspace_id,
        limits: vec![
            ("Clicks, for each public key", limit("clicks_per_minute")),
            ("Reported conversions, for each secret key", limit("conversions_per_minute")),
            ("Other requests, for each address", limit("other_per_minute")),
        ],
        operators: &desk.app.config.operator_emails,
        may_set: desk.membership.role.may(Permission::Workspace),
        problems,
        days_min: CLICKS_KEPT_DAYS_MIN,
        days_max: CLICKS_KEPT_DAYS_MAX,
        action: desk.href("settings"),
        density_action: desk.href("settings/density"),
        wipe_href: (desk.mode == Mode::Test && desk.may_change()).then(|| desk.href("settings/wipe")),
    };
    super::shown_with(desk, status, &settings)
}

/// `GET …/settings/wipe`: what is asked before. Of live mode nothing is ever wiped.
pub async fn ask_wipe(desk: Desk) -> Result<Response, ApiError> {
    wipe_page(&desk, None)
}

/// `POST …/settings/wipe`: one step.
pub async fn wipe(desk: Desk, request: Request) -> Result<Response, ApiError> {
    own_form(&desk.call, &request.headers().clone(), request).await?;
    let told = desk.ask(Method::POST, "/workspace/wipe-test-data", Some(&json!({}))).await?;
    let counts = |value: &Json| -> Vec<(String, i64)> {
        let none = Map::new();
        let counted = value.as_object().unwrap_or(&none).iter();
        let counted = counted.map(|(table, count)| (words_of(table), count.as_i64().unwrap_or(0)));
        counted.filter(|(_, count)| *count > 0).collect()
    };
    let step = Step {
        deleted: counts(&told["deleted"]),
        left: counts(&told["left"]),
        is_done: told["done"].as_bool().unwrap_or(false),
    };
    wipe_page(&desk, Some(step))
}

fn wipe_page(desk: &Desk, step: Option<Step>) -> Result<Response, ApiError> {
    if desk.mode == Mode::Live {
        return Err(ApiError::NotFound("page"));
    }
    if !desk.may_change() {
        return Err(ApiError::Forbidden("A viewer looks and changes nothing; ask an owner or an admin.".to_owned()));
    }
    let frame = Frame::of(desk, "settings", "Wipe test data");
    super::shown(desk, &Wipe { frame, action: desk.href("settings/wipe"), back: desk.href("settings"), step })
}
