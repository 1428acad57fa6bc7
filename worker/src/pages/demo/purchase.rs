//! What Stripe would make of a purchase: its events, in the shape since 2025-03-31.

use domain::money::Currency;
use domain::time::Instant;
use serde_json::{Value as Json, json};

use crate::app::Random;
use crate::pages::text;

const API_VERSION: &str = "2026-08-26.dahlia";
/// Stripe takes a `client_reference_id` of at most this length.
const REFERENCE_CHARS_MAX: usize = 200;

/// Something the shop sells by a Payment Link.
pub struct Product {
    /// In the link.
    pub slug: &'static str,
    /// On the receipt.
    pub name: &'static str,
    /// The price, in the currency's minor unit.
    pub amount_cents: i64,
    /// Paid again every month.
    pub monthly: bool,
}

/// Bought once.
pub const NOTEBOOK: Product =
    Product { slug: "notebook", name: "The Lane Notebook", amount_cents: 2_400, monthly: false };

/// A subscription.
pub const CLUB: Product = Product { slug: "notebook-club", name: "Notebook Club", amount_cents: 1_800, monthly: true };

impl Product {
    /// The product of a Payment Link.
    pub fn of(slug: &str) -> Option<&'static Self> {
        [&NOTEBOOK, &CLUB].into_iter().find(|product| product.slug == slug)
    }

    /// The price as it is shown.
    pub fn price(&self) -> String {
        text::money(self.amount_cents, Currency::EUR)
    }
}

/// A purchase that was paid.
pub struct Purchase<'a> {
    /// What was bought.
    pub product: &'static Product,
    /// What the link carried.
    pub client_reference_id: Option<&'a str>,
    /// The buyer's address.
    pub email: &'a str,
    /// When.
    pub now: Instant,
}

/// What Stripe sends of a purchase.
pub struct Sent {
    /// `cs_test_…`.
    pub session_id: String,
    /// The events, in the order in which they are sent.
    pub events: Vec<Json>,
}

/// The value of a `client_reference_id` that Stripe takes; anything else it drops without a word.
pub fn taken_reference(given: Option<&str>) -> Option<&str> {
    given.filter(|text| {
        (1..=REFERENCE_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

impl Purchase<'_> {
    /// The events of this purchase: a single payment's session names its payment intent; a subscription's names its
    /// invoice, of which a second event tells.
    pub fn events(&self, random: &dyn Random) -> Sent {
        let id = |prefix: &str| {
            let mut bytes = [0; 12];
            random.fill(&mut bytes);
            format!("{prefix}_{}", hex::encode(bytes))
        };
        let session_id = id("cs_test");
        let mut session = self.session(&session_id);
        let mut events = Vec::new();
        if self.product.monthly {
            let subscription = Subscription { invoice: id("in"), subscription: id("sub"), customer: id("cus") };
            session["invoice"] = json!(subscription.invoice);
            session["subscription"] = json!(subscription.subscription);
            session["customer"] = json!(subscription.customer);
            events.push(self.event(&id("evt"), "checkout.session.completed", session));
            events.push(self.event(&id("evt"), "invoice.paid", self.invoice(&subscription)));
        } else {
            session["payment_intent"] = json!(id("pi"));
            events.push(self.event(&id("evt"), "checkout.session.completed", session));
        }
        Sent { session_id, events }
    }

    fn event(&self, id: &str, kind: &str, object: Json) -> Json {
        json!({
            "id": id, "object": "event", "api_version": API_VERSION, "created": self.now.seconds(),
            "data": {"object": object}, "livemode": false, "pending_webhooks": 1,
            "request": {"id": null, "idempotency_key": null}, "type": kind,
        })
    }

    fn session(&self, id: &str) -> Json {
        json!({
            "id": id, "object": "checkout.session",
            "amount_subtotal": self.product.amount_cents, "amount_total": self.product.amount_cents,
            "client_reference_id": self.client_reference_id,
            "created": self.now.seconds() - 60, "currency": "eur", "customer": null,
            "customer_details": {"email": self.email, "name": null, "address": {"country": "DE"}, "tax_exempt": "none"},
            "customer_email": null, "discounts": [], "invoice": null, "livemode": false, "metadata": {},
            "mode": if self.product.monthly { "subscription" } else { "payment" },
            "payment_intent": null, "payment_method_types": ["card"], "payment_status": "paid", "status": "complete",
            "subscription": null,
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        })
    }

    fn invoice(&self, of: &Subscription) -> Json {
        let amount = self.product.amount_cents;
        json!({
            "id": of.invoice, "object": "invoice",
            "amount_due": amount, "amount_paid": amount, "amount_remaining": 0, "billing_reason": "subscription_create",
            "collection_method": "charge_automatically", "created": self.now.seconds() - 30, "currency": "eur",
            "customer": of.customer, "customer_email": self.email, "discounts": [], "livemode": false, "metadata": {},
            "parent": {
                "type": "subscription_details", "quote_details": null,
                "subscription_details": {"subscription": of.subscription, "metadata": {}},
            },
            "status": "paid",
            "status_transitions": {"finalized_at": self.now.seconds() - 30, "paid_at": self.now.seconds()},
            "subtotal": amount, "total": amount, "total_taxes": [],
        })
    }
}

struct Subscription {
    invoice: String,
    subscription: String,
    customer: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_taken_as_stripe_takes_it() {
        let check = |given: Option<&str>, taken: bool| assert_eq!(taken_reference(given).is_some(), taken, "{given:?}");
        check(Some("0e3f2c1a-7b6d-4e5f-8a9b-0c1d2e3f4a5b"), true);
        check(Some("order_7"), true);
        check(Some(&"x".repeat(200)), true);
        check(Some(&"x".repeat(201)), false);
        check(Some("a b"), false);
        check(Some("<b>"), false);
        check(Some(""), false);
        check(None, false);
    }
}
