//! Programs, their rewards, and who is in them.

use domain::ids;
use domain::status::{LinkStatus, ParticipantStatus, ProgramStatus};
use serde_json::Value as Json;

use super::super::cell::Kind;
use super::super::form::{Field, Form, Takes};
use super::super::resource::{Act, Related, Resource, by_id, by_text, by_word, column, is_id};
use crate::pages::text;

pub const ALL: &[&Resource] = &[&PROGRAMS, &REWARDS, &PARTICIPANTS, &PARTNERS, &LINKS, &PROMO_CODES];

fn is(object: &Json, name: &str, word: &str) -> bool {
    object[name] == word
}

const RESPONSES: &[(&str, &str)] =
    &[("flag", "raise an alert and go on"), ("hold", "hold the commission for review"), ("block", "give no credit")];

static PROGRAMS: Resource = Resource {
    path: "programs",
    api: "/programs",
    is_id: is_id::<ids::Program>,
    title: "Programs",
    one: "Program",
    lead: "A program says for what partners are rewarded, and for how long a click counts.",
    filters: &[by_word("status", "Status", ProgramStatus::WORDS)],
    columns: &[
        column("Name", "/name", Kind::Own),
        column("Status", "/status", Kind::State),
        column("Rewards", "/rewards", Kind::Made(rewards)),
        column("Window", "/attribution_window_days", Kind::Made(window)),
        column("Made", "/created_at", Kind::Moment),
    ],
    empty: (
        "A program is where it begins: what partners earn, and for what.",
        Some(("programs/new", "Set up the first program")),
    ),
    facts: &[
        column("Status", "/status", Kind::State),
        column("Slug", "/slug", Kind::Id),
        column("Attribution window", "/attribution_window_days", Kind::Made(window)),
        column("Attribution model", "/attribution_model", Kind::State),
        column("Rewards", "/rewards", Kind::Made(rewards)),
        column("Applications", "/applications", Kind::State),
        column("Terms", "/terms", Kind::Text),
        column("Smallest payout, in the currency\u{2019}s minor unit", "/minimum_payout_cents", Kind::Text),
        column("When a subscription ends, pending commissions", "/reverse_pending_on_end", Kind::Made(on_end)),
        column("Self-referral", "/fraud/self_referral", Kind::State),
        column("Repeat purchase", "/fraud/repeat_purchase", Kind::State),
        column("Very fast conversion", "/fraud/fast_conversion", Kind::State),
        column("Burst of clicks", "/fraud/click_burst", Kind::State),
        column("Throw-away address", "/fraud/disposable_email", Kind::State),
        column("Many refunds", "/fraud/high_refund_rate", Kind::State),
        column("Made", "/created_at", Kind::Moment),
    ],
    related: &[
        Related { title: "Rewards", path: "rewards", filter: "program_id", at: "/id", shown: true },
        Related { title: "Participants", path: "participants", filter: "program_id", at: "/id", shown: true },
        Related { title: "Its conversions", path: "conversions", filter: "program_id", at: "/id", shown: false },
        Related { title: "Its commissions", path: "commissions", filter: "program_id", at: "/id", shown: false },
    ],
    create: Some(&Form {
        title: "Set up a program",
        lead: "It begins as a draft: nobody can join by its page yet, but whoever you approve earns. Rewards come next.",
        fields: &[
            Field { name: "name", label: "Name", hint: "Partners see it.", takes: Takes::Line("Friends of the shop") },
            Field {
                name: "slug",
                label: "Slug",
                hint: "The last part of the address where partners join. Left empty, we make one; it stays.",
                takes: Takes::Line("friends"),
            },
            Field {
                name: "attribution_window_days",
                label: "Attribution window, in days",
                hint: "How long after a click a purchase still counts: 1 to 365. Left empty: 30.",
                takes: Takes::Number,
            },
            Field {
                name: "attribution_model",
                label: "When a customer comes by several partners",
                hint: "",
                takes: Takes::Choice(&[
                    ("last_click", "the newest click counts"),
                    ("first_click", "whoever brought the customer first keeps the credit"),
                ]),
            },
        ],
        submit: "Set up",
    }),
    edit: Some(&Form {
        title: "Change the program",
        lead: "A change counts from now on. What was decided stays as it was.",
        fields: &[
            Field { name: "name", label: "Name", hint: "Partners see it.", takes: Takes::Line("") },
            Field {
                name: "attribution_window_days",
                label: "Attribution window, in days",
                hint: "1 to 365.",
                takes: Takes::Number,
            },
            Field {
                name: "attribution_model",
                label: "When a customer comes by several partners",
                hint: "",
                takes: Takes::Choice(&[
                    ("last_click", "the newest click counts"),
                    ("first_click", "whoever brought the customer first keeps the credit"),
                ]),
            },
            Field {
                name: "applications",
                label: "Who can join",
                hint: "",
                takes: Takes::Choice(&[
                    ("open", "whoever applies, once you approve them"),
                    ("closed", "by invite only"),
                ]),
            },
            Field {
                name: "terms",
                label: "Terms",
                hint: "Partners accept them when they join. At most 20,000 characters.",
                takes: Takes::LinesOrNone,
            },
            Field {
                name: "minimum_payout_cents",
                label: "Smallest payout, in the currency\u{2019}s minor unit",
                hint: "2500 is 25.00 EUR and 2500 JPY. What is below is carried to the next payout. Left empty: none.",
                takes: Takes::NumberOrNone,
            },
            Field {
                name: "reverse_pending_on_end",
                label: "When a subscription ends, take back what is still pending",
                hint: "",
                takes: Takes::Flag,
            },
            Field {
                name: "fraud.self_referral",
                label: "A partner buys by their own link",
                hint: "",
                takes: Takes::Choice(RESPONSES),
            },
            Field {
                name: "fraud.repeat_purchase",
                label: "A customer who bought before",
                hint: "",
                takes: Takes::Choice(RESPONSES),
            },
            Field {
                name: "fraud.fast_conversion",
                label: "A conversion within seconds of its click",
                hint: "",
                takes: Takes::Choice(RESPONSES),
            },
            Field {
                name: "fraud.click_burst",
                label: "Many clicks from one address",
                hint: "",
                takes: Takes::Choice(RESPONSES),
            },
            Field {
                name: "fraud.disposable_email",
                label: "A throw-away e-mail address",
                hint: "",
                takes: Takes::Choice(RESPONSES),
            },
            Field {
                name: "fraud.high_refund_rate",
                label: "A partner whose sales are often refunded",
                hint: "",
                takes: Takes::Choice(RESPONSES),
            },
        ],
        submit: "Save",
    }),
    acts: &[
        Act {
            verb: "activate",
            label: "Activate",
            when: |program| is(program, "status", "draft") || is(program, "status", "paused"),
            form: None,
            fills: false,
            done: "The program is active.",
            undo: Some("pause"),
            is_grave: false,
        },
        Act {
            verb: "pause",
            label: "Pause",
            when: |program| is(program, "status", "active"),
            form: None,
            fills: false,
            done: "The program is paused: nobody earns until it is active again.",
            undo: Some("activate"),
            is_grave: false,
        },
        Act {
            verb: "archive",
            label: "Archive",
            when: |program| !is(program, "status", "archived"),
            form: Some(&Form {
                title: "Archive the program?",
                lead: "It is over for good: nobody joins or earns any more, and it cannot be made active again. What was earned stays and is paid.",
                fields: &[],
                submit: "Archive for good",
            }),
            fills: false,
            done: "The program is archived.",
            undo: None,
            is_grave: true,
        },
    ],
    in_list: &[],
    csv: false,
    nav: "programs",
};

