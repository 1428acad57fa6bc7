//! "Why was this not credited?": asked by the partner, answered by the merchant. A partner sees what they asked and what was
//! answered, and nothing of what the merchant looked at.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::ids;
use domain::partner::{OPEN_QUESTIONS_MAX, QUESTION_CHARS_MAX, QuestionStatus};
use domain::time::Instant;
use http::StatusCode;

use super::{Asked, At, Entry, Frame, Pager, Portal, cut, decoded, enter, find, here, missing, part_of};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::pages::text::Moment;
use crate::pages::{field, own_form, private};
use crate::store::portal;
use crate::store::questions::{self as table, Question};

/// A shop's number of a sale, at most.
const REFERENCE_CHARS_MAX: usize = 255;

#[derive(Template)]
#[template(path = "partner/questions.html")]
struct Questions {
    frame: Frame,
    questions: Vec<Shown>,
    pager: Pager,
    can_ask: bool,
    given: Given,
    problem: Option<String>,
}

struct Shown {
    id: String,
    at: Moment,
    about: Option<String>,
    text: String,
    is_open: bool,
    answer: Option<(String, Moment)>,
}

/// What a form held, to be shown again.
#[derive(Default)]
struct Given {
    reference: String,
    day: String,
    text: String,
    /// One of their own conversions.
    about: Option<String>,
}

/// `GET /partner/questions`; `?about=` names a conversion of theirs.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let about = Asked::of(&request).query("about");
    if !is_own(&app, &portal, about.as_deref()).await? {
        return missing(&portal);
    }
    let given = Given { about, ..Given::default() };
    page(&app, &Asked::of(&request), &portal, StatusCode::OK, given, None).await
}

async fn page(
    app: &App,
    asked: &Asked,
    portal: &Portal,
    status: StatusCode,
    given: Given,
    problem: Option<String>,
) -> Result<Response, ApiError> {
    let asked_for = part_of::<ids::Question>(&asked.uri)?;
    let place = portal.place()?;
    let mut found = Vec::new();
    if let Some(one) = &place.membership {
        let filter = table::Filter { participant_id: Some(one.participant_id.to_string()), ..Default::default() };
        found = decoded(Some(app.db.rows(table::list(&place.scope, &filter, &asked_for)).await?), table::decode)?;
    }
    let part = cut(found, &asked_for, portal.href("/questions")?, |question| question.id.as_str());
    let template = Questions {
        frame: portal.frame(&asked.uri, "Questions", "/questions")?,
        questions: part.rows.into_iter().map(shown).collect(),
        pager: part.pager,
        can_ask: place.membership.is_some(),
        given,
        problem,
    };
    private(status, &template)
}

fn shown(question: Question) -> Shown {
    let mut about = Vec::new();
    about.extend(question.external_transaction_id.map(|text| format!("number {text}")));
    about.extend(question.happened_on.map(|day| format!("of {day}")));
    about.extend(question.conversion_id.map(|_| "one of your sales".to_owned()));
    Shown {
        id: question.id.to_string(),
        at: Moment::of(question.created_at),
        about: (!about.is_empty()).then(|| about.join(", ")),
        text: question.text,
        is_open: question.status == QuestionStatus::Open,
        answer: question.answer.zip(question.answered_at.map(Moment::of)),
    }
}

/// Whether a conversion, where one is named, is theirs.
async fn is_own(app: &App, portal: &Portal, conversion_id: Option<&str>) -> Result<bool, ApiError> {
    let Some(id) = conversion_id else { return Ok(true) };
    let place = portal.place()?;
    let Some(one) = &place.membership else { return Ok(false) };
    let own = portal::own_conversion(&place.scope, one.participant_id.as_str(), id);
    Ok(!app.db.rows(own).await?.is_empty())
}

/// `POST /partner/questions`.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&request);
    let form = own_form(&call, &asked.headers, request).await?;
    let portal = enter!(find(&app, &call, &asked, At::Key(field(&form, "in"))).await?);
    let text = |name: &str| field(&form, name).unwrap_or_default().trim().to_owned();
    let given =
        Given { reference: text("reference"), day: text("day"), text: text("text"), about: field(&form, "about") };
    if !is_own(&app, &portal, given.about.as_deref()).await? {
        return missing(&portal);
    }
    let place = portal.place()?;
    let Some(one) = &place.membership else { return missing(&portal) };
    let mut problem = wrong(&given);
    if problem.is_none() {
        let nothing = |text: &String| (!text.is_empty()).then(|| text.clone());
        let question = Question {
            id: app.fresh(call.now),
            program_id: one.program_id.clone(),
            participant_id: one.participant_id.clone(),
            external_transaction_id: nothing(&given.reference),
            happened_on: nothing(&given.day),
            conversion_id: given.about.clone(),
            text: given.text.clone(),
            status: QuestionStatus::Open,
            answer: None,
            answered_at: None,
            created_at: call.now,
        };
        let written = app.db.batch(vec![table::insert(&place.scope, &question, OPEN_QUESTIONS_MAX)]).await?;
        if written.iter().any(|rows| !rows.is_empty()) {
            return portal.done("/questions", "asked");
        }
        problem = Some("Many of your questions wait for their answers. Ask again when some have come.");
    }
    page(&app, &asked, &portal, StatusCode::UNPROCESSABLE_ENTITY, given, problem.map(str::to_owned)).await
}

fn wrong(given: &Given) -> Option<&'static str> {
    let too_long = |text: &str, chars_max: usize| text.chars().count() > chars_max || text.contains('\0');
    let is_day =
        given.day.is_empty() || given.day.len() == 10 && Instant::parse(&format!("{}T00:00:00Z", given.day)).is_ok();
    if given.text.is_empty() {
        Some("Say what you want to know.")
    } else if too_long(&given.text, QUESTION_CHARS_MAX) {
        Some("A question has at most 2000 characters.")
    } else if too_long(&given.reference, REFERENCE_CHARS_MAX) {
        Some("The number of a sale has at most 255 characters.")
    } else if !is_day {
        Some("Enter the day as 2026-06-01.")
    } else {
        None
    }
}
