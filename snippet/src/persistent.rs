//! What lasts longer than the tab, for 90 days: the cookie `trac_click_id`, and in the browser's storage the same with its ref,
//! its token and its end. Each restores the other. Safari forgets both after a week, whatever is asked of it.

use crate::page::{Js, keep, make, on};
use crate::shapes::{is_allowed, is_click_id, kept_click, store};
use crate::steps::Step;
use crate::words::*;

/// Takes over the click that lasted, if that is allowed. The cookie comes first: it is known to the other hosts of the
/// site, so it may be newer.
pub fn restore() {
    if !is_allowed() {
        return;
    }
    let (stored, cookie) = (attempt(Step::Recall), attempt(Step::RecallCookie));
    let click_id = if is_click_id(cookie) { cookie } else { stored };
    if is_click_id(click_id) && !click_id.is(store().get(CID)) {
        let (mut token, mut reference) = (EMPTY, EMPTY);
        if click_id.is(stored) {
            let storage = WINDOW.get(LOCAL_STORAGE);
            (token, reference) = (storage.get(VTK), storage.get(KEPT_REF));
        }
        keep(click_id, token, reference);
    }
    persist();
}

/// Writes the tab's click to where it lasts.
pub fn persist() {
    attempt(Step::Persist);
    attempt(Step::PersistCookie);
}

/// Where the click lasted, nothing is left.
pub fn forget() {
    attempt(Step::Forget);
    attempt(Step::ForgetCookie);
}

/// Runs a step of its own, which ends alone where the browser blocks what it asks for.
fn attempt(step: Step) -> Js {
    on(step, UNDEFINED).call(CALL, [])
}

/// The storage's click, for as long as it is to last: unlike a cookie, a storage forgets nothing by itself.
pub fn recall() -> Js {
    let storage = WINDOW.get(LOCAL_STORAGE);
    let until = WINDOW.get(DATE).call(PARSE, [storage.get(UNTIL)]);
    // Not a number is not even the same as itself.
    let is_later = WINDOW.get(MATH).call(MAX, [until, NOW, NOW]).is(until);
    if is_later { storage.get(TRAC_CLICK_ID) } else { UNDEFINED }
}

/// The cookie's click; null if there is none.
pub fn recall_cookie() -> Js {
    let pattern = make(REG_EXP, KEPT_COOKIE, UNDEFINED);
    let found = WINDOW.get(DOCUMENT).get(COOKIE).call(MATCH, [pattern]);
    if found.is_truthy() { found.get(SECOND) } else { found }
}

/// Writes the storage.
pub fn write() {
    if let Some(click_id) = kept_click() {
        let storage = WINDOW.get(LOCAL_STORAGE);
        if !storage.get(TRAC_CLICK_ID).is(click_id) {
            storage.set(UNTIL, IN_90_DAYS);
        }
        SELGEO.set(UNTIL, storage.get(UNTIL));
        storage.set(TRAC_CLICK_ID, click_id);
        storage.set(VTK, store().get(VTK));
        storage.set(KEPT_REF, store().get(KEPT_REF));
    }
}

/// Writes the cookie.
pub fn write_cookie() {
    if let Some(click_id) = kept_click() {
        let pair = TRAC_CLICK_ID.call(CONCAT, [EQUALS, click_id, EMPTY]);
        let until = SELGEO.get(UNTIL);
        let until = if until.is_truthy() { until } else { IN_90_DAYS };
        bake(pair.call(CONCAT, [COOKIE_KEPT, EXPIRES, until]), pair);
    }
}

/// Empties the storage.
pub fn clear() {
    let storage = WINDOW.get(LOCAL_STORAGE);
    let reflect = WINDOW.get(REFLECT);
    reflect.call(DELETE_PROPERTY, [storage, TRAC_CLICK_ID]);
    reflect.call(DELETE_PROPERTY, [storage, UNTIL]);
    reflect.call(DELETE_PROPERTY, [storage, VTK]);
    reflect.call(DELETE_PROPERTY, [storage, KEPT_REF]);
}

/// Takes the cookie off every domain that it may be on.
pub fn clear_cookie() {
    bake(COOKIE_GONE, COOKIE_GONE);
}

/// Sets the cookie on the widest domain of which the browser then shows it: it refuses those that are not one site's
/// (`.com`), which only it knows. At last on the host alone.
fn bake(cookie: Js, shown: Js) {
    let document = WINDOW.get(DOCUMENT);
    let labels = WINDOW.get(LOCATION).get(HOSTNAME).call(SPLIT, [DOT]);
    let mut domain = EMPTY;
    while labels.length() > 0 {
        domain = DOT.call(CONCAT, [labels.call(POP, []), domain, EMPTY]);
        document.set(COOKIE, cookie.call(CONCAT, [DOMAIN, domain, EMPTY]));
        if document.get(COOKIE).call(INCLUDES, [shown]).is_truthy() {
            return;
        }
    }
    document.set(COOKIE, cookie);
}
