//! The go-live checklist, which checks itself (`domain::checklist`). It is about live mode, in whatever mode one looks at it.

use askama::Template;
use axum::extract::Request;
use axum::response::Response;
use domain::checklist::{self as rules, Facts, INVOICE_TYPE, Item, Missing, OCCASIONAL_TYPES, Seen, Topic};
use domain::mode::Mode;
use http::Method;
use serde_json::json;

use super::desk::Desk;
use super::frame::{Frame, Notice};
use crate::auth::people;
use crate::error::ApiError;
use crate::pages::text::Moment;
use crate::pages::{own_form, query, see};
use crate::store::checklist as table;

#[derive(Template)]
#[template(path = "dashboard/checklist.html")]
struct Checklist {
    frame: Frame,
    lines: Vec<Line>,
    done: usize,
    is_ready: bool,
    review_href: String,
}

/// One line of the list.
struct Line {
    title: &'static str,
    why: &'static str,
    is_done: bool,
    /// What is missing, in a sentence; empty once it is done.
    missing: String,
    evidence: Vec<Evidence>,
    /// Where it is mended: the link and its words.
    mend: (String, &'static str),
    is_rewards: bool,
    types: Vec<TypeShown>,
}

/// Something that was seen.
struct Evidence {
    what: &'static str,
    /// Its page; none where it has none.
    href: Option<String>,
    name: String,
    at: Moment,
}

/// A type of Stripe's events.
struct TypeShown {
    name: String,
    is_needed: bool,
    seen: Option<(String, Moment)>,
}

/// `GET …/checklist`.
pub async fn show(desk: Desk, request: Request) -> Result<Response, ApiError> {
    let found = desk.app.db.batch(table::reads(&desk.membership.workspace_id)).await?;
    let (mut facts, reviewer) = table::decode(&found)?;
    if let Some(review) = &mut facts.review {
        review.what = match reviewer {
            Some(address) => people::opened(&desk.app, &address)?,
            None => "whoever holds a secret key".to_owned(),
        };
    }
    let items = rules::items(&facts);
    let lines: Vec<Line> = items.iter().map(|item| line(&desk, &facts, item)).collect();
    let reviewed = query(&request, "done").is_some() && desk.seals().hold(request.uri());
    let notice = reviewed.then(|| Notice { text: "Noted that the rewards are right.".to_owned(), undo: None });
    let list = Checklist {
        frame: Frame::of(&desk, "checklist", "Go-live checklist").with_notice(notice),
        done: lines.iter().filter(|line| line.is_done).count(),
        is_ready: rules::is_ready(&items),
        lines,
        review_href: desk.href("checklist/rewards-reviewed"),
    };
    super::shown(&desk, &list)
}

/// `POST …/checklist/rewards-reviewed`: somebody looked at the rewards of live mode, and they are right.
pub async fn note_review(desk: Desk, request: Request) -> Result<Response, ApiError> {
    own_form(&desk.call, &request.headers().clone(), request).await?;
    desk.in_mode(Mode::Live).ask(Method::POST, "/workspace/rewards-reviewed", Some(&json!({}))).await?;
    Ok(desk.answer(see(&desk.seals().telling(&desk.href("checklist"), &[("done", "reviewed")]))?))
}

fn line(desk: &Desk, facts: &Facts, item: &Item) -> Line {
    let live = |page: &str| desk.href_in(Mode::Live, page);
    let (title, why) = words(item.topic);
    let mend = match item.topic {
        Topic::TestRun => (desk.href_in(Mode::Test, "links"), "To the links of test mode"),
        Topic::Program => (live("programs"), "To the programs"),
        Topic::Rewards => (live("programs"), "To the programs and their rewards"),
        Topic::Click => (live("api-keys"), "To the keys"),
        Topic::Stripe | Topic::StripeTypes => (live("stripe-connections"), "To the Stripe connection"),
        Topic::Webhook => (live("webhook-endpoints"), "To the webhook endpoints"),
        Topic::Purchase => (live("conversions"), "To the conversions"),
    };
    let is_types = item.topic == Topic::StripeTypes;
    let shown: &[_] = if is_types { &[] } else { &item.evidence };
    Line {
        title,
        why,
        is_done: item.missing.is_none(),
        missing: item.missing.as_ref().map(|missing| missing_words(item.topic, missing)).unwrap_or_default(),
        evidence: shown.iter().map(|(what, seen)| evidence(desk, facts, item.topic, what, seen)).collect(),
        mend,
        is_rewards: item.topic == Topic::Rewards,
        types: if is_types { types(desk, facts) } else { Vec::new() },
    }
}

const fn words(topic: Topic) -> (&'static str, &'static str) {
    match topic {
        Topic::TestRun => (
            "A whole run in test mode",
            "A click on a link of test mode, a purchase that names it, and the commission that it earns.",
        ),
        Topic::Program => (
            "An active program",
            "Only a program of live mode that is active is announced: its page to join is open, and its partners earn.",
        ),
        Topic::Rewards => (
            "The rewards are right",
            "What partners are promised is what they are paid. Look at the rewards of live mode once more, then say so here.",
        ),
        Topic::Click => (
            "A real click",
            "The snippet or a short link has registered a click of a person in live mode, with your live key on your own pages.",
        ),
        Topic::Stripe => (
            "Stripe in live mode",
            "A connection of live mode, and an event that came through it with a signature that holds.",
        ),
        Topic::StripeTypes => (
            "Every type of event that is needed",
            "Stripe sends only the types that its endpoint lists. Those that are needed must have come once; switch the others on too.",
        ),
        Topic::Webhook => (
            "Your own server is told",
            "An endpoint of live mode at an https address, and a ping that it answered with success.",
        ),
        Topic::Purchase => (
            "A real purchase, and its refund",
            "Buy something small in live mode and give the money back: the conversion comes, and the refund takes its commission back.",
        ),
    }
}

fn missing_words(topic: Topic, missing: &Missing) -> String {
    match (missing, topic) {
        (Missing::Types(types), _) => format!("Not seen yet: {}.", types.join(", ")),
        (Missing::NoEvent, _) => "There is a connection, but nothing has come through it yet.".to_owned(),
        (Missing::NoReward, _) => "No reward is set up in live mode: nobody would earn anything.".to_owned(),
        (Missing::ChangedSince, _) => "The rewards were changed since somebody looked at them.".to_owned(),
        (Missing::NoHttpsEndpoint, _) => "No enabled endpoint of live mode is at an https address.".to_owned(),
        (Missing::NoPing, _) => "No ping has arrived where the endpoint is now. Send one from its page.".to_owned(),
        (Missing::Nothing, Topic::TestRun) => "No click of test mode has led to a commission yet.".to_owned(),
        (Missing::Nothing, Topic::Program) => "No program of live mode is active.".to_owned(),
        (Missing::Nothing, Topic::Rewards) => "Nobody has said so yet.".to_owned(),
        (Missing::Nothing, Topic::Click) => "Nobody has come by a link in live mode yet.".to_owned(),
        (Missing::Nothing, Topic::Stripe) => "Stripe is not connected in live mode.".to_owned(),
        (Missing::Nothing, Topic::Purchase) => "No conversion of live mode was refunded yet.".to_owned(),
        (Missing::Nothing, Topic::StripeTypes | Topic::Webhook) => "Nothing has come yet.".to_owned(),
    }
}

fn evidence(desk: &Desk, facts: &Facts, topic: Topic, what: &str, seen: &Seen) -> Evidence {
    let mode = if topic == Topic::TestRun { Mode::Test } else { Mode::Live };
    let (words, page) = match (what, topic) {
        ("click", _) => ("Newest click", Some("clicks")),
        ("connection", _) => ("Connection made", Some("stripe-connections")),
        ("stripe_event", _) => ("Newest event", Some("stripe-events")),
        ("reward", _) => ("Newest version of a reward", Some("rewards")),
        ("review", _) => ("Said to be right by", None),
        ("delivery", _) => ("Ping arrived", Some("webhook-deliveries")),
        ("program", _) => ("Active program, made", Some("programs")),
        (_, Topic::TestRun) => ("First conversion of a click that earned", Some("conversions")),
        _ => ("First conversion that was refunded", Some("conversions")),
    };
    let at = Moment::of(seen.at);
    // The log of deliveries is kept for a while only, and test data may be wiped: then the link says that it is gone.
    let href = page.map(|page| desk.href_in(mode, &format!("{page}/{}", seen.what)));
    let to = facts.endpoints.iter().find(|one| one.ping.as_ref().is_some_and(|(ping, _)| ping == seen));
    let name = match to {
        Some(endpoint) if what == "delivery" => format!("{} at {}", seen.what, endpoint.url),
        _ => seen.what.clone(),
    };
    Evidence { what: words, href, name, at }
}

fn types(desk: &Desk, facts: &Facts) -> Vec<TypeShown> {
    let needed = rules::required_types(facts.promises_renewals);
    let shown = |name: &str| {
        let seen = facts.stripe_types.iter().find(|(kind, _)| kind == name);
        let href = |seen: &Seen| desk.href_in(Mode::Live, &format!("stripe-events/{}", seen.what));
        TypeShown {
            name: name.to_owned(),
            is_needed: needed.contains(&name),
            seen: seen.map(|(_, seen)| (href(seen), Moment::of(seen.at))),
        }
    };
    let renewals = (!needed.contains(&INVOICE_TYPE)).then_some(INVOICE_TYPE);
    needed.iter().copied().chain(renewals).chain(OCCASIONAL_TYPES).map(shown).collect()
}
