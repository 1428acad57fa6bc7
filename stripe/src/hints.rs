//! Who is to be credited, as a session, an invoice and the metadata around them say it.
//!
//! Nothing is judged here: values are only brought into one form, in the order in which they are to be tried.

use domain::fact::{ClickMention, ClickSource, Hints};

use crate::shape::Shape;

/// The most values kept of each kind; Stripe allows 20 discounts.
pub(crate) const HINTS_MAX: usize = 20;
/// The longest id that a merchant may give a customer.
const CUSTOMER_EXTERNAL_ID_CHARS_MAX: usize = 255;

/// What a checkout session says.
pub(crate) fn of_session(session: Shape<'_>) -> Hints {
    let mut found = Found::default();
    found.metadata(session.at("metadata"));
    found.click(ClickSource::ClientReferenceId, session.text("client_reference_id"));
    // Objects that hang on the session speak for themselves in their own events; here they can only opt out.
    for path in ["subscription.metadata", "invoice.metadata", "customer.metadata"] {
        found.opt_out(session.at(path));
    }
    for discount in session.items("discounts") {
        found.discount(discount);
    }
    for share in session.items("total_details.breakdown.discounts") {
        found.discount(share.at("discount"));
    }
    found.hints()
}

/// What an invoice says: its own metadata first, then its subscription's, from the new place, the old one, or the
/// expanded subscription.
pub(crate) fn of_invoice(invoice: Shape<'_>) -> Hints {
    let mut found = Found::default();
    for path in [
        "metadata",
        "parent.subscription_details.metadata",
        "subscription_details.metadata",
        "parent.subscription_details.subscription.metadata",
        "subscription.metadata",
    ] {
        found.metadata(invoice.at(path));
    }
    found.opt_out(invoice.at("customer.metadata"));
    for discount in invoice.items("discounts") {
        found.discount(discount);
    }
    found.discount(invoice.at("discount"));
    // Names the discounts of single lines too.
    for share in invoice.items("total_discount_amounts") {
        found.discount(share.at("discount"));
    }
    found.hints()
}

#[derive(Default)]
struct Found {
    hints: Hints,
    /// Discounts that came expanded: their promotion code, or that they have none, is told.
    told: Vec<String>,
}

impl Found {
    fn metadata(&mut self, metadata: Shape<'_>) {
        self.click(ClickSource::AffClickId, metadata.text("aff_click_id"));
        self.click(ClickSource::TracClickId, metadata.text("tracClickId"));
        self.opt_out(metadata);
        if self.hints.customer_external_id.is_none() {
            let id = metadata.text("tracCustomerExternalId").map(str::trim);
            self.hints.customer_external_id = id
                .filter(|id| !id.is_empty() && id.chars().count() <= CUSTOMER_EXTERNAL_ID_CHARS_MAX)
                .map(str::to_owned);
        }
    }

    fn opt_out(&mut self, metadata: Shape<'_>) {
        self.hints.opted_out |= metadata.text("selgeo").is_some_and(|text| text.trim().eq_ignore_ascii_case("false"));
    }

    /// A click id that stands in several places is tried once, at its first.
    fn click(&mut self, source: ClickSource, value: Option<&str>) {
        let Some(click_id) = value.filter(|text| is_uuid(text)).map(str::to_ascii_lowercase) else {
            return;
        };
        let clicks = &mut self.hints.clicks;
        if clicks.len() < HINTS_MAX && clicks.iter().all(|mention| mention.click_id != click_id) {
            clicks.push(ClickMention { source, click_id });
        }
    }

    /// A discount: an id, an expanded discount, or a session's pair of coupon and promotion code.
    fn discount(&mut self, discount: Shape<'_>) {
        let id = discount.as_id();
        if discount.knows("promotion_code") {
            if let Some(id) = id {
                keep(&mut self.told, id);
            }
            if let Some(promotion_code) = discount.id("promotion_code") {
                keep(&mut self.hints.promotion_codes, promotion_code);
            }
        } else if let Some(id) = id {
            keep(&mut self.hints.discounts, id);
        }
    }

    fn hints(mut self) -> Hints {
        self.hints.discounts.retain(|id| !self.told.contains(id));
        self.hints
    }
}

fn keep(list: &mut Vec<String>, id: String) {
    if list.len() < HINTS_MAX && !list.contains(&id) {
        list.push(id);
    }
}

/// Any UUID text: 8-4-4-4-12 hexadecimal digits in either case.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
