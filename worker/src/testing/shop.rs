//! A shop with a partner, a link, a click and a Stripe connection: where the tests of money begin.

use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};

use super::{Answer, Program, World, session_completed};

/// A world with a connection, the link `anna` and a click on it, all of test mode.
pub struct Shop {
    pub world: World,
    pub connection: String,
    pub program: Program,
    pub click_id: String,
}

/// Opens the shop.
pub fn shop() -> Shop {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "anna");
    let connection = world.stripe_connection(&world.keys.sk_test);
    let click_id = world.click(&world.keys.pk_test, "anna");
    world.pass_ms(MINUTE_MS);
    Shop { world, connection, program, click_id }
}

impl Shop {
    pub fn send(&self, event: &Json) -> Answer {
        self.world.stripe(&self.connection, event)
    }

    /// Sends, and processes what was queued.
    #[track_caller]
    pub fn take(&self, event: &Json) -> Answer {
        let answer = self.send(event);
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.world.deliver();
        answer
    }

    pub fn data(&self, path: &str) -> Vec<Json> {
        self.world.pass_ms(1);
        let answer = self.world.api(&format!("GET /api/v1/{path}"), json!(null));
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        answer.body["data"].as_array().unwrap().clone()
    }

    /// Each Stripe event's fate: `processed`, or `ignored: why`.
    pub fn fates(&self) -> Vec<String> {
        self.data("stripe-events")
            .iter()
            .map(|event| match event["reason"].as_str() {
                Some(reason) => format!("{}: {reason}", event["outcome"].as_str().unwrap()),
                None => event["outcome"].as_str().unwrap().to_owned(),
            })
            .collect()
    }

    /// One line that says all: each conversion with its source, amount and reason, and each commission with its entries.
    pub fn books(&self) -> String {
        let mut lines = Vec::new();
        for c in self.data("conversions") {
            lines.push(format!("{} {} {}", c["source"], c["amount_cents"], c["attribution"]["reason"]));
        }
        for c in self.data("commissions") {
            let entries: Vec<String> = c["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| format!("{} {}", e["kind"], e["amount_cents"]))
                .collect();
            lines.push(format!("{} {} [{}]", c["amount_cents"], c["state"], entries.join(", ")));
        }
        lines.join("; ").replace('"', "")
    }

    /// Wipes what was sold, and keeps the program, its click and the connection: a new shop, for less.
    pub fn wipe(&self) {
        for sql in [
            "DELETE FROM events WHERE type NOT LIKE 'participant.%'",
            "DELETE FROM entries",
            "DELETE FROM commissions",
            "DELETE FROM decisions",
            "DELETE FROM fraud_alerts",
            "DELETE FROM refunds",
            "DELETE FROM customer_keys",
            "DELETE FROM customers",
            "DELETE FROM awaited_codes",
            "DELETE FROM conversions",
            "DELETE FROM facts",
            "DELETE FROM family_keys",
            "DELETE FROM families",
            "DELETE FROM stripe_bodies",
            "DELETE FROM stripe_events",
        ] {
            self.world.db.execute(sql).unwrap();
        }
        // So that no limit is reached.
        self.world.pass_ms(2_000);
    }

    pub fn now_s(&self) -> i64 {
        self.world.now().seconds()
    }

    pub fn hint(&self) -> Json {
        json!({"client_reference_id": self.click_id})
    }

    /// `checkout.session.completed` of a subscription that names its invoice or not.
    pub fn subscription_session(&self, invoice: Option<&str>) -> Json {
        let more = json!({"mode": "subscription", "payment_intent": null, "subscription": "sub_1", "invoice": invoice,
            "customer": "cus_1", "client_reference_id": self.click_id});
        session_completed("1", self.now_s(), more)
    }
}

/// All orders of `items`.
pub fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for place in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(place);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}
