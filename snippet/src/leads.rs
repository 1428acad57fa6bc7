//! `window.Trac`, for pages that were written for it.

use crate::asking::api_url;
use crate::page::{Js, make, on};
use crate::shapes::{is_allowed, kept_click};
use crate::steps::Step;
use crate::words::*;

/// Puts what Rust does in the place of what waited for it, and does what waited.
pub fn offer() {
    let trac = WINDOW.get(TRAC);
    trac.set(INJECT_STRIPE, on(Step::Grown, UNDEFINED));
    trac.set(TRACK_LEAD, on(Step::Lead, UNDEFINED));
    while LEADS.length() > 0 {
        let waiting = LEADS.call(SHIFT, []);
        waiting
            .get(SECOND)
            .call(CALL, [UNDEFINED, on(Step::Lead, UNDEFINED).call(CALL, [UNDEFINED, waiting.get(FIRST)])]);
    }
}

/// Reports a lead, with the click's id unless it names one, and gives a promise of the answer; of nothing if there is none.
pub fn lead(given: Js) -> Js {
    if !is_allowed() {
        return UNDEFINED;
    }
    let lead = make(OBJECT, UNDEFINED, UNDEFINED);
    if let Some(click_id) = kept_click() {
        lead.set(LEAD_CLICK_ID, click_id);
    }
    WINDOW.get(OBJECT).call(ASSIGN, [lead, given]);
    let headers = make(OBJECT, UNDEFINED, UNDEFINED);
    headers.set(CONTENT_TYPE, MEDIA_TYPE_JSON);
    let merchant = TAG.get(DATASET).get(MERCHANT);
    if merchant.is_truthy() {
        headers.set(PUBLISHABLE_KEY, merchant);
    }
    let request = make(OBJECT, UNDEFINED, UNDEFINED);
    request.set(METHOD, POST);
    request.set(HEADERS, headers);
    request.set(BODY, WINDOW.get(JSON).call(STRINGIFY, [lead]));
    request.set(KEEPALIVE, TRUE);
    request.set(CREDENTIALS, OMIT);
    WINDOW
        .call(FETCH, [api_url(LEADS_PATH), request])
        .call(THEN, [on(Step::Answered, UNDEFINED)])
        .call(THEN, [UNDEFINED, on(Step::Failed, UNDEFINED)])
}
