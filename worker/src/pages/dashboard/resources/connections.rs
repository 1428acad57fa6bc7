//! What is connected: Stripe, webhooks, hosts, keys; and who works here.

use domain::status::{DeliveryStatus, StripeOutcome};
use serde_json::Value as Json;

use super::super::cell::Kind;
use super::super::form::{Field, Form, Takes};
use super::super::resource::{Act, Related, Resource, always, by_day, by_id, by_text, by_word, column};

pub const ALL: &[&Resource] = &[&STRIPE, &STRIPE_EVENTS, &ENDPOINTS, &DELIVERIES, &EVENTS, &HOSTS, &KEYS, &MEMBERS];

const EVENT_NAMES: &[&str] = &[
    "*",
    "conversion.created",
    "conversion.attributed",
    "conversion.merged",
    "conversion.refunded",
    "conversion.fraud_detected",
    "commission.created",
    "commission.approved",
    "commission.rejected",
    "commission.refunded",
    "commission.paid",
    "participant.created",
    "participant.approved",
    "participant.rejected",
    "participant.suspended",
    "payout.created",
    "payout.paid",
];

const KEY_FIELD: Field = Field {
    name: "restricted_key",
    label: "Restricted key",
    hint: "Of Stripe, rk_…, that may read charges, payment intents, invoices and events. Optional: it tells fees and finds what was missed.",
    takes: Takes::Line("rk_…"),
};

static STRIPE: Resource = Resource {
    path: "stripe-connections",
    api: "/stripe-connections",
    title: "Stripe",
    one: "Stripe connection",
    lead: "Stripe tells us of payments and refunds by a webhook. In Stripe, add an endpoint with the address of a connection, then put its signing secret here.",
    filters: &[],
    columns: &[
        column("Connection", "/id", Kind::Own),
        column("Address for Stripe", "/url", Kind::Id),
        column("Asks Stripe itself", "/has_restricted_key", Kind::Text),
        column("Made", "/created_at", Kind::Moment),
    ],
    empty: ("Stripe is not connected in this mode.", Some(("stripe-connections/new", "Connect Stripe"))),
    facts: &[
        column("Address for Stripe", "/url", Kind::Id),
        column("Asks Stripe itself", "/has_restricted_key", Kind::Text),
        column("Old signing secret accepted until", "/previous_secret_accepted_until", Kind::Moment),
        column("Questions pending", "/lookups/pending", Kind::Text),
        column("Questions given up", "/lookups/failed", Kind::Text),
        column("Last error", "/lookups/last_error", Kind::Text),
        column("Reconciliation", "/reconcile/state", Kind::State),
        column("Events found by it", "/reconcile/found", Kind::Text),
        column("New among them", "/reconcile/new", Kind::Text),
        column("Its error", "/reconcile/last_error", Kind::Text),
        column("Made", "/created_at", Kind::Moment),
    ],
    related: &[],
    create: Some(&Form {
        title: "Connect Stripe",
        lead: "Make the connection first: its address is what Stripe asks for. A signing secret that you do not have yet can be set later.",
        fields: &[
            Field {
                name: "signing_secret",
                label: "Signing secret",
                hint: "Of the endpoint in Stripe, whsec_…",
                takes: Takes::Line("whsec_…"),
            },
            KEY_FIELD,
        ],
        submit: "Connect",
    }),
    edit: None,
    acts: &[
        Act {
            verb: "signing-secret",
            label: "Change the signing secret",
            when: always,
            form: Some(&Form {
                title: "Change the signing secret",
                lead: "After rolling it in Stripe. The old one is accepted for the overlap.",
                fields: &[
                    Field {
                        name: "signing_secret",
                        label: "New signing secret",
                        hint: "whsec_…",
                        takes: Takes::Line("whsec_…"),
                    },
                    Field {
                        name: "overlap_hours",
                        label: "Overlap, in hours",
                        hint: "Left empty: 24.",
                        takes: Takes::Number,
                    },
                ],
                submit: "Change",
            }),
            done: "The signing secret is changed.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "restricted-key",
            label: "Set the restricted key",
            when: always,
            form: Some(&Form {
                title: "Set the restricted key",
                lead: "We ask Stripe with it for fees and for what was missed, and change nothing there.",
                fields: &[KEY_FIELD],
                submit: "Set",
            }),
            done: "The restricted key is set.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "reconcile",
            label: "Reconcile",
            when: |connection| connection["has_restricted_key"] == true,
            form: None,
            done: "Stripe is being asked for events that it could not deliver. Look again in a minute.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "delete",
            label: "Delete",
            when: always,
            form: Some(&Form {
                title: "Delete the connection?",
                lead: "Its address stops at once, and Stripe\u{2019}s events are refused from then on. What came in stays.",
                fields: &[],
                submit: "Delete",
            }),
            done: "The connection is deleted.",
            undo: None,
            is_grave: true,
        },
    ],
    in_list: &[],
    csv: false,
    nav: "stripe-connections",
};

