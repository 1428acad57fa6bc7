//! The shapes that are checked before anything is done with a value.

use crate::page::{Js, make};
use crate::words::*;

/// Where the tab's click is kept.
pub fn store() -> Js {
    SELGEO.get(STORE)
}

/// Whether the visitor has not refused, and has agreed where the tag says to wait for that.
pub fn is_allowed() -> bool {
    let given = SELGEO.get(ALLOWED);
    given.is_truthy() || (given.is(UNDEFINED) && !TAG.get(DATASET).get(CONSENT).is(WAIT))
}

/// The click that this tab keeps, if it is one.
#[inline(always)] // An `Option` that is really returned would need memory.
pub fn kept_click() -> Option<Js> {
    let id = store().get(CID);
    (is_allowed() && is_click_id(id)).then_some(id)
}

/// The ref that an address's parameters name, if they do.
pub fn reference(parameters: Js) -> Js {
    #[cfg(feature = "trac")]
    {
        let via = parameters.call(GET, [VIA]);
        if via.is_truthy() {
            return via;
        }
    }
    parameters.call(GET, [REF])
}

/// What an address's parameters hand over; it may be no click's id.
pub fn handed_over(parameters: Js) -> Js {
    let id = parameters.call(GET, [TRAC_CLICK_ID]);
    #[cfg(feature = "trac")]
    {
        let other = parameters.call(GET, [TRAC_ID]);
        if !is_click_id(id) && is_click_id(other) {
            return other;
        }
        if !is_click_id(id) {
            return parameters.call(GET, [CLK_ID]);
        }
    }
    id
}

/// Whether the click that is kept stays, whatever comes after it.
pub fn keeps_first() -> bool {
    #[cfg(feature = "trac")]
    return !TAG.get(DATASET).get(ATTRIBUTION_MODEL).is(LAST_CLICK) && kept_click().is_some();
    #[cfg(not(feature = "trac"))]
    false
}

/// Whether the value is a UUID as text. Stripe drops other things in a `client_reference_id` without a word, or
/// keeps them for good.
pub fn is_click_id(value: Js) -> bool {
    fits(value, UUID)
}

/// Whether the value looks like a merchant's public key. Which keys there are is the server's business.
pub fn is_public_key(value: Js) -> bool {
    fits(value, PUBLIC_KEY)
}

/// Whether the origin is one of HTTPS, or of this machine.
pub fn is_trusted_origin(value: Js) -> bool {
    fits(value, TRUSTED_ORIGIN)
}

/// Whether the value matches the pattern.
pub fn fits(value: Js, pattern: Js) -> bool {
    make(REG_EXP, pattern, UNDEFINED).call(TEST, [value]).is_truthy()
}