/// `20 % of each sale; 5.00 EUR for a lead`.
fn rewards(program: &Json) -> String {
    let rewards = program["rewards"].as_array().into_iter().flatten();
    let words: Vec<String> = rewards.map(reward_in_words).collect();
    if words.is_empty() { "none yet".to_owned() } else { words.join("; ") }
}

/// A reward in a few words.
pub fn reward_in_words(reward: &Json) -> String {
    let rate = match reward["percent_bps"].as_i64() {
        Some(bps) => text::percent(bps),
        None => super::super::cell::money(&reward["flat"], &reward["flat"]["amount_cents"]).unwrap_or_default(),
    };
    let of = match (reward["trigger"].as_str(), reward["percent_bps"].is_null()) {
        (Some("lead"), _) => "for a lead",
        (Some("recurring"), true) => "for each payment of a subscription",
        (Some("recurring"), false) => "of each payment of a subscription",
        (_, true) => "for a sale",
        (_, false) => "of a sale",
    };
    format!("{rate} {of}")
}

fn window(program: &Json) -> String {
    format!("{} days", program["attribution_window_days"])
}

fn on_end(program: &Json) -> String {
    if program["reverse_pending_on_end"] == true { "are taken back" } else { "stay" }.to_owned()
}

const REWARD_FIELDS: &[Field] = &[
    Field {
        name: "percent_bps",
        label: "Share, in percent",
        hint: "Of the amount below. Give either a share or a fixed amount.",
        takes: Takes::Percent,
    },
    Field {
        name: "flat.currency",
        label: "Currency of a fixed amount",
        hint: "Such as EUR. A fixed amount counts for conversions in this currency.",
        takes: Takes::Line("EUR"),
    },
    Field {
        name: "flat.amount_cents",
        label: "Fixed amount",
        hint: "Such as 5.00.",
        takes: Takes::Amount("flat.currency"),
    },
    Field {
        name: "basis",
        label: "A share of what",
        hint: "",
        takes: Takes::Choice(&[
            ("gross", "the whole amount"),
            ("net_of_tax", "the amount without tax"),
            ("net_of_fees", "the amount without tax and Stripe\u{2019}s fee"),
        ]),
    },
    Field {
        name: "hold_days",
        label: "Hold, in days",
        hint: "So long a commission waits for refunds before it is approved. Left empty: 0.",
        takes: Takes::NumberOrNone,
    },
    Field {
        name: "auto_approve",
        label: "Approve by itself after the hold",
        hint: "Otherwise each commission waits for a person.",
        takes: Takes::Ticked,
    },
    Field {
        name: "event_type",
        label: "Only for the event",
        hint: "As your server reports it, such as upgrade. Left empty: for every event that no other reward names.",
        takes: Takes::LineOrNone("upgrade"),
    },
    Field {
        name: "payments_max",
        label: "Payments of one subscription, at most",
        hint: "For rewards of subscriptions only. Left empty: all of them.",
        takes: Takes::NumberOrNone,
    },
];