static STRIPE_EVENTS: Resource = Resource {
    path: "stripe-events",
    api: "/stripe-events",
    title: "Stripe events",
    one: "Stripe event",
    lead: "Everything that Stripe sent, and what became of it. Parked ones wait for the sale that they belong to.",
    filters: &[
        by_word("outcome", "Outcome", StripeOutcome::WORDS),
        by_text("type", "Type", "charge.refunded"),
        by_text("reason", "Reason", ""),
        by_day("from", "From"),
        by_day("to", "Before"),
    ],
    columns: &[
        column("Event", "/stripe_id", Kind::Own),
        column("Type", "/type", Kind::Text),
        column("Outcome", "/outcome", Kind::State),
        column("Reason", "/reason", Kind::Text),
        column("Came in", "/created_at", Kind::Moment),
    ],
    empty: ("Stripe has sent nothing yet.", Some(("stripe-connections", "To the connection"))),
    facts: &[
        column("Stripe\u{2019}s id", "/stripe_id", Kind::Id),
        column("Type", "/type", Kind::Text),
        column("Outcome", "/outcome", Kind::State),
        column("Reason", "/reason", Kind::Text),
        column("Connection", "/connection_id", Kind::Page("stripe-connections")),
        column("Request", "/request_id", Kind::Id),
        column("Came in", "/created_at", Kind::Moment),
    ],
    related: &[],
    create: None,
    edit: None,
    acts: &[Act {
        verb: "replay",
        label: "Replay",
        when: |event| event["outcome"] == "failed" || event["outcome"] == "parked",
        form: None,
        done: "The event is processed once more.",
        undo: None,
        is_grave: false,
    }],
    in_list: &["replay"],
    csv: true,
    nav: "stripe-events",
};

static ENDPOINTS: Resource = Resource {
    path: "webhook-endpoints",
    api: "/webhook-endpoints",
    title: "Webhook endpoints",
    one: "Webhook endpoint",
    lead: "Where your own servers are told of what happens here. Each gets every event at least once, signed.",
    filters: &[],
    columns: &[
        column("Address", "/url", Kind::Own),
        column("Events", "/events", Kind::Made(events)),
        column("Status", "/status", Kind::State),
        column("Failing since", "/failing_since", Kind::Moment),
        column("Made", "/created_at", Kind::Moment),
    ],
    empty: ("Nobody is told yet.", Some(("webhook-endpoints/new", "Add an endpoint"))),
    facts: &[
        column("Address", "/url", Kind::Id),
        column("Events", "/events", Kind::Made(events)),
        column("Status", "/status", Kind::State),
        column("Disabled because", "/disabled_reason", Kind::State),
        column("Failing since", "/failing_since", Kind::Moment),
        column("Old secret signs until", "/previous_secret_until", Kind::Moment),
        column("Made", "/created_at", Kind::Moment),
    ],
    related: &[Related {
        title: "Deliveries",
        path: "webhook-deliveries",
        filter: "endpoint_id",
        at: "/id",
        shown: true,
    }],
    create: Some(&Form {
        title: "Add an endpoint",
        lead: "Its signing secret is shown once, on the next page.",
        fields: &[
            Field {
                name: "url",
                label: "Address",
                hint: "https, at a public address. In test mode http will do.",
                takes: Takes::Url("https://shop.example/webhooks/selgeo"),
            },
            Field {
                name: "events",
                label: "Events",
                hint: "* is all of them, also those to come.",
                takes: Takes::Several(EVENT_NAMES),
            },
        ],
        submit: "Add",
    }),
    edit: Some(&Form {
        title: "Change the endpoint",
        lead: "",
        fields: &[
            Field { name: "url", label: "Address", hint: "", takes: Takes::Url("") },
            Field {
                name: "events",
                label: "Events",
                hint: "* is all of them, also those to come.",
                takes: Takes::Several(EVENT_NAMES),
            },
        ],
        submit: "Save",
    }),
    acts: &[
        Act {
            verb: "ping",
            label: "Send a ping",
            when: |endpoint| endpoint["status"] == "enabled",
            form: None,
            done: "A ping is on its way; its delivery shows how it went.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "rotate",
            label: "Rotate the secret",
            when: always,
            form: Some(&Form {
                title: "Rotate the signing secret",
                lead: "The new secret is shown once. During the overlap X-Selgeo-Signature keeps the old one; webhook-signature carries both.",
                fields: &[Field {
                    name: "overlap_hours",
                    label: "Overlap, in hours",
                    hint: "0 to 72. Left empty: 24.",
                    takes: Takes::Number,
                }],
                submit: "Rotate",
            }),
            done: "The secret is rotated.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "switch",
            label: "Switch to the new secret",
            when: |endpoint| !endpoint["previous_secret_until"].is_null(),
            form: None,
            done: "From now on everything is signed with the new secret alone.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "resend",
            label: "Resend failures",
            when: |endpoint| endpoint["status"] == "enabled",
            form: Some(&Form {
                title: "Resend what could not be delivered",
                lead: "Every event since that moment that was given up is sent once more.",
                fields: &[Field { name: "since", label: "Since, in UTC", hint: "", takes: Takes::Moment }],
                submit: "Resend",
            }),
            done: "What was given up is on its way again.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "enable",
            label: "Enable",
            when: |endpoint| endpoint["status"] == "disabled",
            form: None,
            done: "The endpoint is told again.",
            undo: Some("disable"),
            is_grave: false,
        },
        Act {
            verb: "disable",
            label: "Disable",
            when: |endpoint| endpoint["status"] == "enabled",
            form: Some(&Form {
                title: "Disable the endpoint?",
                lead: "It is told nothing until you enable it; what it is owed now is given up, and can be sent again later.",
                fields: &[],
                submit: "Disable",
            }),
            done: "The endpoint is disabled.",
            undo: Some("enable"),
            is_grave: true,
        },
        Act {
            verb: "delete",
            label: "Delete",
            when: always,
            form: Some(&Form {
                title: "Delete the endpoint?",
                lead: "Its log goes with it, and what it is owed is not sent. It cannot be undone.",
                fields: &[],
                submit: "Delete",
            }),
            done: "The endpoint is deleted.",
            undo: None,
            is_grave: true,
        },
    ],
    in_list: &[],
    csv: false,
    nav: "webhook-endpoints",
};

