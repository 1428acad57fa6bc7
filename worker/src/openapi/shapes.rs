//! The shapes of objects in answers, by name.

use domain::account::Role;
use domain::agent::{Browser, Device};
use domain::attribution::{Method, Reason, WINDOW_DAYS_MAX};
use domain::fraud::{Response, Rule};
use domain::ids;
use domain::key::KeyScope;
use domain::ledger::EntryKind;
use domain::partner::{Applications, InviteStatus, QuestionStatus};
use domain::payout::PayoutStatus;
use domain::retention::{CLICKS_KEPT_DAYS_MAX, CLICKS_KEPT_DAYS_MIN};
use domain::reward::{Basis, ReviewReason, Trigger, WHOLE_BPS};
use domain::sale::listed::Kind;
use domain::sale::{ConversionStatus, Source};
use domain::status::{
    AttributionModel, CommissionState, DeliveryStatus, DisabledReason, EndpointStatus, LinkStatus, LookupKind,
    LookupState, ParticipantStatus, ProgramStatus, StripeOutcome,
};
use domain::webhook::{EVENT_TYPES, PING};
use serde_json::{Value as Json, json};

use super::errors;
use super::schema::*;

/// Every shape that has a name.
pub fn all() -> Vec<(&'static str, Json)> {
    let mut all = vec![("Error", errors::schema()), ("TrackError", errors::tracked_schema())];
    all.extend(tracked());
    all.extend(sales());
    all.extend(programs());
    all.extend(money());
    all.extend(stripe());
    all.extend(webhooks());
    all.extend(workspace());
    all
}

/// Every kind of event that is told.
pub fn event_types() -> Vec<&'static str> {
    EVENT_TYPES.into_iter().chain([PING]).collect()
}

