//! Merchants that report sales of their own and Stripe's over the Conversion API, and give money back there.

use domain::time::DAY_MS;
use domain::time::Instant;
use serde_json::{Value as Json, json};

use super::run::{Finding, Found, Simulation};
use super::told::{Report, Told};
use crate::testing::NextWrite;

const EVENT_TYPES: [&str; 3] = ["purchase", "upgrade", "signup"];

impl Simulation {
    /// A sale of Stripe's under one of its ids, a sale of another shop, or a lead; now and then one that was reported before.
    pub fn report(&mut self, scope: usize) -> Found {
        let (truth, report) = self.make_report(scope);
        let fate = self.fault();
        let occurred = Instant::from_ms(report.occurred_ms).to_string();
        let body = json!({"external_transaction_id": report.transaction, "event_type": report.event_type,
            "amount_cents": report.amount, "currency": report.currency, "occurred_at": occurred, "click_id": report.click,
            "promo_code": report.code});
        let answer = self.api(scope, "POST /api/v1/conversions", body);
        self.collect();
        self.tally.events += 1;
        let known = self.reports[scope].get(&report.transaction).cloned();
        match (answer.status.as_u16(), fate) {
            (201, _) if known.is_some() => Err(Finding::Doubled(format!("{} is taken twice", report.transaction))),
            (201, _) => {
                self.reports[scope].insert(report.transaction.clone(), answer.text("/id"));
                self.told_by_merchant(scope, truth, Told::Report(report));
                Ok(())
            }
            (409, _) => self.is_known(scope, &answer.text("/error/conversion_id"), known),
            (422, _) if self.may_be_refused(scope, &report) => Ok(()),
            // It landed, unless it was to be refused; the repeat will tell.
            (503, NextWrite::LandsButReportsFailure) if self.may_be_refused(scope, &report) => Ok(()),
            (503, NextWrite::LandsButReportsFailure) => {
                self.told_by_merchant(scope, truth, Told::Report(report));
                Ok(())
            }
            (503, NextWrite::IsLost) => Ok(()),
            _ => Err(Finding::Broken(format!("the report {report:?} is answered {}", answer.summary()))),
        }
    }

    fn make_report(&mut self, scope: usize) -> (usize, Report) {
        let now_ms = self.now_ms();
        let here: Vec<usize> =
            (0..self.buyers.purchases.len()).filter(|truth| self.buyers.purchases[*truth].scope == scope).collect();
        let event_type = *self.die.pick(&EVENT_TYPES);
        let click = if self.die.percent(85) { self.buyers.any_click(&mut self.die, scope) } else { None };
        let click = click.filter(|click| click.len() == 36);
        let code = self.die.percent(20).then(|| self.any_code(scope));
        let ago_ms = if self.die.percent(50) { 0 } else { self.die.between(0, 20 * DAY_MS) };
        let mut occurred_ms = now_ms - ago_ms;
        if let Some(seen) = click.as_ref().and_then(|click| self.town.clicks.get(click))
            && self.die.percent(25)
        {
            // To the millisecond at the window's edge.
            let window_days = self.town.programs[self.town.participants[seen.participant].program].window_days;
            let edge_ms = if self.die.percent(50) { window_days * DAY_MS } else { -5 * 60_000 };
            occurred_ms = (seen.at_ms + edge_ms + self.die.between(-1, 1)).min(now_ms);
        }
        let mut report =
            Report { transaction: String::new(), event_type, amount: 0, currency: None, occurred_ms, click, code };
        if !here.is_empty() && self.die.percent(60) {
            let truth = *self.die.pick(&here);
            let purchase = &mut self.buyers.purchases[truth];
            let charge = purchase.charges.first();
            let ids = [
                purchase.session.clone(),
                purchase.invoice.clone(),
                charge.map(|c| c.intent.clone()),
                charge.map(|c| c.id.clone()),
            ];
            let ids: Vec<String> = ids.into_iter().flatten().collect();
            if !ids.is_empty() {
                report.transaction = self.die.pick(&ids).clone();
                report.amount = if self.die.percent(20) { 0 } else { purchase.amount };
                report.currency = (report.amount > 0).then_some(purchase.currency);
                purchase.reports.push(report.transaction.clone());
                return (truth, report);
            }
        }
        // A sale that Stripe knows nothing of. It is no purchase of the world's: its truth is the report.
        let number =
            if self.die.percent(15) { self.die.between(1, 40) } else { 1_000 + self.die.between(0, 1_000_000) };
        report.transaction = format!("order {number}");
        report.amount = if self.die.percent(30) { 0 } else { self.die.between(1, 50_000) };
        report.currency = (report.amount > 0).then(|| *self.die.pick(&["EUR", "USD", "JPY", "KWD"]));
        (usize::MAX - usize::try_from(number).unwrap(), report)
    }

