//! Programs, and what belongs to them.

use domain::attribution::{WINDOW_DAYS_DEFAULT, WINDOW_DAYS_MAX};
use domain::fraud::{Response, Rule};
use domain::ids;
use domain::partner::{Applications, TERMS_CHARS_MAX};
use domain::reward::{Basis, Trigger, WHOLE_BPS};
use domain::status::{AttributionModel, LinkStatus, ProgramStatus};
use serde_json::{Value as Json, json};

use crate::openapi::operation::{Operation, operation};
use crate::openapi::schema::*;

pub fn all() -> Vec<Operation> {
    [programs(), rewards(), links(), promo_codes(), hosts()].concat()
}

fn slug() -> Json {
    json!({ "type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" })
}

/// The names that a change can clear.
pub fn clear(names: &[&str]) -> Json {
    json!({ "type": "array", "items": words(names), "maxItems": names.len(),
        "description": "Goes back to what it is where nothing is said. Null cannot say it, since it equals absent." })
}

fn settings() -> Vec<Property<'static>> {
    let policy = schema_of_policy();
    vec![
        ("attribution_window_days?", or(integer(1, WINDOW_DAYS_MAX), WINDOW_DAYS_DEFAULT)),
        (
            "attribution_model?",
            said(words(AttributionModel::WORDS), "What becomes of a customer who is bound and comes by another click."),
        ),
        ("fraud?", policy),
        ("reverse_pending_on_end?", said(boolean(), "Take pending commissions back when a subscription ends.")),
        ("minimum_payout_cents?", amount()),
        ("terms?", text_or_empty(TERMS_CHARS_MAX)),
        ("applications?", words(Applications::WORDS)),
    ]
}

fn schema_of_policy() -> Json {
    let rules = Rule::WORDS.iter().map(|rule| ((*rule).to_owned(), words(Response::WORDS)));
    json!({ "type": "object", "properties": rules.collect::<serde_json::Map<_, _>>(), "additionalProperties": false,
        "description": "What is done about each fraud rule; what is not said is the default." })
}

fn programs() -> Vec<Operation> {
    let act =
        |line, id, summary| operation(line, id, "Programs", summary).of::<ids::Program>().shows("Program").refused(409);
    let mut made: Vec<Property<'static>> = vec![("name", text(100))];
    made.extend(settings());
    made.extend([
        ("slug?", said(slug(), "Unique in this installation; made up by default.")),
        ("status?", words(ProgramStatus::WORDS)),
        ("rewards?", json!({ "type": "array", "items": body(reward()), "maxItems": 20 })),
    ]);
    let mut changed: Vec<Property<'static>> = vec![("name?", text(100))];
    changed.extend(settings());
    changed.push(("clear?", clear(&["minimum_payout_cents", "terms"])));
    vec![
        operation("GET /api/v1/programs", "listPrograms", "Programs", "List programs")
            .query("status", words(ProgramStatus::WORDS))
            .lists("Program"),
        operation("POST /api/v1/programs", "createProgram", "Programs", "Make a program and its rewards")
            .body(made)
            .makes("Program")
            .refused(409),
        operation("GET /api/v1/programs/{id}", "getProgram", "Programs", "Read a program")
            .of::<ids::Program>()
            .shows("Program"),
        operation("PATCH /api/v1/programs/{id}", "changeProgram", "Programs", "Change a program's settings")
            .about("They hold for decisions from now on; what was decided stands.")
            .of::<ids::Program>()
            .body(changed)
            .shows("Program"),
        act("POST /api/v1/programs/{id}/activate", "activateProgram", "Open a program"),
        act("POST /api/v1/programs/{id}/pause", "pauseProgram", "Pause a program: nobody earns"),
        act("POST /api/v1/programs/{id}/archive", "archiveProgram", "End a program for good"),
    ]
}

/// What a reward is made of.
fn reward() -> Vec<Property<'static>> {
    let mut all = vec![("trigger", words(Trigger::WORDS))];
    all.extend(terms());
    all
}

fn terms() -> Vec<Property<'static>> {
    let flat = json!({ "type": "object", "required": ["amount_cents", "currency"],
        "properties": { "amount_cents": amount(), "currency": currency_sent() },
        "description": "Either this or `percent_bps`." });
    vec![
        ("percent_bps?", said(integer(0, WHOLE_BPS), "Hundredths of a per cent. Either this or `flat`.")),
        ("flat?", flat),
        ("event_type?", said(text(100), "For conversions of this type only.")),
        ("basis?", said(words(Basis::WORDS), "Of what the per cent are taken.")),
        ("hold_days?", integer(0, 365)),
        ("auto_approve?", or(boolean(), true)),
        (
            "payments_max?",
            said(integer(1, 1_000), "Of trigger `recurring` only: so many payments of a subscription earn."),
        ),
    ]
}