fn sales() -> Vec<(&'static str, Json)> {
    let credit = |mut all: Vec<Property<'static>>| {
        all.extend([
            ("status", words(&["attributed", "unattributed"])),
            ("method", nullable(words(Method::WORDS))),
            ("reason", words(Reason::WORDS)),
            ("click_id", nullable(any_text())),
            ("promo_code", nullable(any_text())),
            ("program_id", nullable(id::<ids::Program>())),
            ("participant_id", nullable(id::<ids::Participant>())),
        ]);
        all
    };
    let stripe_ids = ["session", "payment_intent", "invoice", "subscription", "customer"];
    let stripe_ids = stripe_ids.map(|name| format!("{name}?"));
    let conversion = object([
        ("id", id::<ids::Conversion>()),
        ("mode", mode()),
        ("source", said(words(Source::WORDS), "Who told of it: this API, Stripe, or the Lead API.")),
        ("status", words(ConversionStatus::WORDS)),
        ("external_transaction_id", nullable(any_text())),
        ("event_type", any_text()),
        ("amount_cents", said(amount(), "In the currency's minor unit.")),
        ("currency", nullable(currency())),
        ("refunded_cents", amount()),
        ("occurred_at", time()),
        ("click_id", said(nullable(any_text()), "The click that was reported; which one won says `attribution`.")),
        ("promo_code", nullable(any_text())),
        ("customer_external_id", nullable(any_text())),
        ("metadata", nullable(anything("As it was reported."))),
        (
            "stripe",
            said(
                object(stripe_ids.iter().map(|name| (name.as_str(), any_text()))),
                "Stripe's ids of the sale, as far as they are known.",
            ),
        ),
        ("attribution", object(credit(Vec::new()))),
        ("decision_id", id::<ids::Decision>()),
        ("commission_id", nullable(id::<ids::Commission>())),
        ("customer_id", nullable(id::<ids::Customer>())),
        ("created_at", said(time(), "When it was recorded.")),
        ("explanation?", said(named("Explanation"), "With `explain=1` only.")),
    ]);
    let candidate = object([
        ("method", words(Method::WORDS)),
        ("value", any_text()),
        (
            "outcome",
            said(
                words(&[&["won", "not_needed"], Reason::WORDS].concat()),
                "`won`, `not_needed` because another had won, or why it lost.",
            ),
        ),
    ]);
    let explanation = object([
        ("inputs", anything("What the decision looked at. Its members depend on the version of the rules.")),
        ("candidates", said(list(candidate), "In the order in which they were tried.")),
        ("steps", said(list(any_text()), "The same in sentences.")),
    ]);
    let decision = object(credit(vec![
        ("id", id::<ids::Decision>()),
        ("mode", mode()),
        ("conversion_id", said(nullable(id::<ids::Conversion>()), "Null where the report was refused.")),
        ("external_transaction_id", nullable(any_text())),
        (
            "refused",
            said(
                nullable(words(&["NO_ATTRIBUTION_SIGNAL", "MODE_MISMATCH"])),
                "The error's code, where the report was refused.",
            ),
        ),
        ("rule_version", count()),
        ("explanation", named("Explanation")),
        ("created_at", time()),
    ]));
    let history = with(
        decision.clone(),
        [
            ("history", said(list(named("Decision")), "The decisions before this one, the newest first.")),
            ("acts", said(list(named("Act")), "What people did to the conversion and its commissions.")),
        ],
    );
    let by = json!({ "oneOf": [
        object([("kind", json!({ "const": "key" }))]),
        object([("kind", json!({ "const": "member" })), ("name", any_text()), ("email", any_text())]),
    ]});
    let act = object([
        ("id", id::<ids::Act>()),
        ("kind", said(any_text(), "Such as `commission.reject`.")),
        ("subject", any_text()),
        ("reason", nullable(any_text())),
        ("detail", nullable(anything("What it said beside."))),
        ("by", by),
        ("request_id", nullable(any_text())),
        ("created_at", time()),
    ]);
    let click = object([
        ("id", click_id()),
        ("click_id", click_id()),
        ("mode", mode()),
        ("link_id", id::<ids::Link>()),
        ("participant_id", id::<ids::Participant>()),
        ("url", nullable(any_text())),
        ("referrer", nullable(any_text())),
        ("human", said(boolean(), "Whether it counts.")),
        ("flags", said(list(any_text()), "Why it does not count; `unmetered`, `recovered`.")),
        ("device", nullable(words(Device::WORDS))),
        ("browser", nullable(words(Browser::WORDS))),
        ("country", nullable(json!({ "type": "string", "minLength": 2, "maxLength": 2 }))),
        ("request_id", nullable(any_text())),
        ("created_at", time()),
    ]);
    let customer = object([
        ("id", id::<ids::Customer>()),
        ("mode", mode()),
        ("external_id", nullable(any_text())),
        ("stripe_customer_id", nullable(any_text())),
        ("participant_id", said(nullable(id::<ids::Participant>()), "Who won them.")),
        ("bound_by", said(nullable(id::<ids::Conversion>()), "The conversion that bound them.")),
        ("bound_at", nullable(time())),
        ("purchases", count()),
        ("created_at", time()),
    ]);
    let refund_id = id_pattern("(rfd|fact)");
    let refund_id = || json!({ "type": "string", "pattern": refund_id });
    let reported = object([
        ("id", refund_id()),
        ("mode", mode()),
        ("conversion_id", id::<ids::Conversion>()),
        ("external_refund_id", any_text()),
        ("amount_cents", amount()),
        ("currency", nullable(currency())),
        ("created_at", time()),
    ]);
    let statuses = ["pending", "requires_action", "succeeded", "failed", "canceled", "open", "won", "lost"];
    let refund = object([
        ("id", refund_id()),
        ("mode", mode()),
        ("kind", words(Kind::WORDS)),
        ("source", words(&["api", "stripe"])),
        ("conversion_id", said(nullable(id::<ids::Conversion>()), "Null while nobody knows the sale.")),
        ("external_refund_id", any_text()),
        ("sale_key", said(any_text(), "An id of the sale that it speaks of.")),
        ("amount_cents", amount()),
        ("currency", nullable(currency())),
        ("status", words(&statuses)),
        ("created_at", time()),
    ]);
    let alert = object([
        ("id", id::<ids::FraudAlert>()),
        ("mode", mode()),
        ("conversion_id", id::<ids::Conversion>()),
        ("participant_id", id::<ids::Participant>()),
        ("rule", words(Rule::WORDS)),
        ("explanation", said(nullable(any_text()), "What the rule looks for.")),
        ("response", words(Response::WORDS)),
        ("status", words(&["open", "dismissed"])),
        ("created_at", time()),
    ]);
    let clicked = object([
        ("click_id", click_id()),
        ("visitor_token", json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" })),
    ]);
    vec![
        ("RegisteredClick", clicked),
        ("Click", click),
        ("Conversion", conversion),
        ("Explanation", explanation),
        ("Decision", decision),
        ("DecisionWithHistory", history),
        ("Act", act),
        ("Customer", customer),
        ("ReportedRefund", reported),
        ("Refund", refund),
        ("FraudAlert", alert),
    ]
}