    fn any_code(&mut self, scope: usize) -> String {
        let from = if self.die.percent(10) { self.die.place(4) } else { scope };
        let code = self.town.participants[*self.die.pick(&self.town.members(from))].code.clone();
        match self.die.between(0, 9) {
            0 => "nobody's code".to_owned(),
            1..=4 => code.to_uppercase(),
            _ => code,
        }
    }

    /// Without a signal, or with one that exists in the other mode only.
    fn may_be_refused(&self, scope: usize, report: &Report) -> bool {
        let here = |place: usize| self.town.scope_of(place) == scope;
        let workspace = self.town.scopes[scope].workspace;
        let same = |place: usize| self.town.scopes[self.town.scope_of(place)].workspace == workspace;
        let click = report.click.as_ref().and_then(|click| self.town.clicks.get(click)).map(|click| click.participant);
        let foreign_click = click.is_some_and(|place| same(place) && !here(place));
        let foreign_code = report.code.as_ref().is_some_and(|code| {
            let owners = (0..self.town.participants.len())
                .filter(|place| same(*place) && self.town.participants[*place].code.eq_ignore_ascii_case(code));
            let owners: Vec<usize> = owners.collect();
            !owners.is_empty() && !owners.iter().any(|place| here(*place))
        });
        report.click.is_none() && report.code.is_none() || foreign_click || foreign_code
    }

    fn is_known(&self, scope: usize, conversion_id: &str, reported: Option<String>) -> Found {
        let told = self.api(scope, &format!("GET /api/v1/conversions/{conversion_id}"), json!(null));
        if told.status != 200 {
            return Err(Finding::Broken(format!("409 names the conversion {conversion_id}, which is not there")));
        }
        let merged = |id: &str| {
            self.api(scope, &format!("GET /api/v1/conversions/{id}"), json!(null)).body["status"] == "merged"
        };
        match reported {
            Some(first) if first != conversion_id && !merged(&first) => {
                Err(Finding::Doubled(format!("{first} is told as {conversion_id}")))
            }
            _ => Ok(()),
        }
    }

    /// Gives money of a reported conversion back, under an own id or the one of Stripe's refund.
    pub fn give_back(&mut self, scope: usize) -> Found {
        let reported: Vec<(String, String)> =
            self.reports[scope].iter().map(|(transaction, id)| (transaction.clone(), id.clone())).collect();
        if reported.is_empty() {
            return Ok(());
        }
        let (transaction, id) = self.die.pick(&reported).clone();
        let truth = self
            .buyers
            .purchases
            .iter()
            .position(|purchase| purchase.scope == scope && purchase.reports.contains(&transaction));
        let mut refund = format!("back {}", self.die.between(0, 300));
        if let Some(truth) = truth {
            let purchase = &self.buyers.purchases[truth];
            let stripes: Vec<String> =
                purchase.charges.iter().flat_map(|c| &c.refunds).map(|(id, _, _)| id.clone()).collect();
            if purchase.tells_each_refund() && !stripes.is_empty() && self.die.percent(40) {
                refund = self.die.pick(&stripes).clone();
            }
        }
        let amount = self.die.between(1, 12_000);
        let fate = self.fault();
        let body = json!({"external_refund_id": refund, "amount_cents": amount});
        let answer = self.api(scope, &format!("POST /api/v1/conversions/{id}/refunds"), body);
        self.collect();
        self.tally.events += 1;
        let landed = answer.status == 503 && fate == NextWrite::LandsButReportsFailure;
        if answer.status == 201 || landed {
            if let Some(truth) = truth {
                let held = self.buyers.purchases[truth].given_back.entry(refund.clone()).or_default();
                *held = amount.max(*held);
            }
            let truth = truth.unwrap_or_else(|| self.truth_of(scope, &transaction));
            self.told_by_merchant(scope, truth, Told::GivenBack { transaction, refund, amount });
            return Ok(());
        }
        match answer.status.as_u16() {
            200 if self.was_given_back(scope, &transaction, &refund, &answer.body) => Ok(()),
            400 | 409 => Ok(()),
            503 if fate == NextWrite::IsLost => Ok(()),
            _ => Err(Finding::Broken(format!("the refund {refund} of {transaction} is answered {}", answer.raw))),
        }
    }

    fn truth_of(&self, scope: usize, transaction: &str) -> usize {
        let heard = self.references[scope].heard.iter();
        let of_report = |told: &Told| matches!(told, Told::Report(report) if report.transaction == transaction);
        heard.filter(|telling| of_report(&telling.told)).map(|telling| telling.truth).next().unwrap()
    }

    fn was_given_back(&self, scope: usize, transaction: &str, refund: &str, answer: &Json) -> bool {
        self.references[scope].heard.iter().any(|telling| match &telling.told {
            Told::GivenBack { transaction: of, refund: id, amount } => {
                of == transaction && id == refund && answer["amount_cents"] == *amount
            }
            _ => false,
        })
    }
}
