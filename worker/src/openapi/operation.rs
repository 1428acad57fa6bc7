//! One operation: what is sent, by whom, and every answer there is.

use domain::ids::Kind;
use domain::key::Need;
use serde_json::{Map, Value as Json, json};

use super::operations;
use super::schema::{self, Property};

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever wants.
    Anybody,
    /// A page with a public key, or on a registered host.
    Page,
    /// A secret key that is for this, and nobody's session.
    Key(Need),
    /// A secret key that is for this, or a member's session.
    KeyOrMember(Need),
    /// A member's session.
    Member,
    /// Stripe, by its signature.
    Stripe,
    /// A client of Traaaction: a key, a workspace's id where it suffices, or a page on a registered host.
    Tracker,
}

/// What an answer's body is.
#[derive(Clone, Debug)]
pub enum Content {
    /// JSON of this schema.
    Json(Json),
    /// Something of this media type.
    Media(&'static str),
    /// Nothing.
    Nothing,
}

/// An answer that is no refusal.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub about: &'static str,
    pub content: Content,
}

/// What can be asked of one path by one method.
#[derive(Clone, Debug)]
pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    pub about: &'static str,
    pub caller: Caller,
    pub places: Vec<(&'static str, Json)>,
    pub query: Vec<(&'static str, Json)>,
    pub body: Option<Json>,
    /// Media types in which a body may come, the first for choice.
    pub media: &'static [&'static str],
    pub body_required: bool,
    pub answers: Vec<Answer>,
    pub refusals: Vec<u16>,
}

/// `GET /path`, under its name in programs, among others of its tag.
pub fn operation(line: &'static str, id: &'static str, tag: &'static str, summary: &'static str) -> Operation {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let is_management = path.starts_with("/api/v1/");
    let need = if method == "GET" { Need::Read } else { Need::Change };
    let mut refusals = vec![403, 429, 500, 503];
    if is_management {
        // A session must name workspace and mode (400), and be a member's of it (404).
        refusals.extend([400, 401, 404]);
    }
    if is_management && method == "POST" {
        // With an Idempotency-Key: the first request is being answered, the body is looked at, or it is another one.
        refusals.extend([409, 413, 415, 422]);
    }
    Operation {
        method,
        path,
        id,
        tag,
        summary,
        about: "",
        caller: if is_management { Caller::KeyOrMember(need) } else { Caller::Anybody },
        places: Vec::new(),
        query: Vec::new(),
        body: None,
        media: &["application/json"],
        body_required: true,
        answers: Vec::new(),
        refusals,
    }
}

impl Operation {
    pub fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    pub fn caller(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    /// The path's `{id}`.
    pub fn of<K: Kind>(self) -> Self {
        self.at("id", schema::id::<K>())
    }

    /// What stands in the path.
    pub fn at(mut self, name: &'static str, schema: Json) -> Self {
        self.places.push((name, schema));
        self.refused(404)
    }

    /// A parameter of the query.
    pub fn query(mut self, name: &'static str, schema: Json) -> Self {
        self.query.push((name, schema));
        self.refused(400)
    }

    /// A filter by text, which names something or is empty.
    pub fn filter(self, name: &'static str) -> Self {
        self.query(name, schema::text_or_empty(255))
    }

    pub fn body<'a>(mut self, properties: impl IntoIterator<Item = Property<'a>>) -> Self {
        self.body = Some(schema::body(properties));
        self.refused(400).refused(413).refused(415)
    }

