//! Commissions and payouts.

use domain::ids;
use domain::payout::PayoutStatus;
use domain::status::CommissionState;

use super::super::cell::Kind;
use super::super::form::{Field, Form, Takes};
use super::super::resource::{self as of, Act, Filter, Resource, by_id, by_word, column, is_id};

pub const ALL: &[&Resource] = &[&COMMISSIONS, &REVIEW, &PAYOUTS];

const ACTS: &[Act] = &[
    Act {
        verb: "approve",
        label: "Approve",
        when: |one| one["state"] == "pending" || one["state"] == "rejected",
        form: None,
        fills: false,
        done: "The commission is approved and will be part of the next payout.",
        undo: None,
        is_grave: false,
    },
    Act {
        verb: "reject",
        label: "Reject",
        when: |one| one["state"] == "pending" || one["state"] == "approved",
        form: Some(&Form {
            title: "Reject the commission?",
            lead: "The partner sees that it was rejected, and the reason. You can approve it again as long as nothing was paid.",
            fields: &[Field { name: "reason", label: "Reason", hint: "The partner reads it.", takes: Takes::Lines }],
            submit: "Reject",
        }),
        fills: false,
        done: "The commission is rejected.",
        // To approve it would end its hold and its review, which is more than to take this back.
        undo: None,
        is_grave: true,
    },
    Act {
        verb: "bonus",
        label: "Add a bonus",
        when: |one| one["state"] == "pending" || one["state"] == "approved",
        form: Some(&Form {
            title: "Add a bonus to the commission",
            lead: "An entry more, in the commission\u{2019}s currency. It is never taken back, also if the sale is refunded.",
            fields: &[
                Field {
                    name: "amount_cents",
                    label: "Amount, in the currency\u{2019}s minor unit",
                    hint: "500 is 5.00 EUR and 500 JPY.",
                    takes: Takes::Number,
                },
                Field { name: "reason", label: "Reason", hint: "The partner reads it.", takes: Takes::Lines },
                Field { name: "act_id", label: "", hint: "", takes: Takes::Act },
            ],
            submit: "Add the bonus",
        }),
        fills: false,
        done: "The bonus is added.",
        undo: None,
        is_grave: false,
    },
];

const FILTERS: &[Filter] = &[
    by_word("state", "State", CommissionState::WORDS),
    Filter { name: "needs_review", label: "Review", takes: of::Takes::Flag("waits for a person", "needs none") },
    by_id("participant_id", "Participant"),
    by_id("program_id", "Program"),
    by_id("conversion_id", "Conversion"),
];

const COLUMNS: &[of::Column] = &[
    column("Commission", "/id", Kind::Own),
    column("Participant", "/participant_id", Kind::Participant),
    column("Amount", "/amount_cents", Kind::Money),
    column("State", "/state", Kind::State),
    column("Review", "/review_reasons", Kind::Words),
    column("Disputed", "/disputed", Kind::Flag("disputed")),
    column("Held until", "/hold_until", Kind::Moment),
];

// The page of a commission is one of its own; these are the columns of its file.
const FACTS: &[of::Column] = &[
    column("Participant", "/participant_id", Kind::Participant),
    column("Program", "/program_id", Kind::Program),
    column("Conversion", "/conversion_id", Kind::Page("conversions")),
    column("Amount", "/amount_cents", Kind::Money),
    column("State", "/state", Kind::State),
    column("Waits for review because of", "/review_reasons", Kind::Words),
    column("Disputed", "/disputed", Kind::Flag("disputed")),
    column("Held until", "/hold_until", Kind::Moment),
    column("Reward version", "/reward_version", Kind::Text),
    column("Entries", "/entries", Kind::Text),
    column("Made", "/created_at", Kind::Moment),
];

