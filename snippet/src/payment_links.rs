//! Stripe's payment links carry the click's id: `https://buy.stripe.com/…?client_reference_id=<click id>`. So do the links
//! to hosts that the tag lists in `data-payment-hosts`, of which one on the visitor's own machine needs no HTTPS.
//!
//! Stripe's buy buttons and pricing tables carry it in an attribute, and forms that go to those hosts in a hidden field.
//!
//! A value that the merchant put there is never replaced: their fulfilment reads it. Ours is known by a property of
//! the element, so that a newer click can take its place, or none when the visitor refuses.

use crate::page::{Js, make, on, wrap};
use crate::shapes::{fits, is_trusted_origin, kept_click};
use crate::steps::Step;
use crate::words::*;

/// How many elements one look at the page takes: a few milliseconds on a slow machine.
const ELEMENTS_MAX: i32 = 200;

/// Marks what is there, what comes or changes, and each again when it is used.
pub fn watch() {
    listen(DOM_CONTENT_LOADED, Step::Grown);
    // As a document that was left comes back, the tab may have a newer click.
    listen(PAGE_SHOW, Step::Grown);
    listen(POP_STATE, Step::Moved);
    listen(ONLINE, Step::Online);
    listen(POINTER_DOWN, Step::Used);
    listen(CLICK, Step::Used);
    listen(AUX_CLICK, Step::Used);
    listen(KEY_DOWN, Step::Used);
    listen(SUBMIT, Step::Used);
    wrap(WINDOW.get(ELEMENT).get(PROTOTYPE), ATTACH_SHADOW, Step::Rooted);
}

/// Looks at the whole document, and at all that changes in it from now on, if the tab has a click or had one.
pub fn mark_document() {
    let is_watched = QUEUE.get(OBSERVER).is_truthy();
    if is_watched || kept_click().is_some() {
        if !is_watched {
            QUEUE.set(OBSERVER, make(OBSERVER, on(Step::Changed, UNDEFINED), UNDEFINED));
        }
        observe(WINDOW.get(DOCUMENT));
        walk();
    }
}

/// Queues what these records of the observer tell of. It is looked at in a task of its own: a page that undoes what is done to
/// it would else never come to an end.
pub fn changed(records: Js) {
    for index in 0..records.length() {
        let record = records.at(index);
        let added = record.get(ADDED_NODES);
        queue_all(added);
        if added.length() == 0 {
            queue(record.get(TARGET));
        }
    }
    walk_later();
}

/// Looks at the elements in the queue and at all in them, a bounded number at a time.
pub fn walk() {
    let click_id = kept_click().unwrap_or(EMPTY);
    let hosts = payment_hosts();
    let mut left = ELEMENTS_MAX;
    if QUEUE.length() > 0 {
        // Whatever is left, also because an element throws; that one is taken out first, and not met again.
        walk_later();
    }
    while QUEUE.length() > 0 && left > 0 {
        left -= 1;
        let node = next();
        let children = node.get(CHILDREN);
        if children.is_truthy() {
            queue_all(children);
            let root = node.get(SHADOW_ROOT);
            if root.is_truthy() {
                observe(root);
            }
            // Without a click there is only what is ours to be emptied.
            if click_id.is_truthy() || node.get(OURS).is_truthy() {
                mark_one(node, hosts, click_id);
            }
        }
    }
    let observer = QUEUE.get(OBSERVER);
    if observer.is_truthy() {
        // What was done here need not be looked at. What the page did before is in the queue: a walk that no timer begins
        // begins with the document.
        observer.call(TAKE_RECORDS, []);
    }
}

/// Takes a node out of the queue, which holds nodes and lists of them, none of these empty.
fn next() -> Js {
    let last = QUEUE.at(QUEUE.length() - 1);
    let mut node = last;
    let is_list = WINDOW.get(ARRAY).call(IS_ARRAY, [last]).is_truthy();
    if is_list {
        node = last.call(POP, []);
    }
    if !is_list || last.length() == 0 {
        QUEUE.call(POP, []);
    }
    node
}

/// `push` would see the arguments that are not given.
fn queue(node: Js) {
    QUEUE.set(QUEUE.get(LENGTH), node);
}

/// A list as one: thousands of nodes, each a few calls, would take long at a time.
fn queue_all(nodes: Js) {
    if nodes.length() > 0 {
        queue(WINDOW.get(ARRAY).call(FROM, [nodes]));
    }
}