    /// A body that may be left out.
    pub fn body_or_nothing<'a>(self, properties: impl IntoIterator<Item = Property<'a>>) -> Self {
        Self { body_required: false, ..self.body(properties) }
    }

    pub fn answers(mut self, status: u16, about: &'static str, content: Content) -> Self {
        self.answers.push(Answer { status, about, content });
        self
    }

    pub fn shows(self, name: &str) -> Self {
        self.answers(200, "As it stands.", Content::Json(schema::named(name)))
    }

    pub fn makes(self, name: &str) -> Self {
        self.answers(201, "Made.", Content::Json(schema::named(name)))
    }

    pub fn removes(self) -> Self {
        self.answers(204, "Gone.", Content::Nothing)
    }

    /// A page of a list.
    pub fn lists(self, name: &str) -> Self {
        let page = page(schema::named(name));
        self.paged().answers(200, "A page, the newest first.", Content::Json(page))
    }

    /// `limit` and `cursor`.
    pub fn paged(mut self) -> Self {
        for name in ["limit", "cursor"] {
            self.query.push((name, json!({ "$ref": format!("#/components/parameters/{name}") })));
        }
        self.refused(400)
    }

    /// A status that says no.
    pub fn refused(mut self, status: u16) -> Self {
        if !self.refusals.contains(&status) {
            self.refusals.push(status);
        }
        self
    }

    /// The shape of its refusals.
    pub fn error(&self) -> &'static str {
        if self.caller == Caller::Tracker { "TrackError" } else { "Error" }
    }

    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it is one of the management API's.
    pub fn is_management(&self) -> bool {
        self.path.starts_with("/api/v1/")
    }
}

/// What a page of a list is.
pub fn page(of: Json) -> Json {
    let next = schema::said(
        schema::nullable(schema::any_text()),
        "Sent as `cursor`, it gives the next page; null: this is the last.",
    );
    schema::object([("data", schema::list(of)), ("next_cursor", next)])
}

/// What a run of the operation showed.
#[derive(Clone, Debug, Default)]
pub struct Example {
    pub places: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub body: Option<Json>,
    /// By status.
    pub answers: Vec<(u16, Json)>,
}

/// An operation as the document has it.
pub fn shown(operation: &Operation, example: Option<&Example>) -> Json {
    let mut shown = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": security(operation.caller),
        "parameters": parameters(operation, example),
        "responses": responses(operation, example),
    });
    let about = format!("{}{}", operation.about, said_of(operation.caller));
    if !about.is_empty() {
        shown["description"] = json!(about.trim());
    }
    if let Some(schema) = &operation.body {
        let mut content = Map::new();
        for media in operation.media {
            let mut of_media = json!({ "schema": schema });
            if let Some(body) = example.and_then(|example| example.body.as_ref()) {
                of_media["example"] = body.clone();
            }
            content.insert((*media).to_owned(), of_media);
        }
        shown["requestBody"] = json!({ "required": operation.body_required, "content": content });
    }
    shown
}

fn parameters(operation: &Operation, example: Option<&Example>) -> Vec<Json> {
    let mut all = Vec::new();
    let value = |of: Option<&Vec<(String, String)>>, name: &str| {
        of.and_then(|values| values.iter().find(|(known, _)| known == name)).map(|(_, value)| value.clone())
    };
    for (name, schema) in &operation.places {
        let mut parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
        if let Some(value) = value(example.map(|example| &example.places), name) {
            parameter["example"] = json!(value);
        }
        all.push(parameter);
    }
    for (name, schema) in &operation.query {
        if schema.get("$ref").is_some() {
            all.push(schema.clone());
            continue;
        }
        // An empty one says nothing, as a form's does.
        let mut parameter =
            json!({ "name": name, "in": "query", "required": false, "allowEmptyValue": true, "schema": schema });
        if let Some(about) = parameter["schema"].as_object_mut().and_then(|schema| schema.remove("description")) {
            parameter["description"] = about;
        }
        if let Some(value) = value(example.map(|example| &example.query), name) {
            parameter["example"] = serde_json::from_str(&value).unwrap_or(json!(value));
        }
        all.push(parameter);
    }
    let mut headers = vec!["X-Request-Id"];
    if operation.is_management() && operation.method == "POST" {
        headers.push("Idempotency-Key");
    }
    if operation.caller == Caller::Stripe {
        headers.push("Stripe-Signature");
    }
    all.extend(headers.iter().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })));
    all
}

