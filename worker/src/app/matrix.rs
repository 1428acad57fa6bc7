//! Every route, called by everybody. The routes are read from the source, so that none can be forgotten; what each kind of
//! caller is answered stands in one table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};

use crate::testing::{Answer, Keys, OPERATOR_TOKEN, ORIGIN, Visitor, World};

const OWNER: &str = "owner@shop.test";
const ADMIN: &str = "admin@shop.test";
const VIEWER: &str = "viewer@shop.test";
const STRANGER: &str = "owner@other.test";
const PARTNER: &str = "anna@partner.test";

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    Owner,
    Admin,
    Viewer,
    /// An owner, of another workspace.
    Stranger,
    Partner,
    Key,
    OtherKey,
    PublicKey,
}

const EVERYBODY: [Who; 9] = [
    Who::Nobody,
    Who::Stranger,
    Who::Partner,
    Who::OtherKey,
    Who::PublicKey,
    Who::Viewer,
    Who::Admin,
    Who::Owner,
    Who::Key,
];

/// Paths that are for anybody, with what nobody in particular is answered. Whatever is not here, and under none of the paths
/// that are guarded, fails the test.
const OPEN: &[(&str, u16)] = &[
    ("GET /", 303),
    ("GET /docs", 200),
    ("GET /docs/", 200),
    ("GET /docs/{name}", 404),
    ("GET /healthz", 200),
    ("GET /join/{slug}", 404),
    ("GET /llms.txt", 200),
    ("GET /openapi.json", 200),
    ("GET /r/{slug}", 404),
    ("GET /sign-in", 200),
    ("GET /sign-in/{token}", 410),
    ("GET /static/{*file}", 404),
    ("GET /trac-fallback.js", 200),
    ("GET /trac.js", 200),
    ("GET /v1/{file}", 404),
    ("OPTIONS /api/track/conversion", 204),
    ("OPTIONS /api/track/lead", 204),
    ("OPTIONS /v1/clicks", 204),
    ("POST /api/track/conversion", 401),
    ("POST /api/track/lead", 401),
    ("POST /api/webhooks/{connection_id}", 404),
    ("POST /join/{slug}", 403),
    ("POST /sign-in", 403),
    ("POST /sign-in/{token}", 403),
    ("POST /sign-out", 403),
    ("POST /v1/clicks", 415),
    ("POST /webhooks/stripe/{connection_id}", 404),
];

/// A local server's alone: not in a deployment, which this world is.
const LOCAL: [&str; 2] = ["/demo", "/dev/"];

struct Town {
    world: World,
    workspace: String,
    other: Keys,
    /// An object of each list, by its path in the API.
    ids: BTreeMap<String, String>,
}

impl Town {
    fn new() -> Self {
        let world = World::new();
        world.program(&world.keys.sk_test, "anna");
        let click = world.click(&world.keys.pk_test, "anna");
        let sale = json!({"click_id": click, "external_transaction_id": "t1", "event_type": "purchase", "amount_cents": 1000,
            "currency": "EUR", "customer_external_id": "c1"});
        let made = world.api("POST /api/v1/conversions", sale);
        world.deliver();
        let refunds = format!("POST /api/v1/conversions/{}/refunds", made.text("/id"));
        world.api(&refunds, json!({"external_refund_id": "r1", "amount_cents": 100}));
        world.stripe_connection(&world.keys.sk_test);
        world.api("POST /api/v1/exports", json!(null));
        world.api("POST /api/v1/webhook-endpoints", json!({"url": "https://hooks.shop.test/", "events": ["*"]}));
        let workspace = world.api("GET /api/v1/workspace", json!(null)).text("/id");
        let operator = format!("Bearer {OPERATOR_TOKEN}");
        let line = format!("POST /operator/v1/workspaces/{workspace}/owners");
        assert_eq!(world.send(&line, &[("authorization", &operator)], json!({"owner_email": OWNER})).status, 201);
        let owner = Visitor::signed_in(&world, OWNER);
        for (email, role) in [(ADMIN, "admin"), (VIEWER, "viewer")] {
            let made = owner.api(&workspace, "POST /api/v1/members", json!({"email": email, "role": role}));
            assert_eq!(made.status, 201, "{}", made.raw);
        }
        drop(owner);
        world.owned_workspace("Other", STRANGER);
        let other = world.workspace("Third");
        let mut town = Self { world, workspace, other, ids: BTreeMap::new() };
        let lists: BTreeSet<String> = routes().iter().filter_map(|route| route.list()).collect();
        for list in lists {
            let rows = town.world.api(&format!("GET /api/v1/{list}?limit=1"), json!(null));
            if let Some(id) = rows.body["data"][0]["id"].as_str() {
                town.ids.insert(list, id.to_owned());
            }
        }
        town
    }

