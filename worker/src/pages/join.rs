//! `/join/{program_slug}`: a program's terms, and how somebody joins it: by applying, or by an invite. Nobody has to be signed
//! in, and the answer is the same whether anybody has the address already or not.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::account::Token;
use domain::mode::Mode;
use domain::partner::{APPLICATIONS_PER_ADDRESS_MAX, PROMOTION_CHARS_MAX, Shut, may_join};
use domain::reward::RewardVersion;
use domain::status::ProgramStatus;
use http::{HeaderValue, StatusCode, header};

use super::{Problem, field, own_form, private, query};
use crate::app::App;
use crate::auth::{network, people};
use crate::call::Call;
use crate::error::ApiError;
use crate::limiter::Bucket;
use crate::partner_side::join::{self, Joined, Said};
use crate::partner_side::words;
use crate::store::invites::Invite;
use crate::store::portal::{self, Door};
use crate::store::rewards;

/// What somebody calls themselves, at most.
const NAME_CHARS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "join/program.html")]
struct ProgramPage<'a> {
    door: &'a Door,
    is_test: bool,
    rewards: Vec<String>,
    /// Each paragraph of the terms.
    terms: Vec<&'a str>,
    /// What the box to tick says: which terms they are.
    terms_sha256: String,
    invite: Option<&'a str>,
    /// The invite's address, which is fixed.
    invited: Option<&'a str>,
    given: Given,
    wrong: Wrong,
}

#[derive(Template)]
#[template(path = "join/done.html")]
struct DonePage<'a> {
    door: &'a Door,
    is_test: bool,
    is_invited: bool,
    email: &'a str,
}

/// What a form held, to be shown again.
#[derive(Default)]
struct Given {
    name: String,
    email: String,
    promotion: String,
    /// The terms that they accept, by what the box said.
    accepts: Option<String>,
}

impl Given {
    fn accepts(&self, sha256: &str) -> bool {
        self.accepts.as_deref() == Some(sha256)
    }
}

/// What is wrong with which field.
#[derive(Default)]
struct Wrong {
    name: Option<&'static str>,
    email: Option<&'static str>,
    promotion: Option<&'static str>,
    terms: Option<&'static str>,
}

impl Wrong {
    fn is_nothing(&self) -> bool {
        [self.name, self.email, self.promotion, self.terms].iter().all(Option::is_none)
    }
}

/// A program's page that is open to whoever came.
struct Opened {
    door: Door,
    rewards: Vec<String>,
    /// The token as it came, and its invite.
    invite: Option<(Token, Invite)>,
}

/// The page, or the answer that stands for it.
enum Entry {
    Open(Box<Opened>),
    Shut(Response),
}

/// `GET /join/{slug}`: what the program offers, and the form.
pub async fn ask(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(slug): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    match enter(&app, &call, &slug, query(&request, "invite")).await? {
        Entry::Shut(response) => Ok(response),
        Entry::Open(opened) => {
            let invited = opened.invite.as_ref().map(|(_, invite)| invite.name.clone());
            let given = Given { name: invited.unwrap_or_default(), ..Given::default() };
            form(StatusCode::OK, &opened, given, Wrong::default())
        }
    }
}

/// `POST /join/{slug}`: joins, or applies. Refusals in this order: 403, 413, 415, 429, the page's own, and 422 with the form again.
pub async fn send(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(slug): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let body = own_form(&call, &headers, request).await?;
    let bucket = Bucket::JoinsFrom { address: network(&call.peer.address) };
    let taken = app.limiter.take(&bucket, APPLICATIONS_PER_ADDRESS_MAX, call.now).await;
    let taken = taken.map_err(|why| ApiError::Unavailable(why.0))?;
    if !taken.admitted {
        return too_many(taken.reset_s);
    }
    let opened = match enter(&app, &call, &slug, field(&body, "invite")).await? {
        Entry::Shut(response) => return Ok(response),
        Entry::Open(opened) => opened,
    };
    let given = Given {
        name: field(&body, "name").unwrap_or_default().trim().to_owned(),
        email: people::normal(&field(&body, "email").unwrap_or_default()),
        promotion: field(&body, "promotion").unwrap_or_default().trim().to_owned(),
        accepts: field(&body, "accept"),
    };
    let invite = opened.invite.as_ref().map(|(_, invite)| invite);
    let email = invite.map_or(&given.email, |invite| &invite.email).clone();
    let wrong = wrong(&app, &opened.door, &given, &email)?;
    if !wrong.is_nothing() {
        return form(StatusCode::UNPROCESSABLE_ENTITY, &opened, given, wrong);
    }
    let said = Said { name: given.name, email, promotion: given.promotion };
    match join::join(&app, &call, &opened.door, &said, invite).await? {
        Joined::TooLate => gone(&opened.door),
        Joined::Done(messages) => {
            let page = DonePage {
                door: &opened.door,
                is_test: opened.door.scope.mode == Mode::Test,
                is_invited: invite.is_some(),
                email: &said.email,
            };
            Ok(crate::call::after(private(StatusCode::OK, &page)?, messages))
        }
    }
}

