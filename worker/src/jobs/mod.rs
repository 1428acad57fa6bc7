//! What happens after an answer: messages on the queue, and the sweeps that find whatever a lost message left behind.

use serde::{Deserialize, Serialize};

/// A message on the queue. Delivered at least once, in any order; losing one only costs time until the next sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// A stored Stripe event waits to be processed.
    StripeEvent {
        /// Our id of the event.
        id: String,
    },
}
