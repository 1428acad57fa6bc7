//! `/api/v1/commissions`: listed, read, approved and rejected.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids::{self, ActId, CommissionId, PersonId};
use domain::ledger::EntryKind;
use domain::money::Currency;
use domain::status::{CommissionAct, CommissionState};
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::idempotency;
use crate::shapes;
use crate::store::acts::{self, NewAct};
use crate::store::commissions::{self as table, NewEntry};
use crate::store::events::{self, Event};
use crate::store::{DbError, Scope, Statement, customers};

/// The kind of the act that adds to a commission.
const BONUS: &str = "commission.bonus";

/// A page of commissions; `?state=`, `?participant_id=`, `?program_id=`, `?conversion_id=` and `?needs_review=` narrow it.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = table::Filter {
        state: query.word("state", CommissionState::WORDS),
        participant_id: query.text("participant_id"),
        program_id: query.text("program_id"),
        conversion_id: query.text("conversion_id"),
        needs_review: query.boolean("needs_review"),
    };
    let page = query.page::<ids::Commission>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, &filter, &page)).await? {
        let commission = table::decode(row)?;
        shown.push((commission.id.clone(), shapes::commission(&commission, scope.mode)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// One commission.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    match app.db.rows(table::by_id(&scope, &id)).await?.first() {
        Some(row) => Ok(call::json(StatusCode::OK, &shapes::commission(&table::decode(row)?, scope.mode))),
        None => Err(ApiError::NotFound("commission")),
    }
}

/// `POST …/{id}/{verb}`: `approve`, or `reject` with a `reason`. A person's word ends the hold and the review.
pub async fn act(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path((id, verb)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let (act, kind, told) = match verb.as_str() {
        "approve" => (CommissionAct::Approve, "commission.approve", "commission.approved"),
        "reject" => (CommissionAct::Reject, "commission.reject", "commission.rejected"),
        _ => return Err(ApiError::NotFound("action")),
    };
    let reason = reason(request, act).await?;
    let rows = app.db.rows(table::by_id(&scope, &id)).await?;
    let mut commission = rows.first().map(table::decode).transpose()?.ok_or(ApiError::NotFound("commission"))?;
    let from = commission.state;
    let is_nothing = commission.entries.iter().map(|entry| entry.amount_cents).sum::<i64>() == 0;
    let allowed = from.after(act).filter(|_| act == CommissionAct::Reject || !commission.disputed && !is_nothing);
    let Some(to) = allowed else {
        let why = match (commission.disputed, is_nothing) {
            (true, _) => "disputed",
            (false, true) => "of nothing",
            (false, false) => from.as_str(),
        };
        return Err(ApiError::Conflict(format!("A commission that is {why} cannot be changed so.")));
    };
    commission.state = to;
    commission.needs_review.clear();
    let mut data = shapes::commission(&commission, scope.mode);
    data["reason"] = serde_json::json!(reason);
    let event = Event { id: app.fresh(call.now), kind: told, subject: id.clone(), data };
    let recorded = NewAct {
        id: app.fresh(call.now),
        kind,
        subject: &id,
        reason: reason.as_deref(),
        detail: None,
        request_id: &call.request_id,
        person_id: actor.person_id(),
    };
    let mut batch = vec![
        table::move_by_act(&scope, &id, from, to),
        acts::insert(&scope, &recorded, call.now),
        events::insert(&scope, &event, call.now)?,
    ];
    batch.extend((act == CommissionAct::Approve).then(|| customers::vouch_for(&scope, &id)));
    match app.db.batch(batch).await {
        Ok(_) => Ok(call::json(StatusCode::OK, &shapes::commission(&commission, scope.mode))),
        Err(DbError::Constraint(_)) => {
            Err(ApiError::Conflict("The commission was changed at the same time; look again.".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

/// How often a bonus is put together again because another request came between.
const ATTEMPTS_MAX: u32 = 2;

/// What a person adds to a commission.
struct Bonus {
    amount_cents: i64,
    reason: String,
    /// The act's id, where whoever asks chose it, or an Idempotency-Key: what is asked twice under one is done once.
    act_id: Option<ActId>,
}

/// `POST …/{id}/bonus` `{amount_cents, reason, act_id?}`: a person adds to a commission, in its currency. No refund takes it back.
/// The dashboard's form names the act, so that a form that is sent twice adds once; the second is answered as the first.
pub async fn add_bonus(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope, mut fields) = management::enter_as_with_body(&app, &call, request).await?;
    if fields.raw("amount_cents").is_none() {
        fields.error("amount_cents", "is required");
    }
    let bonus = Bonus {
        amount_cents: fields.integer("amount_cents", 1, domain::money::AMOUNT_MAX).unwrap_or(0),
        reason: fields.required_text("reason", 500),
        act_id: fields.id("act_id").or_else(|| idempotency::act_id(&call)),
    };
    fields.finish()?;
    for _ in 0..ATTEMPTS_MAX {
        let mut reads = vec![table::by_id(&scope, &id)];
        reads.extend(bonus.act_id.as_ref().map(|act_id| acts::by_id(&scope, act_id)));
        let mut found = app.db.batch(reads).await?.into_iter();
        let row = found.next().unwrap_or_default();
        let commission = row.first().map(table::decode).transpose()?.ok_or(ApiError::NotFound("commission"))?;
        let done = found.next().unwrap_or_default();
        if let Some(done) = done.first().map(acts::decode).transpose()? {
            return match bonus.is(&done, &id) {
                true => Ok(call::json(StatusCode::OK, &shapes::commission(&commission, scope.mode))),
                false => Err(ApiError::Conflict("This act is done, and was another; begin anew.".to_owned())),
            };
        }
        match app.db.batch(bonus.batch(&app, &call, &scope, &commission, actor.person_id())?).await {
            Ok(rows) => {
                let row = rows.last().and_then(|rows| rows.first());
                let now = row.map(table::decode).transpose()?.ok_or(ApiError::NotFound("commission"))?;
                return Ok(call::json(StatusCode::OK, &shapes::commission(&now, scope.mode)));
            }
            // The commission was changed meanwhile, or the very same bonus was faster: looked at again, it says which.
            Err(DbError::Constraint(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Conflict("The commission was changed at the same time; look again.".to_owned()))
}

impl Bonus {
    /// Whether an act was this bonus of this commission.
    fn is(&self, act: &acts::Listed, commission_id: &str) -> bool {
        let said = act.detail.as_ref().and_then(|detail| detail["amount_cents"].as_i64());
        let same = act.kind == BONUS && act.subject == commission_id && act.reason.as_ref() == Some(&self.reason);
        same && said == Some(self.amount_cents)
    }

    fn batch(
        &self,
        app: &App,
        call: &Call,
        scope: &Scope,
        commission: &table::Commission,
        by: Option<&PersonId>,
    ) -> Result<Vec<Statement>, ApiError> {
        if matches!(commission.state, CommissionState::Rejected | CommissionState::Reversed) {
            let state = commission.state.as_str();
            return Err(ApiError::Conflict(format!("A commission that is {state} takes no bonus.")));
        }
        let id = &commission.id;
        let (Some(commission_id), Ok(currency)) = (CommissionId::parse(id), Currency::parse(&commission.currency))
        else {
            return Err(ApiError::Internal("commissions: id or currency is not of its kind".to_owned()));
        };
        let act_id = self.act_id.clone().unwrap_or_else(|| app.fresh(call.now));
        let entry = NewEntry {
            id: app.fresh(call.now),
            commission_id: &commission_id,
            amount_cents: self.amount_cents,
            currency,
            kind: EntryKind::Bonus,
            cause: act_id.as_str(),
        };
        let act = NewAct {
            id: act_id.clone(),
            kind: BONUS,
            subject: id,
            reason: Some(&self.reason),
            detail: Some(crate::store::to_json(&serde_json::json!({"amount_cents": self.amount_cents}))?),
            request_id: &call.request_id,
            person_id: by,
        };
        Ok(vec![
            // The state must still be the one that was seen.
            table::move_by_booking(&commission_id, commission.state, commission.state),
            table::append(scope, &entry, call.now),
            acts::insert(scope, &act, call.now),
            table::by_id(scope, id),
        ])
    }
}

/// A reason, which a rejection must have. An approval may come without a body.
async fn reason(request: Request, act: CommissionAct) -> Result<Option<String>, ApiError> {
    let mut fields = management::json_body_or_nothing(request).await?;
    let reason = match act {
        CommissionAct::Reject => Some(fields.required_text("reason", 500)),
        CommissionAct::Approve => fields.text("reason", 500),
    };
    fields.finish()?;
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use domain::time::DAY_MS;
    use serde_json::{Value as Json, json};

    use crate::testing::shop::{Shop, shop};
    use crate::testing::{dispute, refund, session_completed};

    fn held(rewards: Json) -> (Shop, String) {
        let shop = shop();
        shop.world.program_with(&shop.world.keys.sk_test, "held", json!({"rewards": [rewards]}));
        let click_id = shop.world.click(&shop.world.keys.pk_test, "held");
        shop.take(&session_completed("1", shop.now_s(), json!({"client_reference_id": click_id})));
        let id = shop.data("commissions")[0]["id"].as_str().unwrap().to_owned();
        (shop, format!("POST /api/v1/commissions/{id}"))
    }

    #[test]
    fn a_person_approves_what_nobody_approves_by_itself_and_rejects_with_a_reason() {
        let (shop, line) = held(json!({"trigger": "sale", "percent_bps": 2000, "auto_approve": false}));
        shop.world.sweep();
        assert_eq!(shop.data("commissions")[0]["state"], "pending");
        let act = |verb: &str, body: Json| shop.world.api(&format!("{line}/{verb}"), body);
        assert_eq!(act("approve", json!(null)).text("/state"), "approved");
        assert_eq!(act("approve", json!(null)).summary(), "409 CONFLICT");
        assert_eq!(act("reject", json!({})).summary(), "400 VALIDATION_ERROR");
        assert_eq!(act("reject", json!({"reason": "bought for himself"})).text("/state"), "rejected");
        assert_eq!(act("pay", json!({})).summary(), "404 NOT_FOUND");
        let told = shop.data("events?type=commission.rejected");
        assert_eq!(told[0]["data"]["reason"], "bought for himself");
        assert_eq!(shop.world.db.count("SELECT count(*) FROM acts"), 2);
        // A later refund changes the amount, not what the person decided.
        shop.take(&refund("1", "1", shop.now_s(), 5_000, "succeeded"));
        let commission = shop.data("commissions").remove(0);
        assert_eq!((&commission["state"], &commission["amount_cents"]), (&json!("rejected"), &json!(1_000)));
        // And of one that came to nothing there is nothing to approve.
        shop.take(&refund("1", "2", shop.now_s(), 5_000, "succeeded"));
        let answer = act("approve", json!(null));
        assert_eq!(answer.text("/error/message"), "A commission that is of nothing cannot be changed so.");
    }

    #[test]
    fn commissions_are_narrowed_by_state_participant_program_conversion_and_review() {
        let (shop, _) = held(json!({"trigger": "sale", "percent_bps": 2000, "basis": "net_of_fees"}));
        shop.take(&session_completed("2", shop.now_s(), shop.hint()));
        let all = shop.data("commissions");
        let (plain, reviewed) = (&all[0], &all[1]);
        let check = |query: String, expected: &[&Json]| {
            let listed = shop.data(&format!("commissions?{query}"));
            assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "{query}");
        };
        check(String::new(), &[plain, reviewed]);
        check("needs_review=true".to_owned(), &[reviewed]);
        check("needs_review=false".to_owned(), &[plain]);
        check("state=approved".to_owned(), &[plain]);
        check("state=pending".to_owned(), &[reviewed]);
        check("state=paid".to_owned(), &[]);
        for field in ["participant_id", "program_id", "conversion_id"] {
            check(format!("{field}={}", plain[field].as_str().unwrap()), &[plain]);
            check(format!("{field}={}&state=approved", reviewed[field].as_str().unwrap()), &[]);
        }
        for wrong in ["state=open", "needs_review=perhaps"] {
            let answer = shop.world.api(&format!("GET /api/v1/commissions?{wrong}"), json!(null));
            assert_eq!(answer.summary(), "400 VALIDATION_ERROR", "{wrong}");
        }
    }

    #[test]
    fn a_rejection_between_a_refunds_decision_and_its_write_is_not_overwritten() {
        let (shop, line) = held(json!({"trigger": "sale", "percent_bps": 2000, "auto_approve": false}));
        let reject: &'static str = Box::leak(format!("{line}/reject").into_boxed_str());
        let sent = refund("1", "1", shop.now_s(), 10_000, "succeeded");
        assert_eq!(shop.send(&sent).status, 200);
        shop.world.before_next_write(reject, json!({"reason": "no"}));
        shop.world.deliver();
        let commission = shop.data("commissions").remove(0);
        assert_eq!((&commission["state"], &commission["amount_cents"]), (&json!("rejected"), &json!(0)));
    }

    #[test]
    fn a_bonus_that_names_its_act_is_added_once_however_often_it_is_asked_for() {
        let (shop, line) = held(json!({"trigger": "sale", "percent_bps": 2000}));
        let line = format!("{line}/bonus");
        let act = |name: &str| format!("act_{name:0>26}");
        let bonus = |name: &str, amount: i64| json!({"amount_cents": amount, "reason": "x", "act_id": act(name)});
        for _ in 0..2 {
            assert_eq!(shop.world.api(&line, bonus("1", 500)).body["amount_cents"], 2_500);
        }
        // Both looked before either was written.
        let key = shop.world.keys.sk_test.clone();
        shop.world.before_next_write_as(&key, &line, bonus("2", 100));
        assert_eq!(shop.world.api(&line, bonus("2", 100)).body["amount_cents"], 2_600);
        let other = shop.world.api(&line, bonus("1", 501));
        assert_eq!(other.text("/error/message"), "This act is done, and was another; begin anew.");
        // Of another workspace's acts nothing is told, and none is touched.
        let second = shop.world.workspace("Second");
        shop.world.program(&second.sk_test, "second");
        let click_id = shop.world.click(&second.pk_test, "second");
        let sale = json!({"click_id": click_id, "external_transaction_id": "t", "event_type": "order", "amount_cents": 100,
            "currency": "EUR"});
        let theirs = shop.world.api_as(&second.sk_test, "POST /api/v1/conversions", sale).text("/commission_id");
        let theirs = format!("POST /api/v1/commissions/{theirs}/bonus");
        assert_eq!(shop.world.api_as(&second.sk_test, &theirs, bonus("1", 500)).summary(), "409 CONFLICT");
        assert_eq!(
            shop.world.api(&line, json!({"amount_cents": 1, "reason": "x", "act_id": "x"})).summary(),
            "400 VALIDATION_ERROR"
        );
        assert_eq!(shop.world.db.count("SELECT count(*) FROM entries WHERE kind = 'bonus'"), 2);
        assert_eq!(shop.world.db.count("SELECT count(*) FROM acts WHERE kind = 'commission.bonus'"), 2);
    }

    #[test]
    fn review_ends_with_a_persons_word_and_a_dispute_does_not() {
        let (shop, line) = held(json!({"trigger": "sale", "percent_bps": 2000, "basis": "net_of_fees"}));
        shop.world.pass_ms(DAY_MS);
        shop.world.sweep();
        let commission = shop.data("commissions").remove(0);
        assert_eq!((&commission["state"], &commission["needs_review"]), (&json!("pending"), &json!(true)));
        shop.take(&dispute("1", shop.now_s(), "needs_response"));
        let approve = || shop.world.api(&format!("{line}/approve"), json!(null));
        assert_eq!(approve().text("/error/message"), "A commission that is disputed cannot be changed so.");
        shop.take(&dispute("1", shop.now_s() + 1, "won"));
        let approved = approve();
        assert_eq!((approved.text("/state").as_str(), &approved.body["needs_review"]), ("approved", &json!(false)));
    }
}
