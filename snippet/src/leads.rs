//! What `window.Trac` does, for pages that were written for it. The object itself is the loader's: it is there at once.

use crate::asking::api_url;
use crate::page::{Js, make, on};
use crate::shapes::{is_allowed, kept_click};
use crate::steps::Step;
use crate::words::*;

/// Gives the loader what `window.Trac` stands for, and lets it go on with what it was asked for until now.
pub fn offer() {
    SELGEO.set(INJECT_STRIPE, on(Step::Grown, UNDEFINED));
    SELGEO.set(TRACK_LEAD, on(Step::Lead, UNDEFINED));
    SELGEO.call(START, []);
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