    /// A path with its parameters filled in: an object that is there, where there is one.
    fn filled(&self, path: &str) -> String {
        let list = path.strip_prefix("/api/v1/").and_then(|rest| rest.split('/').next()).unwrap_or("programs");
        let list = if list == "attribution-audit" { "conversions" } else { list };
        let id = self.ids.get(list).map_or("none_1", String::as_str);
        path.replace("{workspace_id}", &self.workspace)
            .replace("{mode}", "test")
            .replace("{page}", "programs")
            .replace("{verb}", if path.starts_with("/app/") { "archive" } else { "approve" })
            .replace("{conversion_id}", id)
            .replace("{id}", id)
            .replace("{slug}", "nobody")
            .replace("{token}", "x")
            .replace("{file}", "x.js")
            .replace("{*file}", "x.css")
            .replace("{connection_id}", "conn_1")
            .replace("{program_slug}", "nothing")
            .replace("{product}", "mug")
            .replace("{cursor}", "first")
    }

    /// A browser in which they are signed in, if they do that.
    fn visitor(&self, who: Who) -> Visitor<'_> {
        let email = match who {
            Who::Owner => OWNER,
            Who::Admin => ADMIN,
            Who::Viewer => VIEWER,
            Who::Stranger => STRANGER,
            Who::Partner => PARTNER,
            Who::Nobody | Who::Key | Who::OtherKey | Who::PublicKey => return Visitor::new(&self.world),
        };
        self.world.pass_ms(MINUTE_MS);
        Visitor::signed_in(&self.world, email)
    }

    fn call(&self, who: Who, visitor: &Visitor<'_>, route: &Route) -> Answer {
        let line = format!("{} {}", route.method, self.filled(&route.path));
        let is_api = route.path.starts_with("/api/v1") || route.path.starts_with("/operator/v1");
        let reads = route.method == "GET";
        let body = if reads { Json::Null } else { json!({}) };
        let key = match who {
            Who::Key => Some(&self.world.keys.sk_test),
            Who::OtherKey => Some(&self.other.sk_test),
            Who::PublicKey => Some(&self.world.keys.pk_test),
            _ => None,
        };
        if let Some(key) = key {
            return self.world.api_as(key, &line, body);
        }
        match (is_api, who) {
            (true, Who::Nobody) => self.world.send(&line, &[], body),
            (true, _) => visitor.api(&self.workspace, &line, body),
            (false, _) if reads => visitor.get(line.trim_start_matches("GET ")),
            // Nobody's form has no origin: it is a program's.
            (false, Who::Nobody) => self.world.send_bytes(&line, &[("content-type", FORM)], Vec::new()),
            (false, _) if route.method != "POST" => self.world.send(&line, &[], Json::Null),
            (false, _) => visitor.post(line.trim_start_matches("POST "), ""),
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// A route, as the source has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: String,
}

impl Route {
    /// The list that a path of the API is under.
    fn list(&self) -> Option<String> {
        let list = self.path.strip_prefix("/api/v1/")?.split('/').next()?;
        Some(list.to_owned())
    }

    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// Every route of every file. What changes is called last, and what deletes after that.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = BTreeSet::new();
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut routes);
    let mut routes: Vec<Route> = routes.into_iter().collect();
    routes
        .sort_by_key(|route| ["GET", "OPTIONS", "POST", "PATCH", "DELETE"].iter().position(|one| *one == route.method));
    routes
}

fn read(folder: &Path, routes: &mut BTreeSet<Route>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            read(&path, routes);
        } else if name.ends_with(".rs") && name != "matrix.rs" && name != "tests.rs" {
            let text = fs::read_to_string(&path).unwrap();
            let management =
                text.find("let management = Router::new()").map(|from| (from, from + text[from..].find(';').unwrap()));
            for (at, _) in text.match_indices(".route(") {
                let prefix = if management.is_some_and(|(from, to)| (from..to).contains(&at)) { "/api/v1" } else { "" };
                parse(&text[at + ".route(".len()..], prefix, routes);
            }
        }
    }
}

