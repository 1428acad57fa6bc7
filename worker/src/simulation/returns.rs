//! Money that goes back: refunds on their way, arrived and failed, and disputes.

use super::buyers::{Buyers, Purchase, Style, TrueCharge};
use super::merchants::Town;
use super::post::{Letter, Post};
use super::random::Die;
use super::told::{Outcome, Refund, Told};

impl Buyers {
    /// Money goes back, or a refund that was on its way gets somewhere.
    pub fn refund(&mut self, die: &mut Die, town: &Town, post: &mut Post, truth: usize, now_s: i64) {
        let purchase = &mut self.purchases[truth];
        if purchase.charges.is_empty() || !purchase.is_paid {
            return;
        }
        let (scope, style) = (purchase.scope, purchase.style);
        let place = die.place(purchase.charges.len());
        let charge = &mut purchase.charges[place];
        let rest = charge.amount - charge.refunded();
        let moving = charge.refunds.iter().position(|(_, _, status)| matches!(*status, "pending" | "requires_action"));
        let (which, kind) = match moving {
            Some(moving) if die.percent(70) => {
                let (_, amount, status) = &mut charge.refunds[moving];
                let held_back = *status == "requires_action" && *amount > rest;
                *status = if held_back { "canceled" } else { *die.pick(&["succeeded", "failed", "canceled"]) };
                let kind = if *status == "failed" { "refund.failed" } else { "charge.refund.updated" };
                (moving, kind)
            }
            _ if rest == 0 => return,
            _ => {
                let amount = if die.percent(40) { rest } else { die.between(1, rest) };
                let status = match (style, die.between(0, 9)) {
                    (Style::Figures, _) | (_, 0..=5) => "succeeded",
                    (_, 6..=8) => "pending",
                    _ => "requires_action",
                };
                let number = charge.refunds.len();
                charge.refunds.push((format!("re_{}_{number}", charge.id), amount, status));
                (number, "refund.created")
            }
        };
        let (purchase, embedded) = (&self.purchases[truth], style != Style::Events);
        if style == Style::Events {
            let charge = &purchase.charges[place];
            let told = refund(purchase, charge, &charge.refunds[which]);
            let told = match die.between(0, 9) {
                0 => Refund { charge: None, ..told },
                1 => Refund { intent: None, ..told },
                _ => told,
            };
            let letter = Letter { scope, truth, at_s: now_s, kind, must: true };
            post.send(die, &town.scopes, &letter, |_| Told::Refund(told.clone()));
        }
        self.tell_charge(die, town, post, truth, place, now_s + 1, embedded, "charge.refunded");
    }

    /// A bank asks the money back, or says how that ended.
    pub fn dispute(&mut self, die: &mut Die, town: &Town, post: &mut Post, truth: usize, now_s: i64) {
        let purchase = &mut self.purchases[truth];
        if purchase.charges.is_empty() || !purchase.is_paid {
            return;
        }
        let open = purchase.disputes.iter().position(|(_, _, outcome)| *outcome == Outcome::Open);
        let (which, kind) = match open {
            Some(open) => {
                purchase.disputes[open].2 = *die.pick(&[Outcome::Won, Outcome::Lost]);
                (open, "charge.dispute.closed")
            }
            None => {
                let place = die.place(purchase.charges.len());
                let id = format!("dp_{}_{}", purchase.charges[place].id, purchase.disputes.len());
                purchase.disputes.push((id, place, Outcome::Open));
                (purchase.disputes.len() - 1, "charge.dispute.created")
            }
        };
        let (id, place, outcome) = purchase.disputes[which].clone();
        let charge = &purchase.charges[place];
        let (charge, intent) = (charge.id.clone(), die.percent(85).then(|| charge.intent.clone()));
        let must = outcome != Outcome::Open;
        let letter = Letter { scope: purchase.scope, truth, at_s: now_s, kind, must };
        post.send(die, &town.scopes, &letter, |_| Told::Dispute {
            id: id.clone(),
            charge: charge.clone(),
            intent: intent.clone(),
            outcome,
        });
    }
}

/// A refund as Stripe tells it.
pub fn refund(purchase: &Purchase, charge: &TrueCharge, (id, amount, status): &(String, i64, &'static str)) -> Refund {
    Refund {
        id: id.clone(),
        charge: Some(charge.id.clone()),
        intent: Some(charge.intent.clone()),
        amount: *amount,
        currency: purchase.currency,
        status,
    }
}
