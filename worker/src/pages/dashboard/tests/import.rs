//! Import: a file is tried, shown row by row, and imported by a button.

use serde_json::json;

use super::Shop;
use crate::testing::Visitor;

const FILE: &str = "email,name\r\nbert@partner.test,\"Bert \"\"<b>\"\"\"\r\nno address,X\r\n";

/// What the hidden field of the page holds.
fn held(page: &str) -> String {
    let from = page.find("name=\"csv\" value=\"").unwrap() + "name=\"csv\" value=\"".len();
    let text = &page[from..];
    let text = &text[..text.find('"').unwrap()];
    text.replace("&#34;", "\"").replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
}

#[test]
fn a_file_is_tried_and_then_imported_as_it_was_tried() {
    let shop = Shop::new();
    let owner = shop.owner();
    let at = shop.at("import");
    assert!(owner.get(&at).raw.contains("enctype=\"multipart/form-data\""));
    let tried = owner.post_parts(&at, &[("kind", "partners"), ("file", FILE)]);
    assert_eq!(tried.status, 200, "{}", tried.raw);
    for shown in ["What would be imported", "would be made", "email must be an e-mail address"] {
        assert!(tried.raw.contains(shown), "{shown}: {}", tried.raw);
    }
    let partners = "SELECT count(*) FROM partners WHERE email = 'bert@partner.test'";
    assert_eq!(shop.world.db.count(partners), 0);
    assert_eq!(held(&tried.raw), FILE);
    let sent = [("kind", "partners"), ("csv", &held(&tried.raw)), ("import", "1")];
    let done = owner.post_parts(&at, &sent);
    assert!(done.raw.contains("Imported") && !done.raw.contains("name=\"csv\""), "{}", done.raw);
    assert_eq!(shop.world.db.count(partners), 1);
    let again = owner.post_parts(&at, &[("kind", "partners"), ("file", FILE)]);
    assert!(again.raw.contains("was there") && !again.raw.contains("name=\"csv\""), "{}", again.raw);
}

#[test]
fn what_is_no_file_is_told_on_the_page_and_a_viewer_is_shown_no_form() {
    let shop = Shop::new();
    let owner = shop.owner();
    let at = shop.at("import");
    for (parts, status, shown) in [
        (&[("kind", "partners"), ("file", "")][..], 400, "Choose a file"),
        (&[("kind", "partners")], 400, "Choose a file"),
        (&[("kind", "partners"), ("file", "name\nx\n")], 400, "the column email is missing"),
        (&[("kind", "dragons"), ("file", FILE)], 400, "must be one of partners"),
        (&[("kind", "links"), ("file", "ref,landing_url\n"), ("source", "traaaction")], 200, "checked"),
    ] {
        let answer = owner.post_parts(&at, parts);
        assert_eq!(answer.status, status, "{parts:?}: {}", answer.raw);
        assert!(answer.raw.contains(shown), "{shown}: {}", answer.raw);
    }
    assert_eq!(owner.post(&at, "kind=partners").status, 415);
    let long = format!("email\n{}", "x".repeat(61 * 1024));
    let large = owner.post_parts(&at, &[("kind", "partners"), ("file", &long)]);
    assert!(large.status == 400 || large.status == 413, "{}", large.status);
    let viewer = json!({"email": "viewer@shop.test", "role": "viewer"});
    assert_eq!(owner.api(&shop.workspace, "POST /api/v1/members", viewer).status, 201);
    let viewer = Visitor::signed_in(&shop.world, "viewer@shop.test");
    let page = viewer.get(&at);
    assert!(page.status == 200 && !page.raw.contains("type=\"file\""), "{}", page.raw);
    assert_eq!(viewer.post_parts(&at, &[("kind", "partners"), ("file", FILE)]).status, 403);
}