/// Reads `"/path", get(…).post(…))`, where the path may be `&at("/path")`.
fn parse(text: &str, prefix: &str, routes: &mut BTreeSet<Route>) {
    let end = closing(text);
    let text = &text[..end];
    let (before, rest) = text.split_once('"').expect("a route has a path");
    let (path, handlers) = rest.split_once('"').expect("a route's path ends");
    let prefix = if before.contains("at(") { "/app/{workspace_id}/{mode}" } else { prefix };
    let mut found = false;
    for (method, word) in
        [("GET", "get("), ("POST", "post("), ("PATCH", "patch("), ("DELETE", "delete("), ("OPTIONS", "options(")]
    {
        let is_called = handlers
            .match_indices(word)
            .any(|(at, _)| !handlers[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        if is_called {
            found = true;
            routes.insert(Route { method, path: format!("{prefix}{path}") });
        }
    }
    assert!(found, "no method is read of {text}");
}

/// Where the parenthesis that is open at the start is closed.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        depth += match letter {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth == 0 {
            return at;
        }
    }
    panic!("a route has no end")
}

/// What somebody is to be answered; in words, for the message. `None`: any answer but a refusal of the caller.
fn expected(who: Who, route: &Route) -> Option<Vec<u16>> {
    let path = route.path.as_str();
    let reads = route.method == "GET";
    let is_members_only = !reads && ["/api/v1/members", "/api/v1/api-keys"].iter().any(|one| path.starts_with(one));
    if path.starts_with("/operator/v1") {
        return Some(vec![401]);
    }
    if path.starts_with("/app/operator") {
        return Some(if matches!(who, Who::Nobody | Who::Key | Who::OtherKey | Who::PublicKey) {
            vec![303, 403]
        } else {
            vec![404, 403]
        });
    }
    if route.line() == "POST /api/v1/conversions" {
        // A key's alone: a session reports no sales.
        return if matches!(who, Who::Key | Who::OtherKey) { None } else { Some(vec![401]) };
    }
    if path.starts_with("/api/v1") {
        return match who {
            Who::Nobody | Who::PublicKey => Some(vec![401]),
            Who::Stranger | Who::Partner => Some(vec![404]),
            // Their own workspace's lists are theirs; this one's objects are not there.
            Who::OtherKey if path.contains('{') && reads => Some(vec![404]),
            Who::OtherKey if path.contains('{') => Some(vec![400, 403, 404, 409, 415]),
            // A workspace's name is an owner's to change.
            Who::Admin | Who::Key | Who::OtherKey if route.line() == "PATCH /api/v1/workspace" => Some(vec![403]),
            Who::OtherKey | Who::Key if is_members_only => Some(vec![403]),
            // An owner's to change, and no key's.
            Who::OtherKey | Who::Key | Who::Admin if route.line() == "PATCH /api/v1/workspace" => Some(vec![403]),
            // The member is an owner, whom only an owner takes out.
            Who::Admin if route.line() == "DELETE /api/v1/members/{id}" => Some(vec![403]),
            Who::Key | Who::OtherKey | Who::Owner | Who::Admin => None,
            // Where money goes is not for who only looks.
            Who::Viewer if path.ends_with("/payout-details") => Some(vec![403]),
            // Nor is all of it at once.
            Who::Viewer if path.contains("/pages/") => Some(vec![403]),
            Who::Viewer if reads => None,
            Who::Viewer => Some(vec![403]),
        };
    }
    if path == "/app" || path == "/app/" {
        return Some(match who {
            Who::Partner => vec![403],
            Who::Owner | Who::Admin | Who::Viewer | Who::Stranger => vec![200],
            _ => vec![303],
        });
    }
    if path.starts_with("/app/") {
        return match who {
            Who::Partner => Some(vec![403]),
            Who::Stranger => Some(vec![404]),
            Who::Admin if route.line() == "POST /app/{workspace_id}/{mode}/settings" => Some(vec![403]),
            Who::Owner | Who::Admin => None,
            Who::Viewer if reads => Some(vec![200, 403, 404]),
            // Their browser's own matter.
            Who::Viewer if path.ends_with("/settings/density") => None,
            Who::Viewer => Some(vec![403, 404]),
            // A part of a page, asked for by a script, sends nobody to another page by itself.
            _ if path.ends_with("/live") => Some(vec![401]),
            // A key opens no page.
            _ => Some(vec![303]),
        };
    }
    if path == "/partner" || path.starts_with("/partner/") {
        return match who {
            Who::Partner => None,
            Who::Owner | Who::Admin | Who::Viewer | Who::Stranger => Some(vec![403]),
            _ => Some(vec![303, 403]),
        };
    }
    if LOCAL.iter().any(|local| path.starts_with(local)) {
        return Some(vec![404]);
    }
    let open = OPEN.iter().find(|(line, _)| *line == route.line());
    let (_, status) = open.unwrap_or_else(|| panic!("{} is guarded by nothing that this table knows", route.line()));
    // What others are answered there is as little a matter of who they are.
    if matches!(who, Who::Nobody) { Some(vec![*status]) } else { Some((200..500).collect()) }
}

