//! The dashboard through the real router and SQL, as a browser without scripts uses it.

mod checklist;
mod import;
mod overview;
mod settings;

use serde_json::json;

use super::frame::GROUPS;
use super::resources;
use crate::testing::{Answer, OPERATOR_TOKEN, Program, Visitor, World};

mod costs;
mod forms;
mod search;
mod story;
mod unchanged;

const OWNER: &str = "owner@shop.test";

/// A workspace with a program, its partner Anna, and an owner.
struct Shop {
    world: World,
    workspace: String,
    program: Program,
}

impl Shop {
    fn new() -> Self {
        let world = World::new();
        let program = world.program(&world.keys.sk_test, "anna");
        let workspace = world.api("GET /api/v1/workspace", json!(null)).text("/id");
        let operator = format!("Bearer {OPERATOR_TOKEN}");
        let line = format!("POST /operator/v1/workspaces/{workspace}/owners");
        let made = world.send(&line, &[("authorization", &operator)], json!({"owner_email": OWNER}));
        assert_eq!(made.status, 201, "{}", made.raw);
        Self { world, workspace, program }
    }

    fn owner(&self) -> Visitor<'_> {
        Visitor::signed_in(&self.world, OWNER)
    }

    /// The address of a page in test mode.
    fn at(&self, page: &str) -> String {
        format!("/app/{}/test/{page}", self.workspace).trim_end_matches('/').to_owned()
    }

    /// A person's click on a link.
    fn visit(&self, pk: &str, link_ref: &str) -> String {
        let headers = [("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36")];
        let clicked = self.world.send("POST /v1/clicks", &headers, json!({"merchant": pk, "ref": link_ref}));
        assert_eq!(clicked.status, 201, "{}", clicked.raw);
        clicked.text("/click_id")
    }

    fn sale(&self, transaction: &str) -> Answer {
        let click = self.visit(&self.world.keys.pk_test, "anna");
        let body = json!({"click_id": click, "external_transaction_id": transaction, "event_type": "purchase",
            "amount_cents": 10_000, "currency": "EUR"});
        self.world.api("POST /api/v1/conversions", body)
    }
}

/// Pages that are not yet there, or have tests of their own.
fn pages() -> impl Iterator<Item = &'static str> {
    let own = ["", "checklist", "settings"];
    GROUPS.iter().flat_map(|group| group.entries).map(|entry| entry.path).filter(move |path| !own.contains(path))
}

#[test]
fn every_list_is_there_in_both_modes_and_says_what_to_do_while_it_is_empty() {
    let shop = Shop::new();
    let owner = shop.owner();
    for page in pages() {
        for mode in ["test", "live"] {
            let shown = owner.get(&format!("/app/{}/{mode}/{page}", shop.workspace));
            assert_eq!(shown.status, 200, "{mode}/{page}: {}", shown.raw);
            assert!(shown.raw.contains("<h1>"), "{mode}/{page}");
        }
    }
}

#[test]
fn what_is_not_there_is_a_page_with_404_and_what_is_not_allowed_one_with_403() {
    let shop = Shop::new();
    let owner = shop.owner();
    let (other, _) = shop.world.owned_workspace("Other", "other@shop.test");
    for path in [
        format!("/app/{other}/test/programs"),
        format!("/app/{}/both/programs", shop.workspace),
        shop.at("nothing"),
        shop.at("programs/prg_1"),
        format!("/app/{}/live/programs/{}", shop.workspace, shop.program.program_id),
        shop.at("api-keys/key_1"),
        shop.at("programs/x/explode"),
    ] {
        let shown = owner.get(&path);
        assert_eq!(shown.status, 404, "{path}: {}", shown.raw);
        assert_eq!(shown.header("content-type"), "text/html; charset=utf-8", "{path}");
    }
    let partner = Visitor::signed_in(&shop.world, "anna@partner.test");
    assert_eq!(partner.get(&shop.at("programs")).status, 403);
    let nobody = Visitor::new(&shop.world);
    assert_eq!(nobody.get(&shop.at("programs")).status, 303);
}

#[test]
fn a_form_makes_what_the_api_makes_and_shows_what_the_api_refuses() {
    let shop = Shop::new();
    let owner = shop.owner();
    let refused = owner.post(&shop.at("programs/new"), "name=&attribution_window_days=many");
    assert_eq!(refused.status, 400, "{}", refused.raw);
    assert!(
        refused.raw.contains("value=\"many\"") && refused.raw.contains("problem-attribution_window_days"),
        "{}",
        refused.raw
    );
    let made = owner.post(&shop.at("programs/new"), "name=Friends+%3Cb%3E&slug=friends&attribution_window_days=60");
    assert_eq!(made.status, 303, "{}", made.raw);
    let page = owner.get(made.header("location"));
    assert!(page.raw.contains("Program added.") && page.raw.contains("60 days"), "{}", page.raw);
    assert!(page.raw.contains("Friends &#60;b&#62;") && !page.raw.contains("Friends <b>"), "{}", page.raw);
}