fn walk_later() {
    WINDOW.call(SET_TIMEOUT, [on(Step::Grew, UNDEFINED)]);
}

/// An element that the observer knows may have got a root: no record tells of that.
pub fn rooted(root: Js) {
    if QUEUE.get(OBSERVER).is_truthy() {
        queue(root.get(HOST));
        walk_later();
    }
}

fn observe(root: Js) {
    QUEUE.get(OBSERVER).call(OBSERVE, [root, OBSERVED]);
    queue(root);
}

/// Marks what an event is about. With another button than the first, or with a key held, a link may open a tab of its own.
pub fn used(event: Js) {
    let path = event.call(COMPOSED_PATH, []);
    mark_all(path);
    let key = event.get(KEY);
    if key.is_truthy() && !key.is(ENTER) {
        return;
    }
    let opens = event.get(BUTTON).is_truthy() || event.get(CTRL_KEY).is_truthy() || event.get(META_KEY).is_truthy();
    if !opens && !event.get(SHIFT_KEY).is_truthy() {
        return;
    }
    if let Some(click_id) = kept_click() {
        for index in 0..path.length() {
            let link = path.at(index);
            if link.get(LOCAL_NAME).is_truthy() && is_of_this_site(link) {
                mark(link, TRAC_CLICK_ID, click_id);
            }
        }
    }
}

/// Marks what is to be marked among these elements, if the tab has a click.
pub fn mark_all(elements: Js) {
    if let Some(click_id) = kept_click() {
        let hosts = payment_hosts();
        for index in 0..elements.length() {
            mark_one(elements.at(index), hosts, click_id);
        }
    }
}

fn mark_one(element: Js, hosts: Js, click_id: Js) {
    let name = element.get(LOCAL_NAME);
    // An event's path ends with the document and the window.
    if !name.is_truthy() {
        return;
    }
    if name.is(FORM) {
        let link = parsed(element.call(GET_ATTRIBUTE, [ACTION]));
        if is_payment(link, hosts) {
            mark_form(element, click_id);
        }
    } else if name.is(BUY_BUTTON) || name.is(PRICING_TABLE) {
        // As good before the element is defined as after.
        if is_free(element, element.call(GET_ATTRIBUTE, [REFERENCE_ATTRIBUTE]), click_id) {
            let method = if click_id.is_truthy() { SET_ATTRIBUTE } else { REMOVE_ATTRIBUTE };
            element.call(method, [REFERENCE_ATTRIBUTE, click_id]);
            element.set(OURS, click_id);
        }
    } else if is_payment(element, hosts) {
        mark(element, CLIENT_REFERENCE_ID, click_id);
    } else if element.get(ORIGIN).is_truthy() {
        if opens_tab(element) || is_listed(element, listed_hosts(LINK_HOSTS)) {
            mark(element, TRAC_CLICK_ID, click_id);
        }
    } else if name.is(A) {
        // In a drawing: no such link has an origin.
        let link = parsed(element.call(GET_ATTRIBUTE, [HREF]));
        if is_payment(link, hosts) {
            link.set(OURS, element.get(OURS));
            mark(link, CLIENT_REFERENCE_ID, click_id);
            element.call(SET_ATTRIBUTE, [HREF, link.get(HREF)]);
            element.set(OURS, link.get(OURS));
        }
    }
}

/// Whether a link of this site opens a tab, which does not get this one's storage.
fn opens_tab(link: Js) -> bool {
    let target = link.get(TARGET);
    is_of_this_site(link) && (target.is_truthy() && !fits(target, SAME_TAB))
}

/// Whether a link leads to this site, and not to a place in this very page: changed, that would load the page anew.
fn is_of_this_site(link: Js) -> bool {
    let location = WINDOW.get(LOCATION);
    let is_same = |part: Js| link.get(part).is(location.get(part));
    is_same(ORIGIN) && !(link.get(HASH).is_truthy() && is_same(PATHNAME) && is_same(SEARCH))
}

/// A link to the address, parsed by the browser as a form's would be, without an exception for one that is no address.
fn parsed(address: Js) -> Js {
    let link = WINDOW.get(DOCUMENT).call(CREATE_ELEMENT, [A]);
    link.set(HREF, address);
    link
}