/// In Traaaction's spelling. Whoever is nobody in particular is told of the rest only what they said themselves.
fn tracked() -> Vec<(&'static str, Json)> {
    let attribution = object([
        ("status", words(&["attributed", "unattributed"])),
        ("reason", words(Reason::WORDS)),
        ("programId", nullable(id::<ids::Program>())),
        ("participantId", nullable(id::<ids::Participant>())),
    ]);
    let conversion = object([
        ("id", id::<ids::Conversion>()),
        ("mode", mode()),
        ("eventName?", any_text()),
        ("customerExternalId?", nullable(any_text())),
        ("clickId?", nullable(any_text())),
        ("amount?", amount()),
        ("currency?", nullable(currency())),
        ("externalTransactionId?", nullable(any_text())),
        ("createdAt?", time()),
        ("attribution?", attribution),
        ("commissionId?", nullable(id::<ids::Commission>())),
    ]);
    let customer = object([
        ("externalId", any_text()),
        ("email?", any_text()),
        ("name?", any_text()),
        ("id?", id::<ids::Customer>()),
    ]);
    let duplicate = || said(json!({ "const": true }), "It came before; this is the first one.");
    let lead = object([
        ("success", json!({ "const": true })),
        ("customer", customer),
        ("lead?", named("TrackedConversion")),
        ("deferred?", json!({ "const": true })),
        ("duplicate?", duplicate()),
    ]);
    let sale = object([
        ("success", json!({ "const": true })),
        ("conversion", named("TrackedConversion")),
        ("duplicate?", duplicate()),
    ]);
    vec![("TrackedConversion", conversion), ("TrackedLead", lead), ("TrackedSale", sale)]
}

