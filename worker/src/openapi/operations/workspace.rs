//! The workspace, its members and its keys.

use domain::account::Role;
use domain::ids;
use domain::key::{KeyScope, Need};
use domain::retention::{CLICKS_KEPT_DAYS_MAX, CLICKS_KEPT_DAYS_MIN};
use serde_json::json;

use crate::openapi::operation::{Caller, Content, Operation, operation};
use crate::openapi::schema::*;

pub fn all() -> Vec<Operation> {
    let email = json!({ "type": "string", "format": "email", "minLength": 1, "maxLength": 254 });
    vec![
        operation("GET /api/v1/workspace", "getWorkspace", "Workspace", "Read the workspace").shows("Workspace"),
        operation("PATCH /api/v1/workspace", "changeWorkspace", "Workspace", "Change the workspace")
            .about("For owners.")
            .caller(Caller::Member)
            .body([
                ("name?", text(100)),
                (
                    "clicks_kept_days?",
                    said(integer(CLICKS_KEPT_DAYS_MIN, CLICKS_KEPT_DAYS_MAX), "For how long single clicks are kept."),
                ),
                (
                    "track_by_workspace_id?",
                    said(
                        boolean(),
                        "Whether the workspace's id alone suffices to report leads and sales at `/api/track/…`.",
                    ),
                ),
            ])
            .shows("Workspace"),
        operation(
            "POST /api/v1/workspace/rewards-reviewed",
            "noteRewardsReviewed",
            "Workspace",
            "Note that live mode's rewards were looked at",
        )
        .about("As the go-live checklist asks.")
        .makes("RewardsReviewed")
        .refused(409),
        operation(
            "POST /api/v1/workspace/wipe-test-data",
            "wipeTestData",
            "Workspace",
            "Delete what happened in test mode",
        )
        .about("The set-up stays. One call deletes one batch: repeat it until `done`.")
        .body_or_nothing([("program_id?", said(id::<ids::Program>(), "Only what belongs to this program."))])
        .shows("WipedTestData"),
        operation("GET /api/v1/workspace/totals", "getTotals", "Workspace", "Read what the last days came to")
            .about("Day by day, with what waits for somebody. A day on which nothing happened is left out.")
            .query("days", integer(1, 90))
            .shows("Totals"),
        operation("GET /api/v1/workspace/checklist", "getChecklist", "Workspace", "Read the go-live checklist")
            .about("It is about live mode, whichever one is asked in, and checks itself.")
            .shows("Checklist"),
        operation("GET /api/v1/workspace/search", "search", "Workspace", "Find what a text names")
            .about(
                "An id of ours, of Stripe's or of yours, a request's id, or the beginning of a name, an address, a ref or a code.",
            )
            .filter("q")
            .shows("Hits"),
        operation("GET /api/v1/members", "listMembers", "Workspace", "List members").lists("Member"),
        operation("POST /api/v1/members", "createMember", "Workspace", "Make somebody a member")
            .about("They are told by mail. For owners and admins; an owner alone makes owners.")
            .caller(Caller::Member)
            .body([("email", email), ("role", words(Role::WORDS)), ("name?", text(200))])
            .makes("Member")
            .refused(409),
        operation("GET /api/v1/members/{id}", "getMember", "Workspace", "Read a member")
            .of::<ids::Member>()
            .shows("Member"),
        operation("PATCH /api/v1/members/{id}", "changeMember", "Workspace", "Give a member another role")
            .caller(Caller::Member)
            .of::<ids::Member>()
            .body([("role?", words(Role::WORDS))])
            .shows("Member")
            .refused(409),
        operation("DELETE /api/v1/members/{id}", "deleteMember", "Workspace", "Take a member out")
            .caller(Caller::Member)
            .of::<ids::Member>()
            .removes()
            .refused(409),
        operation("GET /api/v1/exports", "listExports", "Workspace", "List exports").lists("Export"),
        operation(
            "POST /api/v1/exports",
            "createExport",
            "Workspace",
            "Begin an export of all that the workspace holds",
        )
        .about("With a key, of its mode; signed in, of both. Its pages can be had for a day.")
        .body_or_nothing([])
        .makes("Export"),
        operation("GET /api/v1/exports/{id}", "getExport", "Workspace", "Read an export")
            .of::<ids::Export>()
            .shows("Export"),
        operation("GET /api/v1/exports/{id}/pages/{cursor}", "getExportPage", "Workspace", "Read a page of an export")
            .about("`first`, then what each page's last line names as `next`. A line of JSON for each row.")
            .caller(Caller::KeyOrMember(Need::Change))
            .of::<ids::Export>()
            .at("cursor", any_text())
            .answers(200, "The page.", Content::Media("application/x-ndjson"))
            .refused(409),
        operation(
            "GET /api/v1/exports/{id}/verify",
            "verifyExport",
            "Workspace",
            "Tell whether this deployment signed an export",
        )
        .of::<ids::Export>()
        .filter("digest")
        .filter("pages")
        .filter("rows")
        .filter("signature")
        .answers(
            200,
            "Whether it did.",
            Content::Json(object([("id", id::<ids::Export>()), ("valid", boolean())])),
        ),
        import(),
        operation("GET /api/v1/api-keys", "listApiKeys", "Workspace", "List keys").lists("ApiKey"),
        operation("POST /api/v1/api-keys", "createApiKey", "Workspace", "Make a key")
            .about("Of a secret key, this answer alone holds it.")
            .caller(Caller::Member)
            .body([
                ("kind", words(&["public", "secret"])),
                (
                    "scopes?",
                    json!({ "type": "array", "items": words(KeyScope::WORDS), "minItems": 1,
                        "description": "What a secret key is for; by default everything." }),
                ),
            ])
            .makes("ApiKey"),
        operation("GET /api/v1/api-keys/{id}", "getApiKey", "Workspace", "Read a key").of::<ids::Key>().shows("ApiKey"),
        operation("DELETE /api/v1/api-keys/{id}", "revokeApiKey", "Workspace", "Revoke a key")
            .about("Within a minute, everywhere.")
            .caller(Caller::Member)
            .of::<ids::Key>()
            .removes(),
    ]
}

const KINDS: [&str; 3] = ["partners", "links", "promo_codes"];

fn import() -> Operation {
    let import = operation("POST /api/v1/imports", "importRows", "Workspace", "Import partners, links or promo codes")
            .about(
                "Rows of CSV with a header line, at most 500 in a request; nothing that is there is changed. As `text/csv`, `kind`, \
                 `dry_run` and `source` stand in the query.",
            )
            .body([
                ("kind", words(&KINDS)),
                ("csv", text(60 * 1024)),
                ("dry_run?", said(boolean(), "Nothing is written.")),
                ("source?", words(&["traaaction"])),
            ])
            .query("kind", words(&KINDS))
            .query("dry_run", boolean())
            .query("source", words(&["traaaction"]))
            .answers(200, "What became of each row, or would.", Content::Json(named("Import")))
            .refused(409);
    Operation { media: &["application/json", "text/csv"], ..import }
}