static COMMISSIONS: Resource = Resource {
    path: "commissions",
    api: "/commissions",
    is_id: is_id::<ids::Commission>,
    title: "Commissions",
    one: "Commission",
    lead: "What partners earn: one for each credited conversion. Its amount is the sum of entries that are never changed.",
    filters: FILTERS,
    columns: COLUMNS,
    empty: (
        "No commission yet: one comes with each conversion that is credited and rewarded.",
        Some(("conversions", "To the conversions")),
    ),
    facts: FACTS,
    related: &[],
    create: None,
    edit: None,
    acts: ACTS,
    in_list: &["approve", "reject"],
    csv: true,
    nav: "commissions",
};

static REVIEW: Resource = Resource {
    path: "review",
    api: "/commissions?needs_review=true&state=pending",
    is_id: is_id::<ids::Commission>,
    title: "Review queue",
    one: "Commission",
    lead: "Commissions that wait for a person, with the reason.",
    filters: &[],
    columns: COLUMNS,
    empty: ("Nothing waits for you.", Some(("commissions", "All commissions"))),
    facts: FACTS,
    related: &[],
    create: None,
    edit: None,
    acts: ACTS,
    in_list: &["approve", "reject"],
    csv: false,
    nav: "review",
};

static PAYOUTS: Resource = Resource {
    path: "payouts",
    api: "/payouts",
    is_id: is_id::<ids::Payout>,
    title: "Payouts",
    one: "Payout",
    lead: "Draft payouts from what is approved, export them for your bank, and mark them as paid. Test data is never paid out.",
    filters: &[by_word("status", "Status", PayoutStatus::WORDS), by_id("participant_id", "Participant")],
    columns: &[
        column("Payout", "/id", Kind::Own),
        column("Participant", "/participant_id", Kind::Participant),
        column("Amount", "/amount_cents", Kind::Money),
        column("Status", "/status", Kind::State),
        column("Drafted", "/created_at", Kind::Moment),
        column("Paid", "/paid_at", Kind::Moment),
    ],
    empty: (
        "No payout yet. Drafts are made of approved commissions, in live mode.",
        Some(("payouts/new", "Draft payouts")),
    ),
    facts: &[
        column("Participant", "/participant_id", Kind::Participant),
        column("Program", "/program_id", Kind::Program),
        column("Amount", "/amount_cents", Kind::Money),
        column("Status", "/status", Kind::State),
        column("Entries", "/entries", Kind::Text),
        column("Drafted", "/created_at", Kind::Moment),
        column("Paid", "/paid_at", Kind::Moment),
        column("Canceled", "/canceled_at", Kind::Moment),
    ],
    related: &[],
    create: Some(&Form {
        title: "Draft payouts",
        lead: "One draft for each participant and currency with at least the program\u{2019}s smallest payout. Nothing is paid by this.",
        fields: &[Field { name: "program_id", label: "Program", hint: "", takes: Takes::Program }],
        submit: "Draft",
    }),
    edit: None,
    acts: &[
        Act {
            verb: "pay",
            label: "Mark as paid",
            when: |payout| payout["status"] == "draft",
            form: Some(&Form {
                title: "Mark the payout as paid?",
                lead: "Say so once the money has left: the commissions become paid, the partner is told, and it cannot be undone.",
                fields: &[Field {
                    name: "reason",
                    label: "Note",
                    hint: "Such as the transfer\u{2019}s reference. Optional.",
                    takes: Takes::Line(""),
                }],
                submit: "It is paid",
            }),
            fills: false,
            done: "The payout is marked as paid.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "cancel",
            label: "Cancel",
            when: |payout| payout["status"] == "draft",
            form: Some(&Form {
                title: "Cancel the payout?",
                lead: "Its entries become part of the next draft. A canceled payout stays canceled.",
                fields: &[Field { name: "reason", label: "Note", hint: "Optional.", takes: Takes::Line("") }],
                submit: "Cancel the payout",
            }),
            fills: false,
            done: "The payout is canceled; its entries are free for the next one.",
            undo: None,
            is_grave: true,
        },
    ],
    in_list: &["pay", "cancel"],
    csv: true,
    nav: "payouts",
};