fn programs() -> Vec<(&'static str, Json)> {
    let flat = object([("amount_cents", amount()), ("currency", currency())]);
    let version = object([
        ("id", id::<ids::Reward>()),
        ("version_id", id::<ids::RewardVersion>()),
        ("version", integer(1, 1_001)),
        ("participant_id", nullable(id::<ids::Participant>())),
        ("trigger", words(Trigger::WORDS)),
        ("event_type", nullable(any_text())),
        ("percent_bps", nullable(integer(0, WHOLE_BPS))),
        ("flat", nullable(flat)),
        ("basis", words(Basis::WORDS)),
        ("hold_days", integer(0, 365)),
        ("auto_approve", boolean()),
        ("payments_max", nullable(integer(1, 1_000))),
        ("valid_from", time()),
        ("retired", boolean()),
    ]);
    let reward =
        with(version.clone(), [("mode", mode()), ("program_id", id::<ids::Program>()), ("created_at", time())]);
    let with_versions =
        with(reward.clone(), [("versions", said(list(named("RewardVersion")), "All of them, the newest first."))]);
    let policy = object(Rule::WORDS.iter().map(|rule| (*rule, words(Response::WORDS))));
    let program = object([
        ("id", id::<ids::Program>()),
        ("mode", mode()),
        ("name", any_text()),
        ("slug", any_text()),
        ("status", words(ProgramStatus::WORDS)),
        ("attribution_window_days", integer(1, WINDOW_DAYS_MAX)),
        ("attribution_model", words(AttributionModel::WORDS)),
        ("fraud", said(policy, "What is done about each fraud rule.")),
        ("reverse_pending_on_end", boolean()),
        ("minimum_payout_cents", amount()),
        ("terms", any_text()),
        ("applications", words(Applications::WORDS)),
        (
            "rewards",
            said(
                list(named("RewardVersion")),
                "The newest version of each; none that is retired or a participant's own.",
            ),
        ),
        ("created_at", time()),
    ]);
    let partner = object([
        ("id", id::<ids::Partner>()),
        ("mode", mode()),
        ("name", any_text()),
        ("email", any_text()),
        ("erased_at", nullable(time())),
        ("created_at", time()),
    ]);
    let payout_details = object([
        ("partner_id", id::<ids::Partner>()),
        ("mode", mode()),
        ("method", nullable(any_text())),
        ("details", nullable(any_text())),
        ("tax_id", nullable(any_text())),
    ]);
    let application = object([
        ("name", any_text()),
        ("promotion", any_text()),
        ("invited", boolean()),
        ("terms_sha256", any_text()),
        ("at", time()),
    ]);
    let participant = object([
        ("id", id::<ids::Participant>()),
        ("mode", mode()),
        ("program_id", id::<ids::Program>()),
        ("partner_id", id::<ids::Partner>()),
        ("status", words(ParticipantStatus::WORDS)),
        ("application", said(nullable(application), "What they said when they joined by themselves.")),
        ("created_at", time()),
    ]);
    let link = object([
        ("id", id::<ids::Link>()),
        ("mode", mode()),
        ("participant_id", id::<ids::Participant>()),
        ("ref", any_text()),
        ("slug", any_text()),
        ("landing_url", any_text()),
        ("name", any_text()),
        ("status", words(LinkStatus::WORDS)),
        ("clicks", said(count(), "Those that count, so far.")),
        ("short_url", any_text()),
        ("created_at", time()),
    ]);
    let promo_code = object([
        ("id", id::<ids::PromoCode>()),
        ("mode", mode()),
        ("participant_id", id::<ids::Participant>()),
        ("code", any_text()),
        ("stripe_promotion_code_id", nullable(any_text())),
        ("created_at", time()),
    ]);
    let host = object([("id", id::<ids::Host>()), ("mode", mode()), ("host", any_text()), ("created_at", time())]);
    let invite = object([
        ("id", id::<ids::Invite>()),
        ("mode", mode()),
        ("program_id", id::<ids::Program>()),
        ("email", any_text()),
        ("name", any_text()),
        ("status", words(InviteStatus::WORDS)),
        ("expires_at", time()),
        ("participant_id", nullable(id::<ids::Participant>())),
        ("accepted_at", nullable(time())),
        ("revoked_at", nullable(time())),
        ("created_at", time()),
        ("url?", said(any_text(), "Where they join. Only in the answer that made the invite.")),
    ]);
    let question = object([
        ("id", id::<ids::Question>()),
        ("mode", mode()),
        ("program_id", id::<ids::Program>()),
        ("participant_id", id::<ids::Participant>()),
        ("external_transaction_id", nullable(any_text())),
        ("happened_on", nullable(json!({ "type": "string", "format": "date" }))),
        ("conversion_id", nullable(id::<ids::Conversion>())),
        ("text", any_text()),
        ("status", words(QuestionStatus::WORDS)),
        ("answer", nullable(any_text())),
        ("answered_at", nullable(time())),
        ("created_at", time()),
    ]);
    let conversions = said(
        list(named("ConversionWithDecision")),
        "The conversions that it names, as far as this workspace and mode have them.",
    );
    let beside = with(question.clone(), [("conversions", conversions)]);
    let mut found = sales();
    let conversion = found.iter_mut().find(|(name, _)| *name == "Conversion").map(|(_, schema)| schema.take());
    let conversion = with(conversion.unwrap_or_default(), [("decision", nullable(named("Decision")))]);
    vec![
        ("Program", program),
        ("RewardVersion", version),
        ("Reward", reward),
        ("RewardWithVersions", with_versions),
        ("Partner", partner),
        ("PayoutDetails", payout_details),
        ("Participant", participant),
        ("Invite", invite),
        ("Link", link),
        ("PromoCode", promo_code),
        ("Host", host),
        ("Question", question),
        ("QuestionWithConversions", beside),
        ("ConversionWithDecision", conversion),
    ]
}

