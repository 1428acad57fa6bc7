//! The workspace, its members and its keys.

use domain::account::Role;
use domain::ids;
use domain::key::KeyScope;
use domain::retention::{CLICKS_KEPT_DAYS_MAX, CLICKS_KEPT_DAYS_MIN};
use serde_json::json;

use crate::openapi::operation::{Caller, Operation, operation};
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
        operation("DELETE /api/v1/api-keys/{id}", "revokeApiKey", "Workspace", "Revoke a key")
            .about("Within a minute, everywhere.")
            .caller(Caller::Member)
            .of::<ids::Key>()
            .removes(),
    ]
}
