//! Invites, and what partners ask.

use domain::ids;
use domain::partner::{InviteStatus, QuestionStatus};

use super::super::cell::Kind;
use super::super::form::{Field, Form, Takes};
use super::super::resource::{Act, Related, Resource, by_id, by_word, column, is_id};

pub const ALL: &[&Resource] = &[&INVITES, &QUESTIONS];

static INVITES: Resource = Resource {
    path: "invites",
    api: "/invites",
    is_id: is_id::<ids::Invite>,
    title: "Invites",
    one: "Invite",
    lead: "Whoever joins by an invite is approved at once. In live mode it goes out by mail; its link can be copied in both.",
    filters: &[by_word("status", "Status", InviteStatus::WORDS), by_id("program_id", "Program")],
    columns: &[
        column("E-mail", "/email", Kind::Text),
        column("Name", "/name", Kind::Text),
        column("Program", "/program_id", Kind::Program),
        column("Status", "/status", Kind::State),
        column("Ends", "/expires_at", Kind::Moment),
        column("Became", "/participant_id", Kind::Participant),
    ],
    empty: ("Nobody is invited.", Some(("invites/new", "Invite a partner"))),
    facts: &[],
    related: &[],
    create: Some(&Form {
        title: "Invite a partner",
        lead: "The program has to be active. The invite ends in 30 days; its link is shown on the next page.",
        fields: &[
            Field { name: "program_id", label: "Program", hint: "", takes: Takes::Program },
            Field { name: "email", label: "E-mail", hint: "They join and sign in with it.", takes: Takes::Email },
            Field { name: "name", label: "Name", hint: "Optional.", takes: Takes::Line("Anna Partner") },
        ],
        submit: "Invite",
    }),
    edit: None,
    acts: &[Act {
        verb: "delete",
        label: "Revoke",
        when: |invite| invite["status"] == "pending",
        form: Some(&Form {
            title: "Revoke the invite?",
            lead: "Its link leads nowhere from then on. You can invite the same address again.",
            fields: &[],
            submit: "Revoke",
        }),
        done: "The invite is revoked.",
        undo: None,
        is_grave: true,
        fills: false,
    }],
    in_list: &["delete"],
    csv: false,
    nav: "invites",
};

static QUESTIONS: Resource = Resource {
    path: "questions",
    api: "/questions",
    is_id: is_id::<ids::Question>,
    title: "Questions",
    one: "Question",
    lead: "What partners ask of you, most of all why a sale was not credited. They read your answer in their portal.",
    filters: &[by_word("status", "Status", QuestionStatus::WORDS), by_id("participant_id", "Participant")],
    columns: &[
        column("Question", "/text", Kind::Own),
        column("Participant", "/participant_id", Kind::Participant),
        column("Transaction", "/external_transaction_id", Kind::Id),
        column("Status", "/status", Kind::State),
        column("Asked", "/created_at", Kind::Moment),
    ],
    empty: ("No partner has asked anything.", None),
    facts: &[
        column("Question", "/text", Kind::Text),
        column("Participant", "/participant_id", Kind::Participant),
        column("Program", "/program_id", Kind::Program),
        column("Transaction", "/external_transaction_id", Kind::Id),
        column("Day that they name", "/happened_on", Kind::Text),
        column("The sale", "/conversions/0/id", Kind::Page("conversions")),
        column("Why it was decided so", "/conversions/0/decision/reason", Kind::State),
        column("Credited to", "/conversions/0/attribution/participant_id", Kind::Page("participants")),
        column("Status", "/status", Kind::State),
        column("Your answer", "/answer", Kind::Text),
        column("Answered", "/answered_at", Kind::Moment),
        column("Asked", "/created_at", Kind::Moment),
    ],
    related: &[Related {
        title: "Decisions on this transaction",
        path: "attribution-audit",
        filter: "external_transaction_id",
        at: "/external_transaction_id",
        shown: true,
    }],
    create: None,
    edit: None,
    acts: &[Act {
        verb: "answer",
        label: "Answer",
        when: |question| question["status"] == "open",
        form: Some(&Form {
            title: "Answer the partner",
            lead: "It closes the question. Name no buyer and no other partner.",
            fields: &[Field { name: "text", label: "Answer", hint: "At most 2,000 characters.", takes: Takes::Lines }],
            submit: "Answer",
        }),
        done: "The partner can read your answer.",
        undo: None,
        is_grave: false,
        fills: false,
    }],
    in_list: &["answer"],
    csv: false,
    nav: "questions",
};
