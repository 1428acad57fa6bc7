//! What came in and what was decided on it.

use domain::attribution::Reason;
use domain::click_id::ClickId;
use domain::fraud::Rule;
use domain::ids;
use domain::sale::{ConversionStatus, Source};
use serde_json::Value as Json;

use super::super::cell::Kind;
use super::super::form::{Field, Form, Takes};
use super::super::resource::{self as of, Act, Filter, Resource, by_day, by_id, by_text, by_word, column, is_id};

pub const ALL: &[&Resource] = &[&CONVERSIONS, &DECISIONS, &CLICKS, &CUSTOMERS, &REFUNDS, &FRAUD_ALERTS];

const SINCE: Filter = by_day("from", "From");
const UNTIL: Filter = by_day("to", "Before");

static CONVERSIONS: Resource = Resource {
    path: "conversions",
    api: "/conversions",
    is_id: is_id::<ids::Conversion>,
    title: "Conversions",
    one: "Conversion",
    lead: "Every qualifying event that was reported or came from Stripe, credited or not.",
    filters: &[
        by_text("external_transaction_id", "Transaction", "order-1001"),
        by_word("status", "Status", ConversionStatus::WORDS),
        by_word("source", "Source", Source::WORDS),
        SINCE,
        UNTIL,
        by_id("participant_id", "Participant"),
        by_id("program_id", "Program"),
    ],
    columns: &[
        column("Conversion", "/id", Kind::Own),
        column("Event", "/event_type", Kind::Text),
        column("Amount", "/amount_cents", Kind::Money),
        column("Credited to", "/attribution/participant_id", Kind::Participant),
        column("Why", "/attribution/reason", Kind::State),
        column("Status", "/status", Kind::State),
        column("Happened", "/occurred_at", Kind::Moment),
    ],
    empty: (
        "No conversion yet. They come from Stripe, or from your server by the Conversion API.",
        Some(("checklist", "What is still to be set up")),
    ),
    // The page of a conversion is a story of its own.
    facts: &[column("Transaction", "/external_transaction_id", Kind::Id)],
    related: &[],
    create: None,
    edit: None,
    acts: &[Act {
        verb: "attribute",
        label: "Credit by hand",
        when: |conversion| conversion["status"] != "merged" && conversion["attribution"]["participant_id"].is_null(),
        form: Some(&Form {
            title: "Credit a participant by hand",
            lead: "Nobody is credited for it yet. It is recorded as your act, with the reason, and the commission follows.",
            fields: &[
                Field {
                    name: "participant_id",
                    label: "Participant",
                    hint: "Who is approved. Of very many, their id, ppt_…: the search finds them by name.",
                    takes: Takes::Participant,
                },
                Field { name: "reason", label: "Reason", hint: "Kept with the decision.", takes: Takes::Lines },
            ],
            submit: "Credit",
        }),
        fills: false,
        done: "Credited by hand.",
        undo: None,
        is_grave: false,
    }],
    in_list: &[],
    csv: true,
    nav: "conversions",
};

static DECISIONS: Resource = Resource {
    path: "attribution-audit",
    api: "/attribution-audit",
    is_id: is_id::<ids::Conversion>,
    title: "Decisions",
    one: "Decision",
    lead: "Every attribution that was decided, with its reason. None is ever changed; a new one takes an old one\u{2019}s place.",
    filters: &[
        by_text("external_transaction_id", "Transaction", "order-1001"),
        by_word("reason", "Reason", Reason::WORDS),
        SINCE,
        UNTIL,
        by_id("participant_id", "Participant"),
        by_id("conversion_id", "Conversion"),
    ],
    columns: &[
        column("Decision", "/id", Kind::Id),
        column("Conversion", "/conversion_id", Kind::Page("conversions")),
        column("Transaction", "/external_transaction_id", Kind::Id),
        column("Status", "/status", Kind::State),
        column("Reason", "/reason", Kind::State),
        column("Credited to", "/participant_id", Kind::Participant),
        column("Decided", "/created_at", Kind::Moment),
    ],
    empty: (
        "Nothing was decided yet: a decision comes with each conversion.",
        Some(("conversions", "To the conversions")),
    ),
    facts: &[],
    related: &[],
    create: None,
    edit: None,
    acts: &[],
    in_list: &[],
    csv: true,
    nav: "attribution-audit",
};