/// An element is marked as if its host were listed, an address comes back so marked.
pub fn decorated(given: Js) -> Js {
    let Some(click_id) = kept_click() else {
        return given;
    };
    if given.get(LOCAL_NAME).is_truthy() {
        if given.get(LOCAL_NAME).is(FORM) {
            mark_form(given, click_id);
        } else if given.get(ORIGIN).is_truthy() {
            mark(given, CLIENT_REFERENCE_ID, click_id);
        } else {
            mark_one(given, UNDEFINED, click_id);
        }
        return given;
    }
    let link = parsed(given);
    mark(link, CLIENT_REFERENCE_ID, click_id);
    link.get(HREF)
}

/// Whether a value is nobody's, or ours of an earlier click.
fn is_free(holder: Js, value: Js, click_id: Js) -> bool {
    !value.is_truthy() || (value.is(holder.get(OURS)) && !value.is(click_id))
}

fn mark_form(form: Js, click_id: Js) {
    // Also one that stands elsewhere in the page and belongs to this form.
    let mut field = form.get(ELEMENTS).get(CLIENT_REFERENCE_ID);
    if !field.is_truthy() {
        field = WINDOW.get(DOCUMENT).call(CREATE_ELEMENT, [INPUT]);
        field.set(TYPE, HIDDEN);
        field.set(NAME, CLIENT_REFERENCE_ID);
        form.call(APPEND_CHILD, [field]);
    } else if !field.get(OURS).is_truthy() || !is_free(field, field.get(VALUE), click_id) {
        // The merchant's own, even if it is empty: a visitor may fill it in.
        return;
    }
    field.set(VALUE, click_id);
    field.set(OURS, click_id);
    form.set(OURS, click_id);
    if !click_id.is_truthy() {
        field.call(REMOVE, []);
    }
}

fn payment_hosts() -> Js {
    listed_hosts(PAYMENT_HOSTS)
}

/// The hosts that the tag lists under that name.
fn listed_hosts(name: Js) -> Js {
    let hosts = TAG.get(DATASET).get(name);
    if hosts.is_truthy() { hosts.call(SPLIT, [make(REG_EXP, BETWEEN_HOSTS, UNDEFINED)]) } else { hosts }
}

/// The browser has parsed the link's URL: only the exact host over HTTPS has this origin.
fn is_payment(link: Js, hosts: Js) -> bool {
    link.get(ORIGIN).is(STRIPE_ORIGIN) || is_listed(link, hosts)
}

fn is_listed(element: Js, hosts: Js) -> bool {
    hosts.is_truthy() && hosts.call(INCLUDES, [element.get(HOST)]).is_truthy() && is_trusted_origin(element.get(ORIGIN))
}

fn mark(link: Js, name: Js, click_id: Js) {
    let query = link.get(SEARCH);
    let value = make(URL_SEARCH_PARAMS, query, UNDEFINED).call(GET, [name]);
    // As text: writing all pairs anew would change how the merchant's own are escaped.
    let marked = if value.is(NULL) {
        let mark = if query.is_truthy() { AMPERSAND } else { QUESTION_MARK };
        query.call(CONCAT, [mark, name, EQUALS]).call(CONCAT, [click_id, EMPTY, EMPTY])
    } else if !value.is_truthy() {
        let pattern = PARAMETER_OPEN.call(CONCAT, [name, PARAMETER_EMPTY, EMPTY]);
        let value = BEFORE_IT.call(CONCAT, [EQUALS, click_id, EMPTY]);
        query.call(REPLACE, [make(REG_EXP, pattern, UNDEFINED), value])
    } else if !value.is(link.get(OURS)) || value.is(click_id) {
        return;
    } else if click_id.is_truthy() {
        query.call(REPLACE, [value, click_id])
    } else {
        let pattern = PARAMETER_OPEN.call(CONCAT, [name, PARAMETER_FULL, value]);
        query.call(REPLACE, [make(REG_EXP, pattern, UNDEFINED), EMPTY])
    };
    link.set(SEARCH, marked);
    link.set(OURS, click_id);
}

fn listen(event: Js, step: Step) {
    // Capturing at the window comes before any handler of the page.
    WINDOW.call(ADD_EVENT_LISTENER, [event, on(step, UNDEFINED), TRUE]);
}