#[test]
fn an_act_is_done_undone_and_never_by_a_viewer_or_another_origin() {
    let shop = Shop::new();
    let owner = shop.owner();
    let suspend = shop.at(&format!("participants/{}/suspend", shop.program.participant_id));
    assert_eq!(owner.post_from("https://evil.test", &suspend, "").status, 403);
    let status = || {
        shop.world
            .api(&format!("GET /api/v1/participants/{}", shop.program.participant_id), json!(null))
            .text("/status")
    };
    assert_eq!(status(), "approved");
    let done = owner.post(&suspend, "");
    assert_eq!((done.status.as_u16(), status().as_str()), (303, "suspended"), "{}", done.raw);
    let page = owner.get(done.header("location"));
    // To approve an applicant who was turned down, or a commission that waited, is more than to take that back.
    assert!(page.raw.contains("is suspended") && !page.raw.contains("Undo"), "{}", page.raw);
    let paused = owner.post(&shop.at(&format!("programs/{}/pause", shop.program.program_id)), "");
    let page = owner.get(paused.header("location"));
    assert!(
        page.raw.contains(&format!("/programs/{}/activate\"", shop.program.program_id)) && page.raw.contains("Undo"),
        "{}",
        page.raw
    );
    assert_eq!(owner.post(&shop.at(&format!("programs/{}/activate", shop.program.program_id)), "").status, 303);
    assert_eq!(owner.post(&shop.at(&format!("participants/{}/approve", shop.program.participant_id)), "").status, 303);
    assert_eq!(status(), "approved");
    // What is asked twice is refused, as a page.
    assert_eq!(owner.post(&shop.at(&format!("participants/{}/approve", shop.program.participant_id)), "").status, 409);

    let invited = owner.post(&shop.at("members/new"), "email=v%40shop.test&role=viewer");
    assert_eq!(invited.status, 303, "{}", invited.raw);
    let viewer = Visitor::signed_in(&shop.world, "v@shop.test");
    assert_eq!(viewer.get(&shop.at("participants")).status, 200);
    assert!(!viewer.get(&shop.at("participants")).raw.contains("Suspend<"));
    assert_eq!(viewer.post(&suspend, "").status, 403);
    assert_eq!(viewer.get(&shop.at("programs/new")).status, 403);
}

#[test]
fn what_was_done_is_told_to_who_did_it_by_an_address_of_ours_and_for_a_while() {
    let shop = Shop::new();
    let owner = shop.owner();
    let program = shop.at(&format!("programs/{}", shop.program.program_id));
    let tells = |by: &Visitor, address: &str| {
        let page = by.get(address);
        assert_eq!(page.status, 200, "{address}: {}", page.raw);
        page.raw.contains("class=\"notice\"")
    };
    let paused = owner.post(&format!("{program}/pause"), "");
    let address = paused.header("location").to_owned();
    assert!(tells(&owner, &address), "{address}");
    let (bare, seal) = address.split_once("&seal=").unwrap();
    let of = format!("&of={}&kind=programs", shop.program.program_id);
    for forged in [
        bare.to_owned(),
        format!("{bare}&seal="),
        format!("{bare}&seal={}", seal.replace(|digit: char| digit != '0', "0")),
        address.replace("done=pause", "done=archive"),
        address.replace(&of, "&of=prog_x&kind=programs"),
        format!("{address}&made=3"),
        format!("{}?{}", shop.at("programs"), address.split_once('?').unwrap().1),
        format!("{}?done=saved&seal={seal}", shop.at("settings")),
        format!("{}?done=reviewed", shop.at("checklist")),
    ] {
        assert!(!tells(&owner, &forged), "{forged}");
    }
    assert_eq!(owner.post(&shop.at("members/new"), "email=w%40shop.test&role=admin").status, 303);
    assert!(!tells(&Visitor::signed_in(&shop.world, "w@shop.test"), &address));
    for (page, form) in [
        ("settings", "name=First&clicks_kept_days=100"),
        ("checklist/rewards-reviewed", ""),
        ("programs/new", "name=P"),
    ] {
        let done = owner.post(&shop.at(page), form);
        assert_eq!(done.status, 303, "{page}: {}", done.raw);
        assert!(tells(&owner, done.header("location")), "{page}");
    }
    assert!(tells(&owner, &address));
    shop.world.pass_ms(2 * domain::time::MINUTE_MS);
    assert!(!tells(&owner, &address));
}