static CLICKS: Resource = Resource {
    path: "clicks",
    api: "/clicks",
    is_id: |text| ClickId::parse(text).is_some(),
    title: "Clicks",
    one: "Click",
    lead: "Who came by a link. A click counts for its sale even where its record is missing: its id proves itself.",
    filters: &[
        Filter { name: "human", label: "By", takes: of::Takes::Flag("people", "robots") },
        SINCE,
        UNTIL,
        by_id("link_id", "Link"),
        by_id("participant_id", "Participant"),
    ],
    columns: &[
        column("Click", "/id", Kind::Own),
        column("Participant", "/participant_id", Kind::Participant),
        column("Page", "/url", Kind::Text),
        column("From", "/referrer", Kind::Text),
        column("Country", "/country", Kind::Text),
        column("Signs", "/flags", Kind::Words),
        column("When", "/created_at", Kind::Moment),
    ],
    empty: (
        "No click yet. Put the snippet on your pages, and open one of the links.",
        Some(("checklist", "How to set it up")),
    ),
    facts: &[
        column("When", "/created_at", Kind::Moment),
        column("Participant", "/participant_id", Kind::Participant),
        column("Link", "/link_id", Kind::Page("links")),
        column("Page", "/url", Kind::Text),
        column("From", "/referrer", Kind::Text),
        column("By a person", "/human", Kind::Text),
        column("Signs", "/flags", Kind::Words),
        column("Device", "/device", Kind::Text),
        column("Browser", "/browser", Kind::Text),
        column("Country", "/country", Kind::Text),
        column("Request", "/request_id", Kind::Id),
    ],
    related: &[],
    create: None,
    edit: None,
    acts: &[],
    in_list: &[],
    csv: true,
    nav: "clicks",
};

static CUSTOMERS: Resource = Resource {
    path: "customers",
    api: "/customers",
    is_id: is_id::<ids::Customer>,
    title: "Customers",
    one: "Customer",
    lead: "Whom a customer is bound to. No name or address is kept, only your and Stripe\u{2019}s ids.",
    filters: &[by_text("external_id", "Your id", "user-42"), by_text("stripe_customer_id", "Stripe id", "cus_…")],
    columns: &[
        column("Customer", "/id", Kind::Own),
        column("Your id", "/external_id", Kind::Id),
        column("Stripe id", "/stripe_customer_id", Kind::Id),
        column("Bound to", "/participant_id", Kind::Participant),
        column("Purchases", "/purchases", Kind::Text),
        column("Since", "/created_at", Kind::Moment),
    ],
    empty: ("No customer yet: they come with conversions that name one.", None),
    facts: &[
        column("Your id", "/external_id", Kind::Id),
        column("Stripe id", "/stripe_customer_id", Kind::Id),
        column("Bound to", "/participant_id", Kind::Participant),
        column("Bound by", "/bound_by", Kind::Page("conversions")),
        column("Bound at", "/bound_at", Kind::Moment),
        column("Purchases", "/purchases", Kind::Text),
        column("Since", "/created_at", Kind::Moment),
    ],
    related: &[],
    create: None,
    edit: None,
    acts: &[],
    in_list: &[],
    csv: true,
    nav: "customers",
};

