//! What Stripe tells of purchases: payments at once and later, with and without an invoice; subscriptions with trials, annual
//! plans, renewals, prorations and ends.

use super::buyers::{Buyers, Style, Subscription};
use super::merchants::Town;
use super::post::{Letter, Post};
use super::random::Die;
use super::returns::refund;
use super::shapes::Shape;
use super::told::{Charge, Invoice, Paid, Refund, Session, Signals, Told};

/// Customers have several subscriptions. Off, every customer buys once or renews, so that no binding can matter.
const SHARED_CUSTOMERS: bool = false;

impl Buyers {
    /// One payment: at once, later, or with an invoice.
    pub fn pay_once(&mut self, die: &mut Die, town: &Town, post: &mut Post, scope: usize, now_s: i64) {
        let amount = if die.percent(5) { 0 } else { Self::price(die) };
        let currency = Self::currency(die);
        let (truth, number) = self.purchase(die, scope, amount, currency);
        self.charge(die, truth, number, 1);
        let signals = self.signals(die, town, scope);
        let with_invoice = die.percent(30);
        let customer = die.percent(50).then(|| format!("cus_{number}"));
        let purchase = &mut self.purchases[truth];
        let tax = die.percent(40).then(|| die.between(0, amount / 5));
        let mut session = Session {
            id: format!("cs_{number}"),
            starts: None,
            paid: if amount == 0 { Paid::NothingToPay } else { Paid::Yes },
            amount,
            tax,
            currency: purchase.currency,
            intent: purchase.charges.first().map(|charge| charge.intent.clone()),
            invoice: with_invoice.then(|| format!("in_{number}")),
            customer,
            buyer: truth,
            signals,
        };
        purchase.session = Some(session.id.clone());
        purchase.invoice = session.invoice.clone();
        let mut letter = Letter { scope, truth, at_s: now_s + 1, kind: "checkout.session.completed", must: true };
        if amount > 0 && !with_invoice && die.percent(20) {
            purchase.is_paid = false;
            purchase.async_session = Some(session.clone());
            session.paid = Paid::NotYet;
            letter.must = false;
        }
        let is_paid = purchase.is_paid;
        post.send(die, &town.scopes, &letter, |_| Told::Session(session.clone()));
        if with_invoice {
            let none = Signals::default();
            self.tell_invoice(die, town, post, truth, now_s, None, "manual", tax, &none, truth);
        }
        if is_paid {
            self.tell_charges(die, town, post, truth, now_s + 2, false);
        }
    }

    /// The money of an unpaid session comes.
    pub fn pay_late(&mut self, die: &mut Die, town: &Town, post: &mut Post, truth: usize, now_s: i64) {
        let purchase = &mut self.purchases[truth];
        let Some(session) = purchase.async_session.take() else { return };
        purchase.is_paid = true;
        let letter = Letter {
            scope: purchase.scope,
            truth,
            at_s: now_s,
            kind: "checkout.session.async_payment_succeeded",
            must: true,
        };
        post.send(die, &town.scopes, &letter, |_| Told::Session(session.clone()));
        self.tell_charges(die, town, post, truth, now_s + 1, false);
    }

    /// A subscription begins: with a trial, annual, with or without a session.
    pub fn subscribe(&mut self, die: &mut Die, town: &Town, post: &mut Post, scope: usize, now_s: i64) {
        let price = Self::price(die);
        let first = if die.percent(25) { 0 } else { price };
        let currency = Self::currency(die);
        let (truth, number) = self.purchase(die, scope, first, currency);
        let parts = if die.percent(10) { 2 } else { 1 };
        self.charge(die, truth, number, parts);
        let mut signals = self.signals(die, town, scope);
        let (mut customer, mut buyer) = (format!("cus_{number}"), truth);
        let of_scope = self.subscriptions.iter().filter(|known| known.scope == scope);
        let others: Vec<&Subscription> = of_scope.filter(|known| known.signals.clicks().len() == 1).collect();
        if SHARED_CUSTOMERS && !others.is_empty() && die.percent(15) {
            let other = *die.pick(&others);
            (customer, buyer) = (other.customer.clone(), other.buyer);
            signals = Signals { aff_click_id: other.signals.clicks().pop(), ..Signals::default() };
        }
        let id = format!("sub_{number}");
        let tax = die.percent(40).then(|| die.between(0, first / 5));
        if die.percent(80) {
            let names_invoice = die.percent(60);
            let session = Session {
                id: format!("cs_{number}"),
                starts: Some(id.clone()),
                paid: if first == 0 { Paid::NothingToPay } else { Paid::Yes },
                amount: if die.percent(90) { first } else { first / 2 },
                tax,
                currency,
                intent: None,
                invoice: names_invoice.then(|| format!("in_{number}")),
                customer: Some(customer.clone()),
                buyer,
                signals: signals.clone(),
            };
            self.purchases[truth].session = Some(session.id.clone());
            let letter = Letter { scope, truth, at_s: now_s + 1, kind: "checkout.session.completed", must: true };
            post.send(die, &town.scopes, &letter, |_| Told::Session(session.clone()));
        }
        // What stands on the subscription is told with each of its invoices; codes are the session's alone.
        let of_subscription = Signals { client_reference_id: None, promotion_codes: Vec::new(), ..signals };
        let signals = if die.percent(50) { of_subscription } else { Signals::default() };
        self.purchases[truth].invoice = Some(format!("in_{number}"));
        self.tell_invoice(
            die,
            town,
            post,
            truth,
            now_s,
            Some((&id, &customer)),
            "subscription_create",
            tax,
            &signals,
            buyer,
        );
        self.tell_charges(die, town, post, truth, now_s + 2, false);
        let amount = if die.percent(20) { price * 10 } else { price };
        self.subscriptions.push(Subscription { scope, id, customer, buyer, amount, currency, signals, ended: false });
    }

