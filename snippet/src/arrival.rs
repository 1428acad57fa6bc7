//! A visitor arrives, by loading a page or by moving on within one: find what the address says about a partner.
//!
//! What counts is a change of what it says, not the navigation: routers rewrite an address as often as they like, and the
//! back button shows one again.

use crate::asking;
use crate::page::{Js, debug, make, on, wrap};
use crate::payment_links;
use crate::shapes::{handed_over, is_allowed, is_click_id, is_public_key, keeps_first, kept_click, reference, store};
use crate::steps::Step;
use crate::words::*;

// What the queue of elements also remembers, under names that are words anyway.
/// The last address that said anything.
const SAID_BY: Js = URL_FIELD;
/// What it said: a ref or a click.
const LAST: Js = REF;
/// The last address that was dealt with; another one is as soon as it may be.
const DONE: Js = METHOD;
/// Whether the address of the navigation was looked at.
const LOOKED: Js = STATE;

/// Starts the snippet. A tag without a good key leaves the page alone.
pub fn start() {
    let merchant = TAG.get(DATASET).get(MERCHANT);
    // Without a key the host that the page is on says whose it is.
    let is_keyless = cfg!(feature = "trac") && !merchant.is_truthy();
    if !is_keyless && !is_public_key(merchant) {
        #[cfg(feature = "trac")]
        SELGEO.call(START, []);
        return debug(merchant);
    }
    // A page that the browser makes ready in advance has no visitor yet.
    let document = WINDOW.get(DOCUMENT);
    if document.get(PRERENDERING).is_truthy() {
        document.call(ADD_EVENT_LISTENER, [PRERENDERING_CHANGE, on(Step::Start, UNDEFINED)]);
        return;
    }
    SELGEO.set(ON_CLICK_ID, on(Step::Wanted, UNDEFINED));
    SELGEO.set(MARK, on(Step::Decorate, UNDEFINED));
    SELGEO.set(CONSENT, on(Step::Consent, UNDEFINED));
    payment_links::watch();
    #[cfg(feature = "trac")]
    crate::leads::offer();
    wrap_history(PUSH_STATE);
    wrap_history(REPLACE_STATE);
    // The visitor may have said so before this ran.
    let allowed = SELGEO.get(ALLOWED);
    if allowed.is(UNDEFINED) { begin() } else { consent(allowed) }
}

/// Another script may wrap the method of the one history, or that of its class, before this one or after it.
fn wrap_history(name: Js) {
    let history = WINDOW.get(HISTORY);
    let is_own = history.call(HAS_OWN_PROPERTY, [name]).is_truthy();
    wrap(if is_own { history } else { WINDOW.get(HISTORY_CLASS).get(PROTOTYPE) }, name, Step::Moved);
}

/// What is done when the visitor is here and nothing stands against it.
fn begin() {
    #[cfg(feature = "trac")]
    crate::persistent::restore();
    payment_links::mark_document();
    asking::tell();
    arrived();
}

/// The page may have another address than before.
pub fn arrived() {
    // A router may have stripped the ref before this script ran; the navigation entry keeps it.
    let has_said = noticed(WINDOW.get(LOCATION).get(HREF));
    if !has_said && !QUEUE.get(LOOKED).is_truthy() {
        // Browsers that guard against being recognized have none.
        let entry = WINDOW.get(PERFORMANCE).call(GET_ENTRIES_BY_TYPE, [NAVIGATION]).get(FIRST);
        if entry.is_truthy() {
            noticed(entry.get(NAME));
        }
    }
    QUEUE.set(LOOKED, TRUE);
    proceed();
}

/// Whether the address says anything about a partner; if that is news, it is to be dealt with.
fn noticed(address: Js) -> bool {
    let url = make(URL, address, UNDEFINED);
    let parameters = url.get(SEARCH_PARAMS);
    let mut said = handed_over(parameters);
    if !is_click_id(said) {
        said = reference(parameters);
    }
    if said.is_truthy() && !said.is(QUEUE.get(LAST)) {
        QUEUE.set(LAST, said);
        QUEUE.set(SAID_BY, url);
    }
    said.is_truthy()
}

/// Deals with the last address that said anything, if it was not and that is allowed.
fn proceed() {
    let url = QUEUE.get(SAID_BY);
    if url.is(QUEUE.get(DONE)) || !is_allowed() {
        return;
    }
    QUEUE.set(DONE, url);
    let parameters = url.get(SEARCH_PARAMS);
    let (reference, handed_over) = (reference(parameters), handed_over(parameters));
    if keeps_first() {
        asking::take_off();
    } else if is_click_id(handed_over) {
        asking::adopt(handed_over, reference);
    } else if !reference.is(store().get(KEPT_REF)) || kept_click().is_none() {
        asking::ask(url);
    }
}

/// The browser is online again: a click that could not be asked for is asked for, once, unless there is a newer one.
pub fn online() {
    if asking::given_up().is(QUEUE.get(SAID_BY)) {
        QUEUE.set(DONE, UNDEFINED);
    }
    proceed();
}

/// The visitor has agreed or refused; to refuse is to be forgotten.
pub fn consent(given: Js) {
    SELGEO.set(ALLOWED, given);
    if given.is_truthy() {
        return begin();
    }
    // Should the visitor agree after all, it is as on arrival.
    QUEUE.set(DONE, UNDEFINED);
    let reflect = WINDOW.get(REFLECT);
    for word in CID.0..=VTK.0 {
        reflect.call(DELETE_PROPERTY, [store(), Js(word)]);
    }
    #[cfg(feature = "trac")]
    crate::persistent::forget();
    payment_links::mark_document();
}
