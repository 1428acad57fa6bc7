//! People who sign in, as a browser does it.

use std::cell::RefCell;

use serde_json::{Value as Json, json};

use super::{Answer, OPERATOR_TOKEN, World};

/// Where pages are in tests.
pub const ORIGIN: &str = "https://api.selgeo.test";
const FORM: &str = "application/x-www-form-urlencoded";

/// A browser: it keeps its cookies, and says where its forms come from.
pub struct Visitor<'a> {
    world: &'a World,
    /// `name=value` of each, with `; ` between.
    pub cookie: RefCell<String>,
}

impl<'a> Visitor<'a> {
    /// A browser that knows nothing.
    pub fn new(world: &'a World) -> Self {
        Self { world, cookie: RefCell::default() }
    }

    /// A browser in which somebody is signed in, by a link from their mail.
    #[track_caller]
    pub fn signed_in(world: &'a World, email: &str) -> Self {
        let visitor = Self::new(world);
        let link = visitor.asks_for_link(email).unwrap_or_else(|| panic!("{email} got no link"));
        let spent = visitor.post(&link, "");
        assert_eq!(spent.status, 303, "{}", spent.raw);
        visitor
    }

    /// Asks for a link and waits for the mail; gives the link's path.
    pub fn asks_for_link(&self, email: &str) -> Option<String> {
        self.world.mail.sent.lock().unwrap().clear();
        let email: String = url::form_urlencoded::byte_serialize(email.as_bytes()).collect();
        let asked = self.post("/sign-in", &format!("email={email}"));
        assert_eq!(asked.status, 200, "{}", asked.raw);
        self.world.deliver();
        self.world.mailed_link()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.take(self.world.send_bytes(&format!("GET {path}"), &[("cookie", &self.cookie.borrow())], Vec::new()))
    }

    /// Sends a form of one of our pages.
    pub fn post(&self, path: &str, form: &str) -> Answer {
        self.post_from(ORIGIN, path, form)
    }

    /// Sends a form that may hold a file, as browsers do.
    pub fn post_parts(&self, path: &str, parts: &[(&str, &str)]) -> Answer {
        let mut body = String::new();
        for (name, content) in parts {
            body += &format!(
                "--b0und\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n{content}\r\n"
            );
        }
        body += "--b0und--\r\n";
        let cookie = self.cookie.borrow().clone();
        let media_type = "multipart/form-data; boundary=b0und";
        let headers = [("cookie", cookie.as_str()), ("origin", ORIGIN), ("content-type", media_type)];
        self.take(self.world.send_bytes(&format!("POST {path}"), &headers, body.into_bytes()))
    }

    /// Sends a form of a page of some origin.
    pub fn post_from(&self, origin: &str, path: &str, form: &str) -> Answer {
        let cookie = self.cookie.borrow().clone();
        let headers = [("cookie", cookie.as_str()), ("origin", origin), ("content-type", FORM)];
        self.take(self.world.send_bytes(&format!("POST {path}"), &headers, form.as_bytes().to_vec()))
    }

    /// Asks the API for something in test mode of a workspace, as a script of our pages does.
    pub fn api(&self, workspace: &str, line: &str, body: Json) -> Answer {
        self.api_with(&[("origin", ORIGIN), ("x-selgeo-workspace", workspace), ("x-selgeo-mode", "test")], line, body)
    }

    /// The same, with other headers.
    pub fn api_with(&self, headers: &[(&str, &str)], line: &str, body: Json) -> Answer {
        let cookie = self.cookie.borrow().clone();
        let headers = [&[("cookie", cookie.as_str())], headers].concat();
        self.world.send(line, &headers, body)
    }

    fn take(&self, answer: Answer) -> Answer {
        if let Some(set) = answer.headers.get("set-cookie").and_then(|value| value.to_str().ok()) {
            let pair = set.split(';').next().unwrap_or("");
            let name = pair.split_inclusive('=').next().unwrap_or("");
            let kept = self.cookie.take();
            let others = kept.split("; ").filter(|other| !other.is_empty() && !other.starts_with(name));
            let all: Vec<&str> = others.chain((pair != name).then_some(pair)).collect();
            *self.cookie.borrow_mut() = all.join("; ");
        }
        answer
    }
}

impl World {
    /// The path of the link in the last mail.
    pub fn mailed_link(&self) -> Option<String> {
        let sent = self.mail.sent.lock().unwrap();
        let text = &sent.last()?.text;
        text.lines()
            .find_map(|line| line.strip_prefix(ORIGIN).filter(|path| path.starts_with("/sign-in/")).map(str::to_owned))
    }

    /// Makes another workspace with an owner; gives its id and the owner's first link.
    pub fn owned_workspace(&self, name: &str, email: &str) -> (String, String) {
        let made = self.send(
            "POST /operator/v1/workspaces",
            &[("authorization", &format!("Bearer {OPERATOR_TOKEN}"))],
            json!({"name": name, "owner_email": email, "database": 1}),
        );
        assert_eq!(made.status, 201, "{}", made.body);
        let url = made.text("/set_up_url");
        (made.text("/id"), url.strip_prefix(ORIGIN).unwrap().to_owned())
    }
}