fn rewards() -> Vec<Operation> {
    let mut made: Vec<Property<'static>> = vec![
        ("program_id", id::<ids::Program>()),
        (
            "participant_id?",
            said(id::<ids::Participant>(), "Makes it that participant's own, which wins over the program's."),
        ),
    ];
    made.extend(reward());
    let mut changed = vec![
        ("program_id?", said(any_text(), "Stays: another than the reward's is refused.")),
        ("participant_id?", said(any_text(), "Stays: another than the reward's is refused.")),
        ("trigger?", said(words(Trigger::WORDS), "Stays: another than the reward's is refused.")),
    ];
    changed.extend(terms());
    changed.push(("clear?", clear(&["event_type", "hold_days", "payments_max"])));
    vec![
        operation("GET /api/v1/rewards", "listRewards", "Rewards", "List rewards, each at its newest version")
            .filter("program_id")
            .filter("participant_id")
            .query("trigger", words(Trigger::WORDS))
            .lists("Reward"),
        operation("POST /api/v1/rewards", "createReward", "Rewards", "Make a reward").body(made).makes("Reward"),
        operation("GET /api/v1/rewards/{id}", "getReward", "Rewards", "Read a reward with its versions")
            .of::<ids::Reward>()
            .shows("RewardWithVersions"),
        operation("POST /api/v1/rewards/{id}/change", "changeReward", "Rewards", "Change a reward from now on")
            .about("A new version. A sale earns by the version of its own time.")
            .of::<ids::Reward>()
            .body(changed)
            .shows("RewardWithVersions")
            .refused(409),
        operation("POST /api/v1/rewards/{id}/retire", "retireReward", "Rewards", "End a reward from now on")
            .of::<ids::Reward>()
            .shows("RewardWithVersions")
            .refused(409),
    ]
}

fn links() -> Vec<Operation> {
    let act = |line, id, summary| operation(line, id, "Links", summary).of::<ids::Link>().shows("Link");
    vec![
        operation("GET /api/v1/links", "listLinks", "Links", "List links")
            .filter("participant_id")
            .query("status", words(LinkStatus::WORDS))
            .lists("Link"),
        operation("POST /api/v1/links", "createLink", "Links", "Make a link")
            .body([
                ("participant_id", id::<ids::Participant>()),
                ("landing_url", said(url(2_048), "On a registered host.")),
                ("ref?", said(text(255), "Unique per workspace and mode, without white space; made up by default.")),
                ("slug?", said(slug(), "Of the short link; unique in this installation; made up by default.")),
                ("name?", text(100)),
            ])
            .makes("Link")
            .refused(409),
        operation("GET /api/v1/links/{id}", "getLink", "Links", "Read a link").of::<ids::Link>().shows("Link"),
        operation("PATCH /api/v1/links/{id}", "changeLink", "Links", "Change a link's name or where it leads")
            .of::<ids::Link>()
            .body([("landing_url?", url(2_048)), ("name?", text(100)), ("clear?", clear(&["name"]))])
            .shows("Link"),
        act("POST /api/v1/links/{id}/activate", "activateLink", "Let a link take clicks again"),
        act("POST /api/v1/links/{id}/pause", "pauseLink", "Let a link take no clicks for now"),
        act("POST /api/v1/links/{id}/archive", "archiveLink", "Let a link take no clicks any more"),
    ]
}

fn promo_codes() -> Vec<Operation> {
    let of_stripe = || {
        said(
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^promo_" }),
            "Stripe's id of the promotion code.",
        )
    };
    vec![
        operation("GET /api/v1/promo-codes", "listPromoCodes", "Promo codes", "List promo codes")
            .filter("participant_id")
            .lists("PromoCode"),
        operation("POST /api/v1/promo-codes", "createPromoCode", "Promo codes", "Make a promo code")
            .body([
                ("participant_id", id::<ids::Participant>()),
                ("code", said(text(100), "Unique per workspace and mode, whatever the case.")),
                ("stripe_promotion_code_id?", of_stripe()),
            ])
            .makes("PromoCode")
            .refused(409),
        operation("GET /api/v1/promo-codes/{id}", "getPromoCode", "Promo codes", "Read a promo code")
            .of::<ids::PromoCode>()
            .shows("PromoCode"),
        operation("PATCH /api/v1/promo-codes/{id}", "changePromoCode", "Promo codes", "Map a promo code to Stripe's")
            .about("Sales that named it before are decided again.")
            .of::<ids::PromoCode>()
            .body([("stripe_promotion_code_id?", of_stripe()), ("clear?", clear(&["stripe_promotion_code_id"]))])
            .shows("PromoCode")
            .refused(409),
    ]
}

fn hosts() -> Vec<Operation> {
    vec![
        operation("GET /api/v1/hosts", "listHosts", "Hosts", "List hosts").lists("Host"),
        operation("POST /api/v1/hosts", "createHost", "Hosts", "Register a host")
            .body([("host", said(text(255), "A name, with a port where it has one: `shop.example`."))])
            .makes("Host")
            .refused(409),
        operation("DELETE /api/v1/hosts/{id}", "deleteHost", "Hosts", "Take a host away").of::<ids::Host>().removes(),
    ]
}
