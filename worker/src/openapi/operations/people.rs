//! Partners, and what they and the merchant have with each other.

use domain::ids;
use domain::key::Need;
use domain::partner::{InviteStatus, QUESTION_CHARS_MAX, QuestionStatus};
use domain::status::ParticipantStatus;
use serde_json::{Value as Json, json};

use crate::openapi::operation::{Caller, Content, Operation, operation, page};
use crate::openapi::schema::*;

pub fn all() -> Vec<Operation> {
    [partners(), participants(), invites(), questions()].concat()
}

fn email() -> Json {
    json!({ "type": "string", "format": "email", "minLength": 1, "maxLength": 254 })
}

fn partners() -> Vec<Operation> {
    let is_cut = said(boolean(), "With `q`: more begin so than were looked at.");
    let listed = with(page(named("Partner")), [("is_cut?", is_cut)]);
    vec![
        operation("GET /api/v1/partners", "listPartners", "Partners", "List partners")
            .query("q", said(text_or_empty(255), "How the name or the e-mail address begins, whatever the case."))
            .paged()
            .answers(200, "A page, the newest first.", Content::Json(listed)),
        operation("POST /api/v1/partners", "createPartner", "Partners", "Make a partner")
            .body([("name", text(200)), ("email", email())])
            .makes("Partner")
            .refused(409),
        operation("GET /api/v1/partners/{id}", "getPartner", "Partners", "Read a partner")
            .of::<ids::Partner>()
            .shows("Partner"),
        operation("PATCH /api/v1/partners/{id}", "changePartner", "Partners", "Change a partner's name or address")
            .of::<ids::Partner>()
            .body([("name?", text(200)), ("email?", email())])
            .shows("Partner")
            .refused(409),
        operation("POST /api/v1/partners/{id}/erase", "erasePartner", "Partners", "Forget who a partner was")
            .about("For good: name, address, payout details and tax id become placeholders. What they earned stays.")
            .of::<ids::Partner>()
            .shows("Partner")
            .refused(409),
        operation(
            "GET /api/v1/partners/{id}/payout-details",
            "getPayoutDetails",
            "Partners",
            "Read where a partner wants to be paid",
        )
        .caller(Caller::KeyOrMember(Need::Change))
        .of::<ids::Partner>()
        .shows("PayoutDetails"),
    ]
}

fn participants() -> Vec<Operation> {
    let act = |line, id, summary| {
        operation(line, id, "Participants", summary).of::<ids::Participant>().shows("Participant").refused(409)
    };
    vec![
        operation("GET /api/v1/participants", "listParticipants", "Participants", "List participants")
            .filter("program_id")
            .filter("partner_id")
            .query("status", words(ParticipantStatus::WORDS))
            .lists("Participant"),
        operation("POST /api/v1/participants", "createParticipant", "Participants", "Put a partner into a program")
            .body([
                ("program_id", id::<ids::Program>()),
                ("partner_id", id::<ids::Partner>()),
                ("status?", or(words(&["pending", "approved"]), "pending")),
            ])
            .makes("Participant")
            .refused(409),
        operation("GET /api/v1/participants/{id}", "getParticipant", "Participants", "Read a participant")
            .of::<ids::Participant>()
            .shows("Participant"),
        act("POST /api/v1/participants/{id}/approve", "approveParticipant", "Let a participant earn"),
        act("POST /api/v1/participants/{id}/reject", "rejectParticipant", "Turn an application down"),
        act("POST /api/v1/participants/{id}/suspend", "suspendParticipant", "Stop a participant"),
    ]
}

fn invites() -> Vec<Operation> {
    vec![
        operation("GET /api/v1/invites", "listInvites", "Invites", "List invites")
            .query("status", words(InviteStatus::WORDS))
            .filter("program_id")
            .lists("Invite"),
        operation("POST /api/v1/invites", "createInvite", "Invites", "Invite somebody to a program")
            .about("In live mode the address goes out by mail too.")
            .body([("program_id", id::<ids::Program>()), ("email", email()), ("name?", text_or_empty(200))])
            .makes("Invite")
            .refused(409),
        operation("GET /api/v1/invites/{id}", "getInvite", "Invites", "Read an invite")
            .of::<ids::Invite>()
            .shows("Invite"),
        operation("DELETE /api/v1/invites/{id}", "revokeInvite", "Invites", "Revoke an invite")
            .of::<ids::Invite>()
            .removes()
            .refused(409),
    ]
}

fn questions() -> Vec<Operation> {
    vec![
        operation("GET /api/v1/questions", "listQuestions", "Questions", "List questions")
            .query("status", words(QuestionStatus::WORDS))
            .filter("participant_id")
            .filter("program_id")
            .lists("Question"),
        operation("GET /api/v1/questions/{id}", "getQuestion", "Questions", "Read a question beside what was decided")
            .of::<ids::Question>()
            .shows("QuestionWithConversions"),
        operation("POST /api/v1/questions/{id}/answer", "answerQuestion", "Questions", "Answer a question")
            .about("The partner is told. A question has one answer.")
            .of::<ids::Question>()
            .body([("text", text(QUESTION_CHARS_MAX))])
            .shows("QuestionWithConversions")
            .refused(409),
    ]
}