    /// A subscription renews, is prorated, or ends.
    pub fn renew(&mut self, die: &mut Die, town: &Town, post: &mut Post, now_s: i64) {
        let alive: Vec<usize> = (0..self.subscriptions.len()).filter(|s| !self.subscriptions[*s].ended).collect();
        if alive.is_empty() {
            return;
        }
        let place = *die.pick(&alive);
        let Subscription { scope, amount, currency, .. } = self.subscriptions[place];
        if die.percent(8) {
            self.subscriptions[place].ended = true;
            let subscription = self.subscriptions[place].id.clone();
            let letter =
                Letter { scope, truth: usize::MAX, at_s: now_s, kind: "customer.subscription.deleted", must: false };
            post.send(die, &town.scopes, &letter, |_| Told::Ended { subscription: subscription.clone() });
            return;
        }
        let (reason, amount) = match die.between(0, 9) {
            0 => ("subscription_update", 0),
            1 => ("subscription_update", die.between(1, amount)),
            _ => ("subscription_cycle", amount),
        };
        let (truth, number) = self.purchase(die, scope, amount, currency);
        let parts = if die.percent(10) { 2 } else { 1 };
        self.charge(die, truth, number, parts);
        self.purchases[truth].invoice = Some(format!("in_{number}"));
        let known = &self.subscriptions[place];
        let (id, customer, buyer) = (known.id.clone(), known.customer.clone(), known.buyer);
        let signals = known.signals.clone();
        let tax = die.percent(30).then(|| die.between(0, amount / 5));
        self.tell_invoice(die, town, post, truth, now_s, Some((&id, &customer)), reason, tax, &signals, buyer);
        self.tell_charges(die, town, post, truth, now_s + 2, false);
    }

    #[expect(clippy::too_many_arguments, reason = "an invoice says all of it")]
    fn tell_invoice(
        &mut self,
        die: &mut Die,
        town: &Town,
        post: &mut Post,
        truth: usize,
        at_s: i64,
        of: Option<(&str, &str)>,
        reason: &'static str,
        tax: Option<i64>,
        signals: &Signals,
        buyer: usize,
    ) {
        let purchase = &self.purchases[truth];
        let scope = purchase.scope;
        let id = purchase.invoice.clone().unwrap();
        let paid_at_s = die.percent(90).then_some(at_s);
        // An old shape has room for one payment intent.
        let single = if let [one] = purchase.charges.as_slice() { Some(one) } else { None };
        let invoice = |shape: Shape| {
            let told = single.filter(|_| shape == Shape::Old);
            Told::Invoice(Invoice {
                id: id.clone(),
                subscription: of.map(|(id, _)| id.to_owned()),
                reason,
                amount: purchase.amount,
                tax,
                currency: purchase.currency,
                paid_at_s,
                intent: told.map(|charge| charge.intent.clone()),
                charge: told.map(|charge| charge.id.clone()),
                customer: of.map_or_else(|| format!("cus_of_{id}"), |(_, customer)| customer.to_owned()),
                buyer,
                signals: signals.clone(),
            })
        };
        let letter = Letter { scope, truth, at_s, kind: "invoice.paid", must: true };
        post.send(die, &town.scopes, &letter, invoice);
        for charge in &purchase.charges {
            let letter = Letter { scope, truth, at_s, kind: "invoice_payment.paid", must: false };
            let (invoice, intent) = (id.clone(), charge.intent.clone());
            post.send(die, &town.scopes, &letter, |_| Told::Payment {
                invoice: invoice.clone(),
                intent: intent.clone(),
            });
        }
    }

    fn tell_charges(&self, die: &mut Die, town: &Town, post: &mut Post, truth: usize, at_s: i64, must: bool) {
        for place in 0..self.purchases[truth].charges.len() {
            self.tell_charge(die, town, post, truth, place, at_s, must, "charge.updated");
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a charge says all of it")]
    pub fn tell_charge(
        &self,
        die: &mut Die,
        town: &Town,
        post: &mut Post,
        truth: usize,
        place: usize,
        at_s: i64,
        must: bool,
        kind: &'static str,
    ) {
        let purchase = &self.purchases[truth];
        let charge = &purchase.charges[place];
        let letter = Letter { scope: purchase.scope, truth, at_s, kind, must };
        let embedded = if purchase.style == Style::Embedded { charge.refunds.as_slice() } else { &[] };
        let refunds: Vec<Refund> = embedded.iter().map(|told| refund(purchase, charge, told)).collect();
        post.send(die, &town.scopes, &letter, |shape| {
            Told::Charge(Charge {
                id: charge.id.clone(),
                intent: Some(charge.intent.clone()),
                invoice: purchase.invoice.clone().filter(|_| shape == Shape::Old),
                currency: purchase.currency,
                released: charge.released,
                captured: charge.amount,
                refunded: charge.refunded(),
                refunds: refunds.clone(),
            })
        });
    }
}