fn money() -> Vec<(&'static str, Json)> {
    let entry = object([
        ("amount_cents", signed_amount()),
        ("kind", words(EntryKind::WORDS)),
        ("cause", said(any_text(), "The id of the fact or act that it was made for.")),
        ("created_at", time()),
    ]);
    let commission = object([
        ("id", id::<ids::Commission>()),
        ("mode", mode()),
        ("conversion_id", id::<ids::Conversion>()),
        ("participant_id", id::<ids::Participant>()),
        ("program_id", id::<ids::Program>()),
        ("amount_cents", said(signed_amount(), "The sum of its entries.")),
        ("currency", currency()),
        ("state", words(CommissionState::WORDS)),
        ("needs_review", said(boolean(), "A person has to look before it is approved.")),
        ("review_reasons", words_of(ReviewReason::WORDS)),
        ("disputed", said(boolean(), "A dispute is open: it is neither approved nor paid meanwhile.")),
        ("hold_until", time()),
        ("reward_version", id::<ids::RewardVersion>()),
        ("entries", said(list(entry), "Never changed; the oldest first.")),
        ("created_at", time()),
    ]);
    let payout = object([
        ("id", id::<ids::Payout>()),
        ("mode", mode()),
        ("participant_id", id::<ids::Participant>()),
        ("program_id", id::<ids::Program>()),
        ("amount_cents", amount()),
        ("amount", decimal()),
        ("currency", currency()),
        ("status", words(PayoutStatus::WORDS)),
        ("entries", said(count(), "How many entries it settles.")),
        ("commission_ids", list(id::<ids::Commission>())),
        ("created_at", time()),
        ("paid_at", nullable(time())),
        ("canceled_at", nullable(time())),
    ]);
    let balance = object([
        ("currency", currency()),
        ("unsettled_cents", signed_amount()),
        ("unsettled", decimal()),
        ("status", said(words(&["due", "carried"]), "Whether a payout made now would take the unsettled amount.")),
        ("drafted_cents", signed_amount()),
        ("paid_cents", signed_amount()),
        ("minimum_payout_cents", amount()),
    ]);
    let balances = object([
        ("participant_id", id::<ids::Participant>()),
        ("program_id", id::<ids::Program>()),
        ("mode", mode()),
        ("balances", said(list(balance), "One for each currency.")),
    ]);
    let drafts = object([
        ("data", list(named("Payout"))),
        ("left", said(count(), "So many more are due: repeat the call until it is 0.")),
    ]);
    vec![("Commission", commission), ("Payout", payout), ("Balances", balances), ("PayoutDrafts", drafts)]
}

fn stripe() -> Vec<(&'static str, Json)> {
    let received = object([
        ("received", json!({ "const": true })),
        ("outcome", words(StripeOutcome::WORDS)),
        ("reason", nullable(any_text())),
        ("duplicate", said(boolean(), "It had come before.")),
    ]);
    let connection = object([
        ("id", id::<ids::Connection>()),
        ("mode", mode()),
        ("url", said(any_text(), "What Stripe is to be told as the endpoint's URL.")),
        ("has_restricted_key", boolean()),
        ("previous_secret_accepted_until", nullable(time())),
        ("created_at", time()),
    ]);
    let reconcile = object([
        ("state", words(LookupState::WORDS)),
        ("found", count()),
        ("new", count()),
        ("last_error", nullable(any_text())),
        ("started_at", time()),
        ("finished_at", nullable(time())),
    ]);
    let lookups = object([("pending", count()), ("failed", count()), ("last_error", nullable(any_text()))]);
    let with_lookups = with(
        connection.clone(),
        [
            ("reconcile", said(nullable(reconcile), "How far listing what Stripe could not deliver has come.")),
            ("lookups", said(lookups, "What Stripe's API is asked.")),
        ],
    );
    let lookup = object([
        ("id", id::<ids::StripeLookup>()),
        ("mode", mode()),
        ("connection_id", id::<ids::Connection>()),
        ("kind", words(LookupKind::WORDS)),
        ("subject", any_text()),
        ("state", words(LookupState::WORDS)),
        ("found", count()),
        ("attempts", count()),
        ("last_error", nullable(any_text())),
        ("finished_at", nullable(time())),
        ("created_at", time()),
    ]);
    let event = object([
        ("id", id::<ids::StripeEvent>()),
        ("mode", mode()),
        ("connection_id", id::<ids::Connection>()),
        ("stripe_id", said(any_text(), "`evt_…`.")),
        ("type", any_text()),
        ("outcome", words(StripeOutcome::WORDS)),
        ("reason", nullable(any_text())),
        ("request_id", nullable(any_text())),
        ("created_at", time()),
    ]);
    vec![
        ("StripeEventReceived", received),
        ("StripeConnection", connection),
        ("StripeConnectionWithLookups", with_lookups),
        ("StripeLookup", lookup),
        ("StripeEvent", event),
    ]
}

