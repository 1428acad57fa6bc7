//! Every form that shows what an object has, sent just as it is shown: nothing may change by it.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::Shop;
use super::forms::filled;
use crate::pages::dashboard::resources::every;
use crate::testing::Visitor;

/// An object as the API shows it, without what tells that it was saved.
fn read(shop: &Shop, path: &str) -> Json {
    let answer = shop.world.api(&format!("GET /api/v1/{path}"), json!(null));
    assert_eq!(answer.status, 200, "{path}: {}", answer.raw);
    let mut shown = answer.body;
    for field in ["version", "version_id", "valid_from", "versions"] {
        shown.as_object_mut().unwrap().remove(field);
    }
    shown
}

/// Opens a form and sends it as it is.
#[track_caller]
fn saves(shop: &Shop, owner: &Visitor<'_>, page: &str) {
    shop.world.pass_ms(1_000);
    let opened = owner.get(&shop.at(page));
    assert_eq!(opened.status, 200, "{page}: {}", opened.raw);
    let sent = filled(&opened.raw);
    assert!(sent.len() > 1, "{page}: {sent:?}");
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(sent).finish();
    let answer = owner.post(&shop.at(page), &body);
    assert!([200, 303].contains(&answer.status.as_u16()), "{page} {body}: {}", answer.raw);
}

#[test]
fn a_form_that_is_sent_as_it_is_shown_changes_nothing() {
    let shop = Shop::new();
    let owner = shop.owner();
    let world = &shop.world;
    let make = |path: &str, body: Json| format!("{path}/{}", world.make(&world.keys.sk_test, path, body));
    let program = format!("programs/{}", shop.program.program_id);
    let odd = make(
        "programs",
        json!({"name": "<b> & \"quotes\"", "terms": "\nOne & two\n\n  three\n", "fraud": {"click_burst": "block"},
            "attribution_model": "first_click", "applications": "closed", "reverse_pending_on_end": true,
            "minimum_payout_cents": 2_500, "attribution_window_days": 365}),
    );
    let reward = |extra: Json| {
        let mut body = json!({"program_id": shop.program.program_id, "trigger": "lead"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        make("rewards", body)
    };
    let share = reward(json!({"percent_bps": 1_250, "basis": "net_of_fees", "hold_days": 30, "event_type": "a"}));
    let flat =
        reward(json!({"flat": {"amount_cents": 500, "currency": "JPY"}, "auto_approve": false, "event_type": "b"}));
    let limited = make(
        "rewards",
        json!({"program_id": shop.program.program_id, "trigger": "recurring", "percent_bps": 1, "payments_max": 12,
            "event_type": "c"}),
    );
    let partner = make("partners", json!({"name": "Zo\u{eb} <O\u{2019}Neil> & 'Co'", "email": "zoe@partner.test"}));
    let participant = &shop.program.participant_id;
    let link = make("links", json!({"participant_id": participant, "landing_url": "https://shop.test/?a=1&b=%20"}));
    let plain_code = make("promo-codes", json!({"participant_id": participant, "code": "PLAIN"}));
    let stripes = json!({"participant_id": participant, "code": "ANNA10", "stripe_promotion_code_id": "promo_1"});
    let stripes_code = make("promo-codes", stripes);
    let endpoint =
        |events: Json| make("webhook-endpoints", json!({"url": "https://hooks.test/a?b&c", "events": events}));
    let endpoints = [endpoint(json!(["*"])), endpoint(json!(["payout.paid", "conversion.created"]))];

    let forms = [
        (&program, "edit"),
        (&odd, "edit"),
        (&share, "change"),
        (&flat, "change"),
        (&limited, "change"),
        (&partner, "edit"),
        (&link, "edit"),
        (&plain_code, "edit"),
        (&stripes_code, "edit"),
        (&endpoints[0], "edit"),
        (&endpoints[1], "edit"),
    ];
    for (object, verb) in forms {
        let before = read(&shop, object);
        saves(&shop, &owner, &format!("{object}/{verb}"));
        assert_eq!(read(&shop, object), before, "{object}/{verb}");
    }

    // Members have no reading of one; the workspace's settings are a page of their own.
    let invited = owner.api(&shop.workspace, "POST /api/v1/members", json!({"email": "v@shop.test", "role": "viewer"}));
    let members = || owner.api(&shop.workspace, "GET /api/v1/members", json!(null)).body;
    let before = (members(), read(&shop, "workspace"));
    saves(&shop, &owner, &format!("members/{}/edit", invited.text("/id")));
    saves(&shop, &owner, "settings");
    assert_eq!((members(), read(&shop, "workspace")), before);

    let mut all = BTreeSet::new();
    for resource in every() {
        all.extend(resource.edit.map(|_| (resource.path, "edit")));
        all.extend(resource.acts.iter().filter(|act| act.fills).map(|act| (resource.path, act.verb)));
    }
    let mut sent: BTreeSet<(&str, &str)> =
        forms.iter().map(|(object, verb)| (object.split('/').next().unwrap(), *verb)).collect();
    sent.insert(("members", "edit"));
    assert_eq!(sent, all, "every such form is sent here");
}