const fn reward_fields() -> [Field; 11] {
    let [percent, currency, flat, basis, hold, approve, event, payments] = [
        copy(&REWARD_FIELDS[0]),
        copy(&REWARD_FIELDS[1]),
        copy(&REWARD_FIELDS[2]),
        copy(&REWARD_FIELDS[3]),
        copy(&REWARD_FIELDS[4]),
        copy(&REWARD_FIELDS[5]),
        copy(&REWARD_FIELDS[6]),
        copy(&REWARD_FIELDS[7]),
    ];
    [
        Field { name: "program_id", label: "Program", hint: "", takes: Takes::Program },
        Field {
            name: "trigger",
            label: "For what",
            hint: "It stays: another trigger is another reward.",
            takes: Takes::Choice(&[
                ("sale", "the first payment of a customer\u{2019}s order"),
                ("recurring", "every payment of a subscription"),
                ("lead", "a lead: a sign-up, a request"),
            ]),
        },
        percent,
        currency,
        flat,
        basis,
        hold,
        approve,
        event,
        payments,
        Field {
            name: "participant_id",
            label: "Only for one participant",
            hint: "Their id, ppt_…: for them it stands in place of the program\u{2019}s reward. Left empty: for everybody.",
            takes: Takes::Line("ppt_…"),
        },
    ]
}

const fn copy(field: &Field) -> Field {
    Field { name: field.name, label: field.label, hint: field.hint, takes: field.takes }
}

static REWARD_CREATE: [Field; 11] = reward_fields();