fn webhooks() -> Vec<(&'static str, Json)> {
    let listed: Vec<&str> = std::iter::once("*").chain(event_types()).collect();
    let endpoint = object([
        ("id", id::<ids::Endpoint>()),
        ("mode", mode()),
        ("url", any_text()),
        ("events", words_of(&listed)),
        ("status", words(EndpointStatus::WORDS)),
        ("disabled_reason", nullable(words(DisabledReason::WORDS))),
        ("failing_since", nullable(time())),
        ("previous_secret_until", said(nullable(time()), "Until then the old secret signs too.")),
        ("created_at", time()),
        ("secret?", said(any_text(), "`whsec_…`. Only in the answer that made the endpoint or its new secret.")),
    ]);
    let event = object([
        ("id", id::<ids::Event>()),
        ("type", words(&event_types())),
        ("api_version", json!({ "const": "v1" })),
        ("mode", mode()),
        ("created_at", time()),
        ("subject", said(any_text(), "The id of what it is about.")),
        ("sequence", said(integer(1, i64::from(u32::MAX)), "Counts from 1 for each subject, without a gap.")),
        (
            "data",
            anything(
                "What it is about as it was then: a conversion, commission, participant or payout, and what else there is to say.",
            ),
        ),
    ]);
    let attempt = object([
        ("number", integer(1, i64::from(u32::MAX))),
        ("at", time()),
        ("duration_ms", count()),
        ("url", any_text()),
        ("headers", anything("Those that were made for it.")),
        ("status", nullable(integer(100, 999))),
        ("error", nullable(any_text())),
        ("answer", said(nullable(any_text()), "How it began.")),
    ]);
    let delivery = object([
        ("id", id::<ids::Delivery>()),
        ("mode", mode()),
        ("endpoint_id", id::<ids::Endpoint>()),
        ("event_id", id::<ids::Event>()),
        ("type", words(&event_types())),
        ("status", words(DeliveryStatus::WORDS)),
        ("next_attempt_at", nullable(time())),
        ("created_at", time()),
        ("finished_at", nullable(time())),
        ("request", named("Event")),
        ("attempts", list(attempt)),
    ]);
    let resent = object([("resent", count()), ("more", said(boolean(), "Some are left: repeat the call."))]);
    vec![("WebhookEndpoint", endpoint), ("WebhookDelivery", delivery), ("ResentDeliveries", resent), ("Event", event)]
}

