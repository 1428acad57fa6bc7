//! Stripe's payment links carry the click's id: `https://buy.stripe.com/…?client_reference_id=<click id>`. So do the links
//! to hosts that the tag lists in `data-payment-hosts`, of which one on the visitor's own machine needs no HTTPS.
//!
//! A value that the merchant put there is never replaced: their fulfilment reads it. Ours is known by a property of
//! the element, so that a newer click can take its place.

use crate::page::{Js, make, on};
use crate::shapes::{is_trusted_origin, kept_click};
use crate::steps::Step;
use crate::words::*;

/// Marks the links that are there, those that come while the page is read, and each again when it is used.
pub fn watch() {
    mark_document();
    listen(DOM_CONTENT_LOADED, Step::Grown);
    listen(LOAD, Step::Grown);
    listen(POINTER_DOWN, Step::Used);
    listen(CLICK, Step::Used);
    listen(AUX_CLICK, Step::Used);
    listen(KEY_DOWN, Step::Used);
}

/// Marks every payment link of the document.
pub fn mark_document() {
    mark_all(WINDOW.get(DOCUMENT).get(LINKS));
}

/// Marks the payment links among these elements, if the tab has a click.
pub fn mark_all(elements: Js) {
    if let Some(click_id) = kept_click() {
        let mut hosts = TAG.get(DATASET).get(PAYMENT_HOSTS);
        if hosts.is_truthy() {
            hosts = hosts.call(SPLIT, [make(REG_EXP, BETWEEN_HOSTS, UNDEFINED)]);
        }
        for index in 0..elements.length() {
            let element = elements.at(index);
            // The browser has parsed the link's URL: only the exact host over HTTPS has this origin.
            if element.get(ORIGIN).is(STRIPE_ORIGIN) || is_listed(element, hosts) {
                mark(element, click_id);
            }
        }
    }
}

fn is_listed(element: Js, hosts: Js) -> bool {
    hosts.is_truthy() && hosts.call(INCLUDES, [element.get(HOST)]).is_truthy() && is_trusted_origin(element.get(ORIGIN))
}

fn mark(link: Js, click_id: Js) {
    let query = link.get(SEARCH);
    let pairs = make(URL_SEARCH_PARAMS, query, UNDEFINED);
    let value = pairs.call(GET, [CLIENT_REFERENCE_ID]);
    let marked = if value.is(NULL) {
        // Appended as text: writing all pairs anew would change how the merchant's own are escaped.
        let pair = if query.is_truthy() { NEXT_PAIR } else { FIRST_PAIR };
        query.call(CONCAT, [pair, click_id, EMPTY])
    } else if !value.is_truthy() {
        pairs.call(SET, [CLIENT_REFERENCE_ID, click_id]);
        pairs
    } else if value.is(link.get(OURS)) && !value.is(click_id) {
        query.call(REPLACE, [value, click_id])
    } else {
        return;
    };
    link.set(SEARCH, marked);
    link.set(OURS, click_id);
}

fn listen(event: Js, step: Step) {
    // Capturing at the window comes before any handler of the page.
    WINDOW.call(ADD_EVENT_LISTENER, [event, on(step, UNDEFINED), TRUE]);
}