fn security(caller: Caller) -> Json {
    let session = json!({ "session": [], "workspace": [], "mode": [] });
    let keys = |need: Need| -> Vec<Json> {
        need.any_of().iter().map(|scope| json!({ "secretKey": [scope.as_str()] })).collect()
    };
    match caller {
        Caller::Anybody | Caller::Stripe => json!([]),
        // The key may stand in the body, and a page of a registered host needs none.
        Caller::Page => json!([{ "publicKey": [] }, {}]),
        Caller::Key(need) => json!(keys(need)),
        Caller::Tracker => {
            let public = ["publicKey", "publishableKey", "workspaceId"].map(|name| json!({ name: [] }));
            json!(keys(Need::Report).into_iter().chain(public).chain([json!({})]).collect::<Vec<_>>())
        }
        Caller::KeyOrMember(need) => json!(keys(need).into_iter().chain([session]).collect::<Vec<_>>()),
        Caller::Member => json!([session]),
    }
}

fn said_of(caller: Caller) -> String {
    let scopes = |need: Need| {
        let any_of: Vec<String> = need.any_of().iter().map(|scope| format!("`{}`", scope.as_str())).collect();
        any_of.join(" or ")
    };
    match caller {
        Caller::Key(need) | Caller::KeyOrMember(need) => format!(" Scope of the key: {}.", scopes(need)),
        Caller::Member => " For signed-in members only; no key may do this.".to_owned(),
        Caller::Anybody | Caller::Page | Caller::Stripe | Caller::Tracker => String::new(),
    }
}

/// What can be asked next: of what a list or a creation shows, everything that is under its id.
fn links(from: &Operation, status: u16) -> Map<String, Json> {
    let id = match (from.method, status) {
        ("GET", 200) if from.query.iter().any(|(name, _)| *name == "cursor") => "$response.body#/data/0/id",
        ("POST", 201) => "$response.body#/id",
        _ => return Map::new(),
    };
    let mut all = Map::new();
    for to in operations::all() {
        let under = to.path.strip_prefix(from.path).is_some_and(|rest| rest.starts_with("/{id}"));
        let place = match (from.path, to.id) {
            _ if under => "id",
            ("/api/v1/conversions", "getDecision") => "conversion_id",
            _ => continue,
        };
        all.insert(to.id.to_owned(), json!({ "operationId": to.id, "parameters": { place: id } }));
    }
    all
}

fn responses(operation: &Operation, example: Option<&Example>) -> Json {
    let mut all = Map::new();
    let limited = !matches!(operation.caller, Caller::Anybody | Caller::Stripe);
    for answer in &operation.answers {
        let mut headers = Map::new();
        let mut names = vec!["X-Request-Id"];
        if limited {
            names.extend(["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]);
        }
        if operation.is_management() && operation.method == "POST" {
            names.push("Idempotent-Replayed");
        }
        if matches!(answer.status, 302 | 303) {
            names.push("Location");
        }
        for name in names {
            headers.insert(name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
        }
        let mut shown = json!({ "description": answer.about, "headers": headers });
        match &answer.content {
            Content::Json(schema) => {
                let mut content = json!({ "schema": schema });
                let of = example.and_then(|example| example.answers.iter().find(|(of, _)| *of == answer.status));
                if let Some((_, body)) = of {
                    content["example"] = body.clone();
                }
                shown["content"] = json!({ "application/json": content });
                let links = links(operation, answer.status);
                if !links.is_empty() {
                    shown["links"] = json!(links);
                }
            }
            Content::Media(media) => shown["content"] = json!({ *media: { "schema": { "type": "string" } } }),
            Content::Nothing => {}
        }
        all.insert(answer.status.to_string(), shown);
    }
    let mut refusals = operation.refusals.clone();
    refusals.sort_unstable();
    for status in refusals {
        let shape = operation.error();
        let named = format!("#/components/responses/{shape}{status}");
        all.insert(status.to_string(), json!({ "$ref": named }));
    }
    Json::Object(all)
}