fn events(endpoint: &Json) -> String {
    let names: Vec<&str> = endpoint["events"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    if names.contains(&"*") { "all".to_owned() } else { names.join(", ") }
}

static DELIVERIES: Resource = Resource {
    path: "webhook-deliveries",
    api: "/webhook-deliveries",
    title: "Deliveries",
    one: "Delivery",
    lead: "Each event\u{2019}s journey to an endpoint, kept for 30 days. Dead letters are those that were given up.",
    filters: &[
        by_word("status", "Status", DeliveryStatus::WORDS),
        by_id("endpoint_id", "Endpoint"),
        by_id("event_id", "Event"),
    ],
    columns: &[
        column("Delivery", "/id", Kind::Own),
        column("Event", "/type", Kind::Text),
        column("Status", "/status", Kind::State),
        column("Attempts", "/attempts", Kind::Made(attempts)),
        column("Next attempt", "/next_attempt_at", Kind::Moment),
        column("Owed since", "/created_at", Kind::Moment),
    ],
    empty: ("Nothing was owed to any endpoint yet.", Some(("webhook-endpoints", "To the endpoints"))),
    // The page of a delivery is one of its own.
    facts: &[column("Event", "/type", Kind::Text)],
    related: &[],
    create: None,
    edit: None,
    acts: &[Act {
        verb: "resend",
        label: "Resend",
        when: |delivery| delivery["status"] != "pending",
        form: None,
        done: "The event is on its way once more.",
        undo: None,
        is_grave: false,
    }],
    in_list: &["resend"],
    csv: false,
    nav: "webhook-deliveries",
};

fn attempts(delivery: &Json) -> String {
    let attempts = delivery["attempts"].as_array().map_or(0, Vec::len);
    let last = delivery["attempts"].as_array().and_then(|attempts| attempts.last());
    let how = last.map(|last| match (last["status"].as_i64(), last["error"].as_str()) {
        (Some(status), _) => format!(", last: {status}"),
        (None, Some(error)) => format!(", last: {error}"),
        (None, None) => String::new(),
    });
    format!("{attempts}{}", how.unwrap_or_default())
}

static EVENTS: Resource = Resource {
    path: "events",
    api: "/events",
    title: "Events",
    one: "Event",
    lead: "What happened, in the words that your webhooks get, numbered for each thing that it happened to.",
    filters: &[by_text("type", "Type", "conversion.created"), by_text("subject", "Of", "conv_…")],
    columns: &[
        column("Event", "/id", Kind::Id),
        column("Type", "/type", Kind::Text),
        column("Of", "/subject", Kind::Id),
        column("Number", "/sequence", Kind::Text),
        column("When", "/created_at", Kind::Moment),
    ],
    empty: ("Nothing happened yet.", None),
    facts: &[],
    related: &[],
    create: None,
    edit: None,
    acts: &[],
    in_list: &[],
    csv: true,
    nav: "events",
};

static HOSTS: Resource = Resource {
    path: "hosts",
    api: "/hosts",
    title: "Hosts",
    one: "Host",
    lead: "The web hosts where links may land, and from where scripts without a key may call.",
    filters: &[],
    columns: &[column("Host", "/host", Kind::Text), column("Since", "/created_at", Kind::Moment)],
    empty: ("No host yet: links need one to land on.", Some(("hosts/new", "Register a host"))),
    facts: &[],
    related: &[],
    create: Some(&Form {
        title: "Register a host",
        lead: "",
        fields: &[Field {
            name: "host",
            label: "Host",
            hint: "Without https:// and without a path.",
            takes: Takes::Line("shop.example"),
        }],
        submit: "Register",
    }),
    edit: None,
    acts: &[Act {
        verb: "delete",
        label: "Remove",
        when: always,
        form: Some(&Form {
            title: "Remove the host?",
            lead: "Links that land there go on working; new ones cannot land there, and scripts without a key are refused.",
            fields: &[],
            submit: "Remove",
        }),
        done: "The host is removed.",
        undo: None,
        is_grave: true,
    }],
    in_list: &["delete"],
    csv: false,
    nav: "hosts",
};

static KEYS: Resource = Resource {
    path: "api-keys",
    api: "/api-keys",
    title: "API keys",
    one: "API key",
    lead: "Public keys stand in your pages and report clicks. Secret keys belong on your server only, and are shown once.",
    filters: &[],
    columns: &[
        column("Key", "/shown", Kind::Id),
        column("Kind", "/kind", Kind::State),
        column("Made", "/created_at", Kind::Moment),
        column("Revoked", "/revoked_at", Kind::Moment),
    ],
    empty: ("No key yet.", Some(("api-keys/new", "Make a key"))),
    facts: &[],
    related: &[],
    create: Some(&Form {
        title: "Make a key",
        lead: "It is of the mode that you are in.",
        fields: &[Field {
            name: "kind",
            label: "Kind",
            hint: "",
            takes: Takes::Choice(&[("public", "public: for your pages"), ("secret", "secret: for your server")]),
        }],
        submit: "Make",
    }),
    edit: None,
    acts: &[Act {
        verb: "delete",
        label: "Revoke",
        when: |key| key["revoked_at"].is_null(),
        form: Some(&Form {
            title: "Revoke the key?",
            lead: "Within a minute whatever uses it is refused everywhere. It cannot be undone.",
            fields: &[],
            submit: "Revoke for good",
        }),
        done: "The key is revoked.",
        undo: None,
        is_grave: true,
    }],
    in_list: &["delete"],
    csv: false,
    nav: "api-keys",
};

static MEMBERS: Resource = Resource {
    path: "members",
    api: "/members",
    title: "Members",
    one: "Member",
    lead: "Who works in this workspace, in both modes. A viewer looks; an admin changes things; an owner also makes owners.",
    filters: &[],
    columns: &[
        column("E-mail", "/email", Kind::Text),
        column("Name", "/name", Kind::Text),
        column("Role", "/role", Kind::State),
        column("Last here", "/last_seen_at", Kind::Moment),
        column("Since", "/created_at", Kind::Moment),
    ],
    empty: ("Nobody works here.", None),
    facts: &[],
    related: &[],
    create: Some(&Form {
        title: "Invite a member",
        lead: "They get a mail, and sign in with that address.",
        fields: &[
            Field { name: "email", label: "E-mail", hint: "", takes: Takes::Email },
            Field { name: "name", label: "Name", hint: "Optional.", takes: Takes::Line("") },
            Field {
                name: "role",
                label: "Role",
                hint: "",
                takes: Takes::Choice(&[
                    ("viewer", "viewer: looks"),
                    ("admin", "admin: changes things"),
                    ("owner", "owner: everything"),
                ]),
            },
        ],
        submit: "Invite",
    }),
    edit: Some(&Form {
        title: "Change a member\u{2019}s role",
        lead: "Only an owner makes or unmakes an owner, and a workspace keeps one at least.",
        fields: &[Field {
            name: "role",
            label: "Role",
            hint: "",
            takes: Takes::Choice(&[
                ("viewer", "viewer: looks"),
                ("admin", "admin: changes things"),
                ("owner", "owner: everything"),
            ]),
        }],
        submit: "Save",
    }),
    acts: &[Act {
        verb: "delete",
        label: "Take out",
        when: always,
        form: Some(&Form {
            title: "Take the member out?",
            lead: "They have no access any more, from their next click on.",
            fields: &[],
            submit: "Take out",
        }),
        done: "The member is out.",
        undo: None,
        is_grave: true,
    }],
    in_list: &["delete"],
    csv: false,
    nav: "members",
};