static REWARDS: Resource = Resource {
    path: "rewards",
    api: "/rewards",
    is_id: is_id::<ids::Reward>,
    title: "Rewards",
    one: "Reward",
    lead: "What a program pays for what. A change is a new version; what was decided keeps the old one.",
    filters: &[by_id("program_id", "Program"), by_id("participant_id", "Participant")],
    columns: &[
        column("Reward", "/trigger", Kind::OwnMade(reward_in_words)),
        column("Program", "/program_id", Kind::Program),
        column("Only for", "/participant_id", Kind::Participant),
        column("Version", "/version", Kind::Text),
        column("Hold, days", "/hold_days", Kind::Text),
        column("Retired", "/retired", Kind::Flag("retired")),
    ],
    empty: ("No reward yet: without one, sales are credited and nobody earns.", Some(("rewards/new", "Add a reward"))),
    facts: &[
        column("Reward", "/trigger", Kind::Made(reward_in_words)),
        column("Program", "/program_id", Kind::Program),
        column("Only for", "/participant_id", Kind::Participant),
        column("Trigger", "/trigger", Kind::State),
        column("A share of", "/basis", Kind::State),
        column("Hold, days", "/hold_days", Kind::Text),
        column("Approved by itself", "/auto_approve", Kind::Text),
        column("Only for the event", "/event_type", Kind::Text),
        column("Payments, at most", "/payments_max", Kind::Text),
        column("Version", "/version", Kind::Text),
        column("Counts since", "/valid_from", Kind::Moment),
        column("Retired", "/retired", Kind::Flag("retired")),
    ],
    related: &[],
    create: Some(&Form {
        title: "Add a reward",
        lead: "It counts from now on.",
        fields: &REWARD_CREATE,
        submit: "Add",
    }),
    edit: None,
    acts: &[
        Act {
            verb: "change",
            label: "Change",
            when: |reward| reward["retired"] != true,
            form: Some(&Form {
                title: "Change the reward",
                lead: "It makes a new version, which counts from now on. What was decided keeps the old one. Without a share and a \
                    fixed amount, the one that was there stays.",
                fields: REWARD_FIELDS,
                submit: "Save the new version",
            }),
            fills: true,
            done: "The new version counts from now on.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "retire",
            label: "Retire",
            when: |reward| reward["retired"] != true,
            form: Some(&Form {
                title: "Retire the reward?",
                lead: "From now on nobody earns by it, and it cannot be brought back: you would add another. What was earned stays.",
                fields: &[],
                submit: "Retire for good",
            }),
            fills: false,
            done: "The reward is retired.",
            undo: None,
            is_grave: true,
        },
    ],
    in_list: &["change"],
    csv: false,
    nav: "programs",
};

static PARTICIPANTS: Resource = Resource {
    path: "participants",
    api: "/participants",
    is_id: is_id::<ids::Participant>,
    title: "Participants",
    one: "Participant",
    lead: "Partners in your programs. Whoever applied waits here until you approve or reject them.",
    filters: &[
        by_word("status", "Status", ParticipantStatus::WORDS),
        by_id("program_id", "Program"),
        by_id("partner_id", "Partner"),
    ],
    columns: &[
        column("Partner", "/partner_id", Kind::Partner),
        column("Program", "/program_id", Kind::Program),
        column("Participant", "/id", Kind::Own),
        column("Status", "/status", Kind::State),
        column("Since", "/created_at", Kind::Moment),
    ],
    empty: ("Nobody promotes you yet.", Some(("partners/new", "Add a partner"))),
    facts: &[
        column("Partner", "/partner_id", Kind::Partner),
        column("Program", "/program_id", Kind::Program),
        column("Status", "/status", Kind::State),
        column("Applied as", "/application/name", Kind::Text),
        column("How they promote", "/application/promotion", Kind::Text),
        column("By invite", "/application/invited", Kind::Text),
        column("Since", "/created_at", Kind::Moment),
    ],
    related: &[
        Related { title: "Links", path: "links", filter: "participant_id", at: "/id", shown: true },
        Related { title: "Promo codes", path: "promo-codes", filter: "participant_id", at: "/id", shown: true },
        Related { title: "Commissions", path: "commissions", filter: "participant_id", at: "/id", shown: false },
        Related { title: "Conversions", path: "conversions", filter: "participant_id", at: "/id", shown: false },
        Related { title: "Clicks", path: "clicks", filter: "participant_id", at: "/id", shown: false },
        Related { title: "Payouts", path: "payouts", filter: "participant_id", at: "/id", shown: false },
        Related { title: "Fraud alerts", path: "fraud-alerts", filter: "participant_id", at: "/id", shown: false },
    ],
    create: Some(&Form {
        title: "Put a partner into a program",
        lead: "Whoever is approved earns from now on.",
        fields: &[
            Field {
                name: "partner_id",
                label: "Partner",
                hint: "The partner\u{2019}s id, part_…",
                takes: Takes::Given,
            },
            Field { name: "program_id", label: "Program", hint: "", takes: Takes::Program },
            Field {
                name: "status",
                label: "Status",
                hint: "",
                takes: Takes::Choice(&[
                    ("approved", "approved: earns at once"),
                    ("pending", "pending: waits for your approval"),
                ]),
            },
        ],
        submit: "Put in",
    }),
    edit: None,
    acts: &[
        Act {
            verb: "approve",
            label: "Approve",
            when: |one| !is(one, "status", "approved"),
            form: None,
            fills: false,
            done: "The participant is approved and earns from now on.",
            undo: None,
            is_grave: false,
        },
        Act {
            verb: "reject",
            label: "Reject",
            when: |one| is(one, "status", "pending"),
            form: None,
            fills: false,
            done: "The application is rejected.",
            undo: None,
            is_grave: true,
        },
        Act {
            verb: "suspend",
            label: "Suspend",
            when: |one| is(one, "status", "pending") || is(one, "status", "approved"),
            form: None,
            fills: false,
            done: "The participant is suspended: what their links and codes bring earns nothing.",
            undo: None,
            is_grave: true,
        },
    ],
    in_list: &["approve", "reject", "suspend"],
    csv: true,
    nav: "participants",
};