fn workspace() -> Vec<(&'static str, Json)> {
    let limits =
        object([("clicks_per_minute", count()), ("conversions_per_minute", count()), ("other_per_minute", count())]);
    let workspace = object([
        ("id", id::<ids::Workspace>()),
        ("mode", mode()),
        ("name", any_text()),
        ("limits", limits),
        ("clicks_kept_days", integer(CLICKS_KEPT_DAYS_MIN, CLICKS_KEPT_DAYS_MAX)),
        (
            "track_by_workspace_id",
            said(boolean(), "Whether the workspace's id alone suffices to report leads and sales at `/api/track/…`."),
        ),
        ("role", said(nullable(words(Role::WORDS)), "Of whoever is signed in; null for a key.")),
        ("created_at", time()),
    ]);
    let waiting = [
        "reviews",
        "applications",
        "questions",
        "fraud_alerts",
        "unmatched_refunds",
        "failed_stripe_events",
        "parked_stripe_events",
        "dead_letters",
        "disabled_endpoints",
        "counted_up_to",
    ];
    let earned = object([
        ("currency", currency()),
        ("pending_cents", signed_amount()),
        ("approved_cents", signed_amount()),
        ("paid_cents", signed_amount()),
        ("rejected_cents", signed_amount()),
    ]);
    let date = || json!({ "type": "string", "format": "date" });
    let day = object([
        ("day", date()),
        ("clicks?", object([("people", count()), ("machines", count())])),
        ("conversions?", object([("credited", count()), ("uncredited", count())])),
        ("commissions?", list(earned)),
    ]);
    let totals = object([
        ("mode", mode()),
        ("from", date()),
        ("to", date()),
        ("days", list(day)),
        (
            "waiting",
            said(object(waiting.map(|name| (name, count()))), "What waits for somebody, each counted up to a bound."),
        ),
    ]);
    let topics = ["test_run", "program", "rewards", "click", "stripe", "stripe_types", "webhook", "purchase"];
    let missing = ["nothing_seen", "types", "no_event", "no_reward", "changed_since", "no_https_endpoint", "no_ping"];
    let item = object([
        ("topic", words(&topics)),
        ("is_done", boolean()),
        ("missing", said(nullable(words(&missing)), "Why it is not done.")),
        ("missing_types?", said(list(any_text()), "Types of Stripe's events that are to come yet.")),
        (
            "evidence",
            list(object([("kind", any_text()), ("what", said(any_text(), "Which: an id, or who.")), ("at", time())])),
        ),
    ]);
    let checklist = object([("is_ready", boolean()), ("items", list(item))]);
    let hit = object([
        ("resource", said(any_text(), "The list that it is of, as its path is called.")),
        ("id", any_text()),
        ("label", any_text()),
        ("about", any_text()),
    ]);
    let export = object([
        ("id", id::<ids::Export>()),
        ("mode", mode()),
        ("workspace_id", id::<ids::Workspace>()),
        ("modes", list(mode())),
        ("created_at", time()),
        ("pages_until", time()),
        ("first_page", any_text()),
        (
            "contents",
            anything("Tables that are exported, those that are left out and columns that are withheld, each with why."),
        ),
    ]);
    let row = object([
        ("line", count()),
        ("outcome", words(&["created", "would_create", "unchanged", "error"])),
        ("id", nullable(any_text())),
        ("errors", list(object([("field", any_text()), ("message", any_text())]))),
        ("differs?", said(list(any_text()), "Columns that say something else than what is there.")),
    ]);
    let counts =
        object([("created?", count()), ("would_create?", count()), ("unchanged", count()), ("error", count())]);
    let settings = object([
        ("track_by_workspace_id", boolean()),
        (
            "reverse_pending_on_end",
            said(list(any_text()), "The programs that take back what is pending when a subscription ends."),
        ),
    ]);
    let import = object([
        ("kind", words(&["partners", "links", "promo_codes"])),
        ("mode", mode()),
        ("dry_run", boolean()),
        ("counts", counts),
        ("rows", list(row)),
        ("settings?", said(settings, "What came along with what is Traaaction's.")),
    ]);
    let member = object([
        ("id", id::<ids::Member>()),
        ("email", any_text()),
        ("name", any_text()),
        ("role", words(Role::WORDS)),
        ("last_seen_at", nullable(time())),
        ("created_at", time()),
    ]);
    let key = object([
        ("id", id::<ids::Key>()),
        ("mode", mode()),
        ("kind", words(&["public", "secret"])),
        ("scopes", said(nullable(words_of(KeyScope::WORDS)), "Null for a public key.")),
        ("shown", said(any_text(), "A public key whole; of a secret one its beginning.")),
        ("created_at", time()),
        ("revoked_at", nullable(time())),
        ("key?", said(any_text(), "The key. Only in the answer that made it.")),
    ]);
    let counts = |about| json!({ "type": "object", "additionalProperties": count(), "description": about });
    let wiped = object([
        ("mode", json!({ "const": "test" })),
        ("program_id", nullable(id::<ids::Program>())),
        ("act_id", nullable(id::<ids::Act>())),
        ("deleted", counts("Rows, by kind.")),
        ("left", counts("Rows, by kind.")),
        ("done", said(boolean(), "Nothing is left: else repeat the call.")),
    ]);
    let reviewed = object([("act_id", id::<ids::Act>()), ("created_at", time())]);
    vec![
        ("Workspace", workspace),
        ("Member", member),
        ("ApiKey", key),
        ("Totals", totals),
        ("Checklist", checklist),
        ("Hits", object([("data", list(hit))])),
        ("Export", export),
        ("Import", import),
        ("WipedTestData", wiped),
        ("RewardsReviewed", reviewed),
        ("Health", object([("status", json!({ "const": "ok" }))])),
    ]
}