#[test]
fn a_secret_is_shown_once_and_in_no_address() {
    let shop = Shop::new();
    let owner = shop.owner();
    let made = owner.post(&shop.at("api-keys/new"), "kind=secret");
    assert_eq!(made.status, 200, "{}", made.raw);
    let key = made.raw.split("<code class=\"once\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert!(key.starts_with("sk_test_") && key.len() == 40, "{key}");
    assert_eq!(shop.world.api_as(&key, "GET /api/v1/workspace", json!(null)).status, 200);
    assert!(!owner.get(&shop.at("api-keys")).raw.contains(&key));
}

#[test]
fn hostile_text_is_text_in_pages_and_in_files() {
    let shop = Shop::new();
    let owner = shop.owner();
    let long = "x".repeat(190);
    for (number, name) in
        ["<script>alert(1)</script>", "\"><img src=x>", "=HYPERLINK(1)", "\u{202e}evil", &long].iter().enumerate()
    {
        let body = json!({"name": name, "email": format!("p{number}@partner.test")});
        assert_eq!(shop.world.api("POST /api/v1/partners", body).status, 201);
    }
    let page = owner.get(&shop.at("partners")).raw;
    assert!(
        page.contains("&#60;script&#62;alert(1)") && !page.contains("<script>alert") && !page.contains("<img src=x>"),
        "{page}"
    );
    let file = owner.get(&shop.at("partners/csv"));
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert!(file.raw.contains("'=HYPERLINK(1)"), "{}", file.raw);
    assert_eq!(file.raw.lines().count(), 7, "{}", file.raw);
}

#[test]
fn a_list_is_narrowed_by_its_address_and_goes_on_where_it_ended() {
    let shop = Shop::new();
    let owner = shop.owner();
    for number in 0..30 {
        assert_eq!(shop.sale(&format!("txn_{number}")).status, 201);
    }
    let first = owner.get(&shop.at("conversions")).raw;
    let rows = |page: &str| page.matches("<tr role=\"row\">").count() - 1;
    assert_eq!(rows(&first), 25);
    let next = first.split("\" rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap().replace("&#38;", "&");
    assert_eq!(rows(&owner.get(&next).raw), 5);
    let one = owner.get(&shop.at("conversions?external_transaction_id=txn_7")).raw;
    assert_eq!(rows(&one), 1);
    let refused = owner.get(&shop.at("conversions?from=yesterday"));
    assert!(refused.status == 200 && refused.raw.contains("role=\"alert\""), "{}", refused.raw);
    assert_eq!(owner.get(&shop.at("conversions/csv?external_transaction_id=txn_7")).raw.lines().count(), 2);
    assert_eq!(owner.get(&shop.at("conversions/csv")).raw.lines().count(), 31);
}

#[test]
fn whoever_acted_as_a_member_can_be_erased_as_a_partner() {
    let shop = Shop::new();
    let owner = shop.owner();
    let invited = owner.post(&shop.at("members/new"), "email=both%40shop.test&role=admin");
    assert_eq!(invited.status, 303, "{}", invited.raw);
    let both = Visitor::signed_in(&shop.world, "both@shop.test");
    let commission = shop.sale("t").text("/commission_id");
    assert_eq!(both.post(&shop.at(&format!("commissions/{commission}/reject")), "reason=Mine").status, 303);
    let members = owner.api(&shop.workspace, "GET /api/v1/members", json!(null));
    let member = members.body["data"].as_array().unwrap().iter().find(|one| one["email"] == "both@shop.test").unwrap();
    let id = member["id"].as_str().unwrap();
    assert_eq!(owner.post(&shop.at(&format!("members/{id}/delete")), "").status, 303);
    let partner = json!({"name": "Both", "email": "both@shop.test"});
    let partner = shop.world.make(&shop.world.keys.sk_test, "partners", partner);
    let erased = owner.post(&shop.at(&format!("partners/{partner}/erase")), "");
    assert_eq!(erased.status, 303, "{}", erased.raw);
}

#[test]
fn where_money_goes_is_not_for_a_key_that_only_reads() {
    let shop = Shop::new();
    let owner = shop.owner();
    let key = owner.api(&shop.workspace, "POST /api/v1/api-keys", json!({"kind": "secret", "scopes": ["read"]}));
    assert_eq!(key.status, 201, "{}", key.raw);
    let partner = shop.world.api("GET /api/v1/partners", json!(null)).text("/data/0/id");
    let ask = |path: &str| shop.world.api_as(&key.text("/key"), &format!("GET /api/v1/{path}"), json!(null)).summary();
    assert_eq!(ask(&format!("partners/{partner}")), "200");
    assert_eq!(ask(&format!("partners/{partner}/payout-details")), "403 FORBIDDEN");
}

#[test]
fn terms_can_be_taken_away_and_a_typed_secret_never_comes_back() {
    let shop = Shop::new();
    let owner = shop.owner();
    let edit = shop.at(&format!("programs/{}/edit", shop.program.program_id));
    let terms =
        || shop.world.api(&format!("GET /api/v1/programs/{}", shop.program.program_id), json!(null)).text("/terms");
    assert_eq!(owner.post(&edit, "name=Friends&terms=Be+kind.").status, 303);
    assert_eq!(terms(), "Be kind.");
    assert_eq!(owner.post(&edit, "name=Friends&terms=").status, 303);
    assert_eq!(terms(), "");
    let refused = owner.post(&shop.at("stripe-connections/new"), "signing_secret=sk_mistyped");
    assert_eq!(refused.status, 400, "{}", refused.raw);
    assert!(!refused.raw.contains("sk_mistyped") && refused.raw.contains("type=\"password\""), "{}", refused.raw);
}

#[test]
fn what_is_emptied_ends_where_it_may_and_is_asked_for_again_where_it_must_be_there() {
    let shop = Shop::new();
    let (owner, world) = (shop.owner(), &shop.world);
    let read = |path: &str, at: &str| world.api(&format!("GET /api/v1/{path}"), json!(null)).body[at].clone();
    let program = format!("programs/{}", shop.program.program_id);
    let reward = json!({"program_id": shop.program.program_id, "trigger": "recurring", "percent_bps": 1_000,
        "payments_max": 3, "hold_days": 7, "event_type": "upgrade"});
    let reward = format!("rewards/{}", world.make(&world.keys.sk_test, "rewards", reward));
    let link = format!("links/{}", shop.program.link_id);
    let code =
        json!({"participant_id": shop.program.participant_id, "code": "ANNA", "stripe_promotion_code_id": "promo_1"});
    let code = format!("promo-codes/{}", world.make(&world.keys.sk_test, "promo-codes", code));
    let partner = world.api("GET /api/v1/partners", json!(null)).text("/data/0/id");
    assert_eq!(owner.post(&shop.at(&format!("{program}/edit")), "minimum_payout_cents=500").status, 303);
    for (page, of, form, at, before, after) in [
        ("change", &reward, "percent_bps=10&payments_max=", "payments_max", json!(3), json!(null)),
        ("change", &reward, "percent_bps=10&hold_days=&event_type=", "event_type", json!("upgrade"), json!(null)),
        ("change", &reward, "percent_bps=10&payments_max=2", "hold_days", json!(0), json!(0)),
        ("edit", &program, "minimum_payout_cents=", "minimum_payout_cents", json!(500), json!(0)),
        ("edit", &link, "name=", "name", json!("x"), json!("")),
        ("edit", &code, "stripe_promotion_code_id=", "stripe_promotion_code_id", json!("promo_1"), json!(null)),
    ] {
        assert_eq!(read(of, at), before, "{form}");
        let saved = owner.post(&shop.at(&format!("{of}/{page}")), form);
        assert_eq!(saved.status, 303, "{form}: {}", saved.raw);
        assert_eq!(read(of, at), after, "{form}");
    }
    for (page, field) in [
        (program, "name"),
        (format!("programs/{}", shop.program.program_id), "attribution_window_days"),
        (link, "landing_url"),
        (format!("partners/{partner}"), "name"),
        (format!("partners/{partner}"), "email"),
    ] {
        let refused = owner.post(&shop.at(&format!("{page}/edit")), &format!("{field}="));
        let told = refused.raw.contains(&format!("id=\"problem-{field}\""));
        assert!(refused.status == 400 && told, "{page} {field}: {} {}", refused.status, refused.raw);
    }
}

#[test]
fn a_word_that_is_another_path_of_the_api_is_no_id_and_nor_is_another_kinds() {
    let shop = Shop::new();
    let owner = shop.owner();
    let words = ["csv", "balances", "new", "live", "", "%2e%2e", "csv%3Flimit=1", "prog_1"];
    for resource in resources::every() {
        assert!(words.iter().all(|word| !(resource.is_id)(word)), "{}", resource.path);
        for verb in resource.acts.iter().map(|act| act.verb).chain(["edit"]) {
            let page = shop.at(&format!("{}/balances/{verb}", resource.path));
            assert_eq!(owner.get(&page).status, 404, "{page}");
            assert_eq!(owner.post(&page, "").status, 404, "{page}");
        }
    }
    let own = |page: &str| owner.get(&shop.at(&format!("{page}/{}", shop.program.program_id))).status;
    assert_eq!((own("programs").as_u16(), own("participants").as_u16(), own("rewards").as_u16()), (200, 404, 404));
}
