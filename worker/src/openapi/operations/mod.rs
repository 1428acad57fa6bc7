//! The table of operations. Each stands in the order in which its page shows it; a test holds the table against the routes.

mod browser;
mod money;
mod people;
mod programs;
mod sales;
mod stripe;
mod webhooks;
mod workspace;

use super::operation::Operation;

/// Every operation.
pub fn all() -> Vec<Operation> {
    [
        browser::all(),
        sales::all(),
        programs::all(),
        people::all(),
        money::all(),
        stripe::all(),
        webhooks::all(),
        workspace::all(),
    ]
    .concat()
}

/// The tags, with a sentence about each.
pub const TAGS: [(&str, &str); 23] = [
    ("Clicks", "A visitor comes by a partner's link."),
    ("Conversions", "What a merchant's server reports, and what became of it."),
    ("Traaaction's surface", "Leads and sales as clients of Traaaction report them."),
    ("Attribution", "Every decision, with what it looked at and why."),
    ("Refunds", "Refunds and disputes, of the Conversion API and of Stripe."),
    ("Customers", "Who bought, and which participant won them."),
    ("Fraud alerts", "What the fraud rules found remarkable."),
    ("Programs", "Partner programs and their settings."),
    ("Rewards", "What participants earn. A change is a new version from now on."),
    ("Links", "Where partners send visitors."),
    ("Promo codes", "Codes that credit a participant."),
    ("Hosts", "Where links may land, and whose pages may register clicks without a key."),
    ("Partners", "People who promote."),
    ("Participants", "Partners' memberships of programs."),
    ("Invites", "Asking somebody to join a program."),
    ("Questions", "\"Why was this not credited?\", asked by partners."),
    ("Commissions", "What is earned, entry by entry."),
    ("Payouts", "What is settled together."),
    ("Stripe", "Connections, and the log of what came by them."),
    ("Webhooks", "Where events are sent, and what came of it."),
    ("Events", "The outbox: what happened, in order."),
    ("Workspace", "The workspace, its members and its keys."),
    ("Service", "Scripts, this description, and whether the service is up."),
];