/// Where the page is, and whether it is open.
async fn enter(app: &App, call: &Call, slug: &str, token: Option<String>) -> Result<Entry, ApiError> {
    let shut = |response: Result<Response, ApiError>| response.map(Entry::Shut);
    let rows = app.db.rows(portal::door(slug)).await?;
    let door = rows.first().map(portal::decode_door).transpose()?;
    // A draft is not announced: nobody is told that it is there.
    let Some(door) = door.filter(|door| door.status != ProgramStatus::Draft) else {
        return shut(unknown(app, call).await);
    };
    let invite = match token.as_deref().map(Token::parse) {
        None => None,
        Some(None) => return shut(guessed(app, call, &door).await),
        Some(Some(token)) => match join::invite(app, call, &door, &token).await? {
            Some(invite) => Some((token, invite)),
            None => return shut(guessed(app, call, &door).await),
        },
    };
    match may_join(door.status, door.applications, invite.is_some()) {
        Err(why) => shut(closed(&door, why)),
        Ok(()) => {
            let ids = [door.program_id.to_string()];
            let rows = app.db.rows(rewards::of_programs(&door.scope, &ids)?).await?;
            let versions = rows.iter().map(|row| row.json("body")).collect::<Result<Vec<RewardVersion>, _>>()?;
            Ok(Entry::Open(Box::new(Opened { rewards: in_words(&versions), door, invite })))
        }
    }
}

/// The rewards that anybody in the program has: the newest version of each.
fn in_words(versions: &[RewardVersion]) -> Vec<String> {
    let newest = versions.iter().filter(|version| {
        let later = versions.iter().any(|v| v.reward_id == version.reward_id && v.version > version.version);
        version.participant_id.is_none() && !version.retired && !later
    });
    newest.map(words::reward).collect()
}

fn form(status: StatusCode, opened: &Opened, given: Given, wrong: Wrong) -> Result<Response, ApiError> {
    let page = ProgramPage {
        door: &opened.door,
        is_test: opened.door.scope.mode == Mode::Test,
        rewards: opened.rewards.clone(),
        terms_sha256: opened.door.terms_sha256(),
        terms: opened.door.terms.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
        invite: opened.invite.as_ref().map(|(token, _)| token.as_str()),
        invited: opened.invite.as_ref().map(|(_, invite)| invite.email.as_str()),
        given,
        wrong,
    };
    private(status, &page)
}

fn wrong(app: &App, door: &Door, given: &Given, email: &str) -> Result<Wrong, ApiError> {
    let too_long = |text: &str, chars_max: usize| text.chars().count() > chars_max;
    let has_nul = |text: &str| text.contains('\0');
    // What stands for those who are erased is nobody's address.
    let is_address = people::address(app, email)?.is_some() && !email.ends_with("@erased.invalid");
    Ok(Wrong {
        name: match given.name.as_str() {
            "" => Some("Say what you are called."),
            name if too_long(name, NAME_CHARS_MAX) || has_nul(name) => Some("At most 200 characters."),
            _ => None,
        },
        email: (!is_address || has_nul(email)).then_some("Enter your e-mail address, such as ann@example.com."),
        promotion: (too_long(&given.promotion, PROMOTION_CHARS_MAX) || has_nul(&given.promotion))
            .then_some("At most 500 characters."),
        terms: match &given.accepts {
            _ if door.terms.is_empty() => None,
            None => Some("Without them, nobody can join."),
            // What is kept is that these were accepted, and they were not shown.
            Some(accepted) if *accepted != door.terms_sha256() => {
                Some("They were changed since you opened this page. Read them once more.")
            }
            Some(_) => None,
        },
    })
}

/// No such program. Who guesses too often is told that instead.
async fn unknown(app: &App, call: &Call) -> Result<Response, ApiError> {
    if !app.limiter.stranger(&call.peer.address).await {
        return too_many(60);
    }
    let problem = Problem {
        title: "There is no such program",
        text: "The address may be mistyped. Ask whoever sent it to you for a new one.",
        instead: None,
        signed_in: None,
    };
    private(StatusCode::NOT_FOUND, &problem)
}

async fn guessed(app: &App, call: &Call, door: &Door) -> Result<Response, ApiError> {
    if !app.limiter.stranger(&call.peer.address).await {
        return too_many(60);
    }
    gone(door)
}

/// One answer for invites that were used, revoked, ran out, or never were.
fn gone(door: &Door) -> Result<Response, ApiError> {
    let path = format!("/join/{}", door.slug);
    let is_open = may_join(door.status, door.applications, false).is_ok();
    let problem = Problem {
        title: "This invitation does not work any more",
        text: "An invitation works once and for 30 days. If you have joined by it already, sign in with your address.",
        instead: Some(if is_open { (&path, "Apply without it") } else { ("/sign-in?next=%2Fpartner", "Sign in") }),
        signed_in: None,
    };
    private(StatusCode::GONE, &problem)
}

fn closed(door: &Door, why: Shut) -> Result<Response, ApiError> {
    let (status, title, text) = match why {
        Shut::NotActive => (
            StatusCode::GONE,
            format!("{} takes nobody in right now", door.name),
            "The program is paused or over. Who is in it already can sign in as before.",
        ),
        Shut::ByInviteOnly => (
            StatusCode::FORBIDDEN,
            format!("{} is by invitation", door.name),
            "Whoever runs it invites its partners. If you have an invitation, open the link in it.",
        ),
    };
    let problem =
        Problem { title: &title, text, instead: Some(("/sign-in?next=%2Fpartner", "Sign in")), signed_in: None };
    private(status, &problem)
}

fn too_many(retry_after_s: u32) -> Result<Response, ApiError> {
    let problem = Problem {
        title: "Too many tries",
        text: "Too much was sent from your network. Wait a minute and try again.",
        instead: None,
        signed_in: None,
    };
    let mut response = private(StatusCode::TOO_MANY_REQUESTS, &problem)?;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
    Ok(response)
}

#[cfg(test)]
mod tests;