static PARTNERS: Resource = Resource {
    path: "partners",
    api: "/partners",
    is_id: is_id::<ids::Partner>,
    title: "Partners",
    one: "Partner",
    lead: "The people who promote you. Each signs in to the portal with their own e-mail address.",
    filters: &[by_text("q", "Name or e-mail begins with", "anna")],
    columns: &[
        column("Name", "/name", Kind::Own),
        column("E-mail", "/email", Kind::Text),
        column("Since", "/created_at", Kind::Moment),
    ],
    empty: ("No partner yet.", Some(("partners/new", "Add a partner"))),
    facts: &[column("E-mail", "/email", Kind::Text), column("Since", "/created_at", Kind::Moment)],
    related: &[Related { title: "Programs", path: "participants", filter: "partner_id", at: "/id", shown: true }],
    create: Some(&Form {
        title: "Add a partner",
        lead: "Next, you put them into a program.",
        fields: &[
            Field { name: "name", label: "Name", hint: "", takes: Takes::Line("Anna Partner") },
            Field { name: "email", label: "E-mail", hint: "They sign in with it.", takes: Takes::Email },
        ],
        submit: "Add",
    }),
    edit: Some(&Form {
        title: "Change the partner",
        lead: "With another e-mail address they sign in with that one.",
        fields: &[
            Field { name: "name", label: "Name", hint: "", takes: Takes::Line("") },
            Field { name: "email", label: "E-mail", hint: "", takes: Takes::Email },
        ],
        submit: "Save",
    }),
    acts: &[Act {
        verb: "erase",
        label: "Erase",
        when: |partner| partner["erased_at"].is_null(),
        form: Some(&Form {
            title: "Erase the partner?",
            lead: "Name, e-mail address, payout details and tax id are replaced for good, and they cannot sign in any more. \
                Conversions and commissions stay. It cannot be undone.",
            fields: &[],
            submit: "Erase for good",
        }),
        done: "The partner is erased.",
        undo: None,
        is_grave: true,
        fills: false,
    }],
    in_list: &[],
    csv: true,
    nav: "partners",
};

