//! The server is asked for a click, and what it answers is kept.

use crate::page::{Js, debug, keep, make, on};
use crate::payment_links;
use crate::shapes::{is_allowed, is_click_id, kept_click, reference, store};
use crate::steps::Step;
use crate::words::*;

/// The address whose request failed last, remembered by the queue under a name that is a word anyway.
const GIVEN_UP: Js = BODY;

/// Asks for a click for an address that has a ref.
pub fn ask(url: Js) {
    // What stands behind the # is the page's own and may be secret.
    url.set(HASH, EMPTY);
    let click = make(OBJECT, UNDEFINED, UNDEFINED);
    let merchant = TAG.get(DATASET).get(MERCHANT);
    if !cfg!(feature = "trac") || merchant.is_truthy() {
        click.set(MERCHANT, merchant);
    }
    click.set(REF, reference(url.get(SEARCH_PARAMS)));
    click.set(URL_FIELD, shortened(url.get(HREF)));
    click.set(REFERRER, shortened(WINDOW.get(DOCUMENT).get(REFERRER)));
    let visitor_token = store().get(VTK);
    if visitor_token.is_truthy() {
        click.set(VISITOR_TOKEN, visitor_token);
    }

    let request = make(OBJECT, UNDEFINED, UNDEFINED);
    request.set(METHOD, POST);
    // A string goes out as text/plain, which needs no preflight.
    request.set(BODY, WINDOW.get(JSON).call(STRINGIFY, [click]));
    // The visitor may leave the page at once.
    request.set(KEEPALIVE, TRUE);
    request.set(CREDENTIALS, OMIT);
    SENT.set(SENT.get(LENGTH), url);
    WINDOW
        .call(FETCH, [api_url(CLICKS_PATH), request])
        .call(THEN, [on(Step::Answered, UNDEFINED)])
        .call(THEN, [on(Step::Registered, url), on(Step::Failed, url)]);
}

/// Keeps the click of an answer, unless it holds none (a refusal, for example), and puts it on the page's links. Of
/// requests that overtake each other the last one counts.
pub fn registered(url: Js, answer: Js) {
    debug(answer);
    let click_id = answer.get(CLICK_ID);
    if is_allowed() && is_click_id(click_id) && SENT.call(INCLUDES, [url]).is_truthy() {
        while !SENT.call(SHIFT, []).is(url) {}
        keep(click_id, answer.get(VISITOR_TOKEN), reference(url.get(SEARCH_PARAMS)));
        found();
    }
}

/// A request failed, for example offline.
pub fn failed(url: Js, why: Js) {
    debug(why);
    if SENT.at(SENT.length() - 1).is(url) {
        QUEUE.set(GIVEN_UP, url);
    }
}

/// Gives the address whose request failed, and forgets it.
pub fn given_up() -> Js {
    let url = QUEUE.get(GIVEN_UP);
    QUEUE.set(GIVEN_UP, UNDEFINED);
    url
}

/// Keeps a click that another page hands over.
pub fn adopt(click_id: Js, reference: Js) {
    // What was asked for before this is older.
    SENT.set(LENGTH, EMPTY);
    keep(click_id, store().get(VTK), reference);
    found();
    take_off();
}

/// Takes a click's id out of the address bar, with not a byte else.
pub fn take_off() {
    let history = WINDOW.get(HISTORY);
    let mut address = WINDOW.get(LOCATION).get(HREF);
    // One after the other: a list of patterns would need memory.
    address = address.call(REPLACE, [make(REG_EXP, HANDED_OVER_BEFORE, UNDEFINED), BEFORE_IT]);
    address = address.call(REPLACE, [make(REG_EXP, HANDED_OVER_LAST, UNDEFINED), BEFORE_IT]);
    if !address.is(WINDOW.get(LOCATION).get(HREF)) {
        history.call(REPLACE_STATE, [history.get(STATE), EMPTY, address]);
    }
}

/// The tab has a new click.
fn found() {
    #[cfg(feature = "trac")]
    crate::persistent::persist();
    payment_links::mark_document();
    tell();
}

/// Tells the click to whoever waits for it, in turn.
pub fn tell() {
    while WAITING.length() > 0 && kept_click().is_some() {
        // Each by a timer of its own: one that throws keeps no other from its click.
        WINDOW.call(SET_TIMEOUT, [on(Step::Due, WAITING.call(SHIFT, []))]);
    }
}

/// Calls a function of the page's with the click: at once if there is one, else when it comes.
pub fn wanted(function: Js) {
    match kept_click() {
        Some(click_id) => {
            function.call(CALL, [UNDEFINED, click_id]);
        }
        None => WAITING.set(WAITING.get(LENGTH), function),
    }
}

/// Cut to what the server takes of a URL: one that is too long would cost the click.
fn shortened(url: Js) -> Js {
    url.call(SLICE, [FIRST, URL_CHARS_MAX])
}

/// The API's address of that path: at the origin that the tag says, else at the one baked in, else where the script came
/// from (`https://x/_s/v1/selgeo.js` → `https://x/_s/v1/clicks`).
pub fn api_url(path: Js) -> Js {
    let mut base = TAG.get(DATASET).get(API_URL);
    if !base.is_truthy() {
        base = BAKED_API_URL;
    }
    if !base.is_truthy() {
        base = make(URL, HERE, TAG.get(SRC)).get(HREF);
    }
    base.call(REPLACE, [make(REG_EXP, VERSION_AND_SLASHES, UNDEFINED), path])
}