#[test]
fn every_route_answers_everybody_as_the_table_says() {
    let routes = routes();
    assert!(routes.len() > 120, "only {} routes were read", routes.len());
    let mut wrong = Vec::new();
    // Those who may change something come last, each to a town of their own.
    for who in EVERYBODY {
        let town = Town::new();
        let mut visitor = town.visitor(who);
        for (number, route) in routes.iter().enumerate() {
            // So many calls of one address would be refused for that.
            town.world.come_from(&format!("10.{}.{}.1", who as u8, number % 250));
            if number % 40 == 0 {
                town.world.pass_ms(MINUTE_MS);
            }
            let answer = town.call(who, &visitor, route);
            if route.path == "/sign-out" {
                visitor = town.visitor(who);
            }
            let status = answer.status.as_u16();
            let is_right = match expected(who, route) {
                Some(expected) => expected.contains(&status),
                None => !matches!(status, 401 | 403) && status < 500,
            };
            if !is_right {
                wrong.push(format!("{who:?} {}: {status} {:?}", route.line(), expected(who, route)));
            }
            if status == 303 && matches!(who, Who::Nobody) && route.path.starts_with("/app") {
                assert!(answer.header("location").starts_with("/sign-in"), "{}", route.line());
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_post_of_the_api_takes_an_idempotency_key() {
    let town = Town::new();
    let owner = town.visitor(Who::Owner);
    let mut posts = 0;
    let (mut kept, mut free) = (0, 0);
    for (number, route) in routes().iter().filter(|route| route.method == "POST").enumerate() {
        if !route.path.starts_with("/api/v1/") {
            continue;
        }
        posts += 1;
        town.world.come_from(&format!("10.1.{number}.1"));
        let line = route.line().replace(&route.path, &town.filled(&route.path));
        let send = |key: &str, body: Json| {
            // A session reports no sales; a key makes no keys.
            if route.path == "/api/v1/conversions" {
                let bearer = format!("Bearer {}", town.world.keys.sk_test);
                return town.world.send(&line, &[("authorization", &bearer), ("idempotency-key", key)], body);
            }
            let session = [("origin", ORIGIN), ("x-selgeo-workspace", &town.workspace), ("x-selgeo-mode", "test")];
            owner.api_with(&[&session[..], &[("idempotency-key", key)]].concat(), &line, body)
        };
        let malformed = send("a b", json!({}));
        assert_eq!(malformed.text("/error/details/0/field"), "Idempotency-Key", "{line}: {}", malformed.raw);
        let first = send("k", json!({}));
        let again = send("k", json!({}));
        let is_kept = first.status.is_success() || matches!(first.status.as_u16(), 404 | 409 | 422);
        assert!(is_kept || first.status == 400, "{line}: {}", first.raw);
        assert_eq!((again.status, again.header("idempotent-replayed") == "true"), (first.status, is_kept), "{line}");
        if is_kept {
            kept += 1;
            assert_eq!(again.raw, first.raw, "{line}");
            assert_eq!(send("k", json!({"other": 1})).summary(), "422 IDEMPOTENCY_KEY_REUSED", "{line}");
        } else {
            free += 1;
        }
    }
    assert!(posts > 35 && kept > 10 && free > 10, "{posts} routes: {kept} kept, {free} free");
}