static REFUNDS: Resource = Resource {
    path: "refunds",
    api: "/refunds",
    // One that was reported is listed under its fact's id.
    is_id: |text| is_id::<ids::Refund>(text) || is_id::<ids::Fact>(text),
    title: "Refunds and disputes",
    one: "Refund",
    lead: "What went back. One that belongs to no known sale waits here until the sale comes, or until you match it.",
    filters: &[
        Filter { name: "matched", label: "Belongs to a sale", takes: of::Takes::Flag("yes", "not yet") },
        by_word("kind", "Kind", &["refund", "dispute"]),
        by_id("conversion_id", "Conversion"),
    ],
    columns: &[
        column("Refund", "/id", Kind::Own),
        column("Kind", "/kind", Kind::State),
        column("Amount", "/amount_cents", Kind::Money),
        column("Conversion", "/conversion_id", Kind::Page("conversions")),
        column("Status", "/status", Kind::State),
        column("When", "/created_at", Kind::Moment),
    ],
    empty: ("Nothing went back.", None),
    facts: &[
        column("Kind", "/kind", Kind::State),
        column("Amount", "/amount_cents", Kind::Money),
        column("Conversion", "/conversion_id", Kind::Page("conversions")),
        column("Your refund id", "/external_refund_id", Kind::Id),
        column("Of the sale", "/sale_key", Kind::Id),
        column("Source", "/source", Kind::State),
        column("Status", "/status", Kind::State),
        column("When", "/created_at", Kind::Moment),
    ],
    related: &[],
    create: None,
    edit: None,
    acts: &[Act {
        verb: "match",
        label: "Match with a sale",
        when: |refund| refund["conversion_id"].is_null(),
        form: Some(&Form {
            title: "Match the refund with a sale",
            lead: "The refund then counts against this conversion, and its commission is corrected. It cannot be undone.",
            fields: &[
                Field {
                    name: "conversion_id",
                    label: "Conversion",
                    hint: "The conversion\u{2019}s id, conv_…",
                    takes: Takes::Line("conv_…"),
                },
                Field { name: "reason", label: "Reason", hint: "Kept with your act.", takes: Takes::Lines },
            ],
            submit: "Match",
        }),
        fills: false,
        done: "The refund is matched, and the commission corrected.",
        undo: None,
        is_grave: false,
    }],
    in_list: &["match"],
    csv: true,
    nav: "refunds",
};

static FRAUD_ALERTS: Resource = Resource {
    path: "fraud-alerts",
    api: "/fraud-alerts",
    is_id: is_id::<ids::FraudAlert>,
    title: "Fraud alerts",
    one: "Fraud alert",
    lead: "What a program\u{2019}s rules found odd. An alert alone changes nothing.",
    filters: &[
        by_word("status", "Status", &["open", "dismissed"]),
        by_word("rule", "Rule", Rule::WORDS),
        by_id("participant_id", "Participant"),
        by_id("conversion_id", "Conversion"),
    ],
    columns: &[
        column("Rule", "/rule", Kind::State),
        column("What it means", "/explanation", Kind::Text),
        column("Participant", "/participant_id", Kind::Participant),
        column("Conversion", "/conversion_id", Kind::Page("conversions")),
        column("Response", "/response", Kind::State),
        column("Status", "/status", Kind::State),
        column("When", "/created_at", Kind::Moment),
    ],
    empty: ("No alert. Each program says in its settings what it looks for.", Some(("programs", "To the programs"))),
    facts: &[
        column("Rule", "/rule", Kind::State),
        column("What it means", "/explanation", Kind::Text),
        column("Participant", "/participant_id", Kind::Participant),
        column("Conversion", "/conversion_id", Kind::Page("conversions")),
        column("Response", "/response", Kind::State),
        column("Status", "/status", Kind::State),
        column("When", "/created_at", Kind::Moment),
    ],
    related: &[],
    create: None,
    edit: None,
    acts: &[Act {
        verb: "dismiss",
        label: "Dismiss",
        when: |alert: &Json| alert["status"] == "open",
        form: Some(&Form {
            title: "Dismiss the alert?",
            lead: "It says that you looked at it and found nothing wrong. It stays in the list as dismissed.",
            fields: &[Field { name: "reason", label: "Reason", hint: "Kept with your act.", takes: Takes::Lines }],
            submit: "Dismiss",
        }),
        fills: false,
        done: "The alert is dismissed.",
        undo: None,
        is_grave: false,
    }],
    in_list: &["dismiss"],
    csv: true,
    nav: "fraud-alerts",
};
