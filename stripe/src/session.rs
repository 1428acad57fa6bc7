//! `checkout.session`: who bought, what it came to, and who is to be credited.

use domain::fact::{PaymentStatus, SessionFact, SessionMode};

use crate::event::EmailHasher;
use crate::hints;
use crate::shape::{Flaw, Shape, Unreadable};

/// Whether the session only saves a card. There is no sale in it.
pub(crate) fn is_setup(session: Shape<'_>) -> bool {
    mode(session) == SessionMode::Setup
}

/// Reads a session. Since 2022-08-01 it may have neither customer nor payment intent yet.
pub(crate) fn read(session: Shape<'_>, hash_email: EmailHasher<'_>) -> Result<SessionFact, Unreadable> {
    session.must_be("checkout.session")?;
    let payment_status = payment_status(session);
    let amount = session.amount("amount_total")?;
    if amount.is_none() && payment_status == PaymentStatus::Paid {
        return Err(Unreadable {
            field: "amount_total",
            flaw: Flaw::Missing,
        });
    }
    let amount = amount.unwrap_or(0);
    let currency = if amount > 0 {
        Some(session.own_currency("currency")?)
    } else {
        session.currency("currency")?
    };
    let email = ["customer_details.email", "customer_email", "customer.email"]
        .into_iter()
        .filter_map(|path| session.text(path))
        .find_map(hash_email);
    Ok(SessionFact {
        session: session.own_id("id")?,
        mode: mode(session),
        payment_status,
        amount,
        tax: session.amount("total_details.amount_tax")?,
        currency,
        payment_intent: session.id("payment_intent"),
        invoice: session.id("invoice"),
        subscription: session.id("subscription"),
        customer: session.id("customer"),
        email,
        hints: hints::of_session(session),
    })
}

fn mode(session: Shape<'_>) -> SessionMode {
    match session.text("mode") {
        Some("payment") => SessionMode::Payment,
        Some("subscription") => SessionMode::Subscription,
        Some("setup") => SessionMode::Setup,
        _ => SessionMode::Other,
    }
}

fn payment_status(session: Shape<'_>) -> PaymentStatus {
    match session.text("payment_status") {
        Some("paid") => PaymentStatus::Paid,
        Some("unpaid") => PaymentStatus::Unpaid,
        Some("no_payment_required") => PaymentStatus::NoPaymentRequired,
        _ => PaymentStatus::Other,
    }
}
