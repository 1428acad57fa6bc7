//! What the page can make Rust do: one export with a number for each step, so that the page's callbacks need neither
//! a closure in Rust nor glue of their own.

use crate::page::Js;
use crate::words::*;
use crate::{arrival, asking, payment_links};
use wasm_bindgen::prelude::*;

/// A step.
#[derive(Clone, Copy)]
#[repr(i32)]
pub enum Step {
    /// The script was loaded. `js/selgeo.js` knows that this is step 0.
    Start,
    /// The head of an answer is there; the value is a `Response`.
    Answered,
    /// The body of an answer is there; the value is what it says, the extra the address that was asked for.
    Registered,
    /// A request failed; the value says why, the extra is the address that was asked for.
    Failed,
    /// The page may have another address.
    Moved,
    /// The browser is online again.
    Online,
    /// The document has more links than before.
    Grown,
    /// An element has got a shadow root, the value.
    Rooted,
    /// Someone uses a part of the page; the value is the event.
    Used,
    /// The observer saw something; the value is its records.
    Changed,
    /// There may be elements in the queue.
    Grew,
    /// The page wants to know the click; the value is its function.
    Wanted,
    /// The click is there; the extra is a function that waits for it.
    Due,
    /// The page wants something marked; the value is it.
    Decorate,
    /// The visitor has agreed or refused; the value says which.
    Consent,
    /// The page reports a lead, the value.
    #[cfg(feature = "trac")]
    Lead,
    /// What lasts in the browser's storage is wanted.
    #[cfg(feature = "trac")]
    Recall,
    /// What lasts in the cookie is wanted.
    #[cfg(feature = "trac")]
    RecallCookie,
    /// The click is to last in the browser's storage.
    #[cfg(feature = "trac")]
    Persist,
    /// The click is to last in the cookie.
    #[cfg(feature = "trac")]
    PersistCookie,
    /// The browser's storage is to forget.
    #[cfg(feature = "trac")]
    Forget,
    /// The cookie is to go.
    #[cfg(feature = "trac")]
    ForgetCookie,
}

/// Runs a step. What it returns is what the page's callback returns.
#[wasm_bindgen]
pub fn run(step: i32, extra: i32, value: i32) -> i32 {
    let (extra, value) = (Js(extra), Js(value));
    const START: i32 = Step::Start as i32;
    const ANSWERED: i32 = Step::Answered as i32;
    const REGISTERED: i32 = Step::Registered as i32;
    const FAILED: i32 = Step::Failed as i32;
    const MOVED: i32 = Step::Moved as i32;
    const BACK_ONLINE: i32 = Step::Online as i32;
    const GROWN: i32 = Step::Grown as i32;
    const ROOTED: i32 = Step::Rooted as i32;
    const USED: i32 = Step::Used as i32;
    const CHANGED: i32 = Step::Changed as i32;
    const GREW: i32 = Step::Grew as i32;
    const WANTED: i32 = Step::Wanted as i32;
    const DUE: i32 = Step::Due as i32;
    const DECORATED: i32 = Step::Decorate as i32;
    const CONSENTED: i32 = Step::Consent as i32;
    #[cfg(feature = "trac")]
    if let Some(done) = run_of_trac(step, value) {
        return done.0;
    }
    match step {
        START => arrival::start(),
        ANSWERED => return value.call(JSON_METHOD, []).0,
        REGISTERED => asking::registered(extra, value),
        FAILED => asking::failed(extra, value),
        MOVED => arrival::arrived(),
        BACK_ONLINE => arrival::online(),
        GROWN => payment_links::mark_document(),
        ROOTED => payment_links::rooted(value),
        USED => payment_links::used(value),
        CHANGED => payment_links::changed(value),
        WANTED => asking::wanted(value),
        DUE => asking::wanted(extra),
        DECORATED => return payment_links::decorated(value).0,
        CONSENTED => arrival::consent(value),
        GREW => payment_links::walk(),
        _ => {}
    }
    UNDEFINED.0
}

/// The steps that only `trac.js` knows.
#[cfg(feature = "trac")]
#[inline(always)] // An `Option` that is really returned would need memory.
fn run_of_trac(step: i32, value: Js) -> Option<Js> {
    use crate::{leads, persistent};
    const LEAD: i32 = Step::Lead as i32;
    const RECALL: i32 = Step::Recall as i32;
    const RECALL_COOKIE: i32 = Step::RecallCookie as i32;
    const PERSIST: i32 = Step::Persist as i32;
    const PERSIST_COOKIE: i32 = Step::PersistCookie as i32;
    const FORGET: i32 = Step::Forget as i32;
    const FORGET_COOKIE: i32 = Step::ForgetCookie as i32;
    match step {
        LEAD => return Some(leads::lead(value)),
        RECALL => return Some(persistent::recall()),
        RECALL_COOKIE => return Some(persistent::recall_cookie()),
        PERSIST => persistent::write(),
        PERSIST_COOKIE => persistent::write_cookie(),
        FORGET => persistent::clear(),
        FORGET_COOKIE => persistent::clear_cookie(),
        _ => return None,
    }
    Some(UNDEFINED)
}
