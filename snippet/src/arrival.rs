//! A visitor arrives: find the `ref`, ask the server for a click, keep what it answers.

use crate::page::{Js, debug, keep, make, on};
use crate::payment_links;
use crate::shapes::{is_allowed, is_click_id, is_public_key, kept_click, store};
use crate::steps::Step;
use crate::words::*;

/// Starts the snippet. A tag without a good key leaves the page alone.
pub fn start() {
    let tag = TAG.get(DATASET);
    let merchant = tag.get(MERCHANT);
    if !is_public_key(merchant) {
        return debug(merchant);
    }
    // A page that the browser makes ready in advance has no visitor yet.
    let document = WINDOW.get(DOCUMENT);
    if document.get(PRERENDERING).is_truthy() {
        document.call(ADD_EVENT_LISTENER, [PRERENDERING_CHANGE, on(Step::Start, UNDEFINED)]);
        return;
    }
    SELGEO.set(ON_CLICK_ID, on(Step::Wanted, UNDEFINED));
    SELGEO.set(DECORATE, on(Step::Decorate, UNDEFINED));
    SELGEO.set(CONSENT, on(Step::Consent, UNDEFINED));
    payment_links::watch();
    arrive();
}

/// Looks for a ref, if that is allowed.
fn arrive() {
    if !is_allowed() {
        return;
    }
    payment_links::mark_document();
    let merchant = TAG.get(DATASET).get(MERCHANT);
    // A router may have stripped the ref before this script ran; the navigation entry keeps it.
    let _ = asked(merchant, WINDOW.get(LOCATION).get(HREF))
        || asked(merchant, WINDOW.get(PERFORMANCE).call(GET_ENTRIES_BY_TYPE, [NAVIGATION]).get(FIRST).get(NAME));
}

/// The visitor has agreed or refused; to refuse is to be forgotten.
pub fn consent(given: Js) {
    SELGEO.set(ALLOWED, given);
    if given.is_truthy() {
        return arrive();
    }
    let reflect = WINDOW.get(REFLECT);
    for word in CID.0..=VTK.0 {
        reflect.call(DELETE_PROPERTY, [store(), Js(word)]);
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

/// Keeps the click of an answer, unless it holds none (a refusal, for example), and puts it on the page's links.
pub fn registered(reference: Js, answer: Js) {
    debug(answer);
    let click_id = answer.get(CLICK_ID);
    if is_allowed() && is_click_id(click_id) {
        keep(click_id, answer.get(VISITOR_TOKEN), reference);
        found();
    }
}

/// The tab has a new click.
fn found() {
    payment_links::mark_document();
    while WAITING.length() > 0 {
        // Each by a timer of its own: one that throws keeps no other from its click.
        WINDOW.call(SET_TIMEOUT, [on(Step::Due, WAITING.call(POP, []))]);
    }
}

/// Asks for a click if the address has a ref of which this tab has no click; says whether it has a ref at all.
fn asked(merchant: Js, address: Js) -> bool {
    let url = make(URL, address, UNDEFINED);
    let reference = url.get(SEARCH_PARAMS).call(GET, [REF]);
    let handed_over = url.get(SEARCH_PARAMS).call(GET, [TRAC_CLICK_ID]);
    if is_click_id(handed_over) {
        adopt(handed_over, reference);
        return true;
    }
    if !reference.is_truthy() {
        return false;
    }
    if reference.is(store().get(KEPT_REF)) && kept_click().is_some() {
        return true;
    }
    // What stands behind the # is the page's own and may be secret.
    url.set(HASH, EMPTY);
    let click = make(OBJECT, UNDEFINED, UNDEFINED);
    click.set(MERCHANT, merchant);
    click.set(REF, reference);
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
    WINDOW
        .call(FETCH, [clicks_url(), request])
        .call(THEN, [on(Step::Answered, UNDEFINED)])
        .call(THEN, [on(Step::Registered, reference), on(Step::Failed, UNDEFINED)]);
    true
}

/// Keeps a click that another page hands over, and takes it out of the address bar, with not a byte else.
fn adopt(click_id: Js, reference: Js) {
    keep(click_id, store().get(VTK), reference);
    found();
    let history = WINDOW.get(HISTORY);
    let mut address = WINDOW.get(LOCATION).get(HREF);
    // One after the other: a list of patterns would need memory.
    address = address.call(REPLACE, [make(REG_EXP, HANDED_OVER_BEFORE, UNDEFINED), BEFORE_IT]);
    address = address.call(REPLACE, [make(REG_EXP, HANDED_OVER_LAST, UNDEFINED), BEFORE_IT]);
    if !address.is(WINDOW.get(LOCATION).get(HREF)) {
        history.call(REPLACE_STATE, [history.get(STATE), EMPTY, address]);
    }
}

/// Cut to what the server takes of a URL: one that is too long would cost the click.
fn shortened(url: Js) -> Js {
    url.call(SLICE, [FIRST, URL_CHARS_MAX])
}

/// Where clicks are registered: at the origin that the tag says, else at the one baked in, else where the script came
/// from (`https://x/_s/v1/selgeo.js` → `https://x/_s/v1/clicks`).
fn clicks_url() -> Js {
    let mut base = TAG.get(DATASET).get(API_URL);
    if !base.is_truthy() {
        base = BAKED_API_URL;
    }
    if !base.is_truthy() {
        base = make(URL, PARENT, TAG.get(SRC)).get(HREF);
    }
    base.call(REPLACE, [make(REG_EXP, TRAILING_SLASHES, UNDEFINED), CLICKS_PATH])
}