static LINKS: Resource = Resource {
    path: "links",
    api: "/links",
    is_id: is_id::<ids::Link>,
    title: "Links",
    one: "Link",
    lead: "A link sends visitors to a page of yours and remembers by whom they came.",
    filters: &[by_word("status", "Status", LinkStatus::WORDS), by_id("participant_id", "Participant")],
    columns: &[
        column("Link", "/ref", Kind::Own),
        column("Name", "/name", Kind::Text),
        column("Participant", "/participant_id", Kind::Participant),
        column("Leads to", "/landing_url", Kind::Text),
        column("Clicks", "/clicks", Kind::Text),
        column("Status", "/status", Kind::State),
    ],
    empty: ("No link yet. A participant\u{2019}s page makes one.", Some(("participants", "To the participants"))),
    facts: &[
        column("Name", "/name", Kind::Text),
        column("Participant", "/participant_id", Kind::Participant),
        column("Ref", "/ref", Kind::Id),
        column("Short link", "/short_url", Kind::Id),
        column("Leads to", "/landing_url", Kind::Text),
        column("Clicks that count", "/clicks", Kind::Text),
        column("Status", "/status", Kind::State),
        column("Made", "/created_at", Kind::Moment),
    ],
    related: &[Related { title: "Clicks", path: "clicks", filter: "link_id", at: "/id", shown: true }],
    create: Some(&Form {
        title: "Make a link",
        lead: "",
        fields: &[
            Field {
                name: "participant_id",
                label: "Participant",
                hint: "Who is approved. Of very many, their id, ppt_…: the search finds them by name.",
                takes: Takes::Participant,
            },
            Field {
                name: "landing_url",
                label: "Leads to",
                hint: "A page on one of your registered hosts.",
                takes: Takes::Url("https://shop.example/"),
            },
            Field { name: "name", label: "Name", hint: "For you and the partner.", takes: Takes::Line("Newsletter") },
            Field {
                name: "ref",
                label: "Ref",
                hint: "What stands after ref= in an address. Left empty, we make one; it stays.",
                takes: Takes::Line("anna"),
            },
            Field {
                name: "slug",
                label: "Slug",
                hint: "The last part of the short link. Left empty, we make one; it stays.",
                takes: Takes::Line("anna"),
            },
        ],
        submit: "Make",
    }),
    edit: Some(&Form {
        title: "Change the link",
        lead: "",
        fields: &[
            Field { name: "name", label: "Name", hint: "It may be empty.", takes: Takes::LineOrNone("") },
            Field {
                name: "landing_url",
                label: "Leads to",
                hint: "A page on one of your registered hosts.",
                takes: Takes::Url(""),
            },
        ],
        submit: "Save",
    }),
    acts: &[
        Act {
            verb: "pause",
            label: "Pause",
            when: |link| is(link, "status", "active"),
            form: None,
            fills: false,
            done: "The link is paused: it takes no clicks for now.",
            undo: Some("activate"),
            is_grave: false,
        },
        Act {
            verb: "activate",
            label: "Activate",
            when: |link| !is(link, "status", "active"),
            form: None,
            fills: false,
            done: "The link takes clicks.",
            undo: Some("pause"),
            is_grave: false,
        },
        Act {
            verb: "archive",
            label: "Archive",
            when: |link| !is(link, "status", "archived"),
            form: None,
            fills: false,
            done: "The link is archived. Clicks that it had still count.",
            undo: Some("activate"),
            is_grave: true,
        },
    ],
    in_list: &[],
    csv: true,
    nav: "links",
};

static PROMO_CODES: Resource = Resource {
    path: "promo-codes",
    api: "/promo-codes",
    is_id: is_id::<ids::PromoCode>,
    title: "Promo codes",
    one: "Promo code",
    lead: "A purchase with a partner\u{2019}s code is theirs, whatever was clicked before.",
    filters: &[by_id("participant_id", "Participant")],
    columns: &[
        column("Code", "/code", Kind::Own),
        column("Participant", "/participant_id", Kind::Participant),
        column("Stripe promotion code", "/stripe_promotion_code_id", Kind::Id),
        column("Made", "/created_at", Kind::Moment),
    ],
    empty: ("No promo code yet. A participant\u{2019}s page adds one.", Some(("participants", "To the participants"))),
    facts: &[
        column("Participant", "/participant_id", Kind::Participant),
        column("Stripe promotion code", "/stripe_promotion_code_id", Kind::Id),
        column("Made", "/created_at", Kind::Moment),
    ],
    related: &[],
    create: Some(&Form {
        title: "Add a promo code",
        lead: "",
        fields: &[
            Field {
                name: "participant_id",
                label: "Participant",
                hint: "Who is approved. Of very many, their id, ppt_…: the search finds them by name.",
                takes: Takes::Participant,
            },
            Field { name: "code", label: "Code", hint: "Compared without case.", takes: Takes::Line("ANNA20") },
            Field {
                name: "stripe_promotion_code_id",
                label: "Stripe promotion code",
                hint: "Its id in Stripe, promo_…, if it is one of Stripe\u{2019}s.",
                takes: Takes::Line("promo_…"),
            },
        ],
        submit: "Add",
    }),
    edit: Some(&Form {
        title: "Change the promo code",
        lead: "",
        fields: &[Field {
            name: "stripe_promotion_code_id",
            label: "Stripe promotion code",
            hint: "Its id in Stripe, promo_… Left empty: it is none of Stripe\u{2019}s.",
            takes: Takes::LineOrNone("promo_…"),
        }],
        submit: "Save",
    }),
    acts: &[],
    in_list: &[],
    csv: true,
    nav: "promo-codes",
};
