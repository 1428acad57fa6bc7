//! Canonical Stripe facts: what one event said, in one shape whatever API version it was written in, without personal data.
//!
//! A fact is kept as it came and never changed. All ids are Stripe's own strings; all amounts are in the minor unit of the
//! currency beside them; all times are Stripe's.

use serde::{Deserialize, Serialize};

use crate::email::EmailHashes;
use crate::money::Currency;
use crate::time::Instant;

/// One thing that Stripe said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum StripeFact {
    /// A checkout session was completed, or its delayed payment succeeded.
    Session(SessionFact),
    /// An invoice was paid.
    Invoice(InvoiceFact),
    /// A payment was applied to an invoice: joins a payment intent or a charge to it.
    InvoicePayment(InvoicePaymentFact),
    /// The state of a charge.
    Charge(ChargeFact),
    /// The state of one refund.
    Refund(RefundFact),
    /// The state of a dispute.
    Dispute(DisputeFact),
    /// A subscription ended.
    SubscriptionEnded(SubscriptionEndedFact),
    /// A discount was made of a promotion code.
    Discount(DiscountFact),
    /// The fee of a balance transaction, as the API tells it when it is asked.
    Fee(FeeFact),
}

/// Where a click id was written down. In the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClickSource {
    /// `metadata.aff_click_id`.
    AffClickId,
    /// `metadata.tracClickId`.
    TracClickId,
    /// `client_reference_id` of a session.
    ClientReferenceId,
}

/// A value that stands where a click id may stand. Not yet judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickMention {
    /// Where it stood.
    pub source: ClickSource,
    /// The UUID, lower case. Values that are no UUID are absent.
    pub click_id: String,
}

/// What a session, an invoice and the metadata around them say about who is to be credited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hints {
    /// In the order in which they are tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clicks: Vec<ClickMention>,
    /// `promo_…` ids of the promotion codes used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promotion_codes: Vec<String>,
    /// `di_…` ids of discounts whose promotion code is not told here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<String>,
    /// `metadata.tracCustomerExternalId`: the merchant's own id of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_external_id: Option<String>,
    /// `metadata.selgeo = "false"` stands on the object, its subscription or its customer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub opted_out: bool,
}

/// A session's `mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionMode {
    /// One payment.
    Payment,
    /// Starts a subscription.
    Subscription,
    /// Saves a card; no money.
    Setup,
    /// A mode that did not exist when this was written.
    Other,
}

/// A session's `payment_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The money is there.
    Paid,
    /// The money may come later.
    Unpaid,
    /// Nothing is to be paid now.
    NoPaymentRequired,
    /// A status that did not exist when this was written; treated as unpaid.
    Other,
}

/// `checkout.session.completed` and `checkout.session.async_payment_succeeded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFact {
    /// `cs_…`.
    pub session: String,
    /// `mode`.
    pub mode: SessionMode,
    /// `payment_status`.
    pub payment_status: PaymentStatus,
    /// `amount_total`.
    pub amount: i64,
    /// `total_details.amount_tax`, where Stripe reports it.
    pub tax: Option<i64>,
    /// `currency`; absent for a session without money.
    pub currency: Option<Currency>,
    /// `pi_…`.
    pub payment_intent: Option<String>,
    /// `in_…`.
    pub invoice: Option<String>,
    /// `sub_…`.
    pub subscription: Option<String>,
    /// `cus_…`.
    pub customer: Option<String>,
    /// From `customer_details.email`, else `customer_email`, else the expanded customer.
    pub email: Option<EmailHashes>,
    /// Who is to be credited.
    #[serde(default)]
    pub hints: Hints,
}

/// Why Stripe made an invoice, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingReason {
    /// `subscription_create`: the first invoice of a subscription.
    SubscriptionCreate,
    /// `subscription_cycle`: a renewal.
    SubscriptionCycle,
    /// `subscription_update`: a proration.
    SubscriptionUpdate,
    /// Any other, among them `manual` and values that did not exist when this was written.
    Other,
}

/// `invoice.paid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceFact {
    /// `in_…`.
    pub invoice: String,
    /// `sub_…`, from the new place (`parent.subscription_details.subscription`) or the old one.
    pub subscription: Option<String>,
    /// `cus_…`.
    pub customer: Option<String>,
    /// From `customer_email`, else the expanded customer.
    pub email: Option<EmailHashes>,
    /// `billing_reason`.
    pub billing_reason: BillingReason,
    /// `amount_paid`: the money that came in, credit balances not among it.
    pub amount_paid: i64,
    /// `amount_paid_off_stripe` (since 2026-05-27), or all of `amount_paid` where `paid_out_of_band` says so. Never more
    /// than `amount_paid`.
    #[serde(default)]
    pub amount_paid_off_stripe: i64,
    /// `total`: what the invoice came to, tax in it, before credit balances. 0 where a proration came to a credit, which
    /// Stripe writes as a negative total; `amount_paid` where the shape has no total.
    pub total: i64,
    /// The sum of `total_taxes[]` (before: `total_tax_amounts[]`, `tax`), where Stripe reports it; 0 where it is a credit.
    pub tax: Option<i64>,
    /// `currency`.
    pub currency: Currency,
    /// `status_transitions.paid_at`.
    pub paid_at: Option<Instant>,
    /// `pi_…`, where the shape still tells it.
    pub payment_intent: Option<String>,
    /// `ch_…`, where the shape still tells it.
    pub charge: Option<String>,
    /// Who is to be credited: the invoice's own metadata, then its subscription's.
    #[serde(default)]
    pub hints: Hints,
}

/// `invoice_payment.paid`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoicePaymentFact {
    /// `inpay_…`.
    pub invoice_payment: String,
    /// `in_…`.
    pub invoice: String,
    /// `pi_…`.
    pub payment_intent: Option<String>,
    /// `ch_…`.
    pub charge: Option<String>,
    /// `amount_paid`; 0 where it is not told.
    pub amount_paid: i64,
    /// `currency`; absent where it is none of ISO 4217.
    pub currency: Option<Currency>,
}

/// `charge.updated` and `charge.refunded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeFact {
    /// `ch_…` or `py_…`.
    pub charge: String,
    /// `pi_…`.
    pub payment_intent: Option<String>,
    /// `in_…`, where the shape still tells it.
    pub invoice: Option<String>,
    /// `amount_captured`, or `amount` where the shape does not tell it and the charge is captured.
    pub amount_captured: i64,
    /// The cumulative `amount_refunded`. In shapes before 2025-03-31, known by their key `invoice`, releasing an uncaptured
    /// rest counted as a refund, so there it is `max(0, amount_refunded − (amount − amount_captured))`.
    pub amount_refunded: i64,
    /// `currency`.
    pub currency: Currency,
    /// `txn_…`: its fee is only told by the API, as a [`FeeFact`].
    pub balance_transaction: Option<String>,
    /// The fee and its currency, where the balance transaction came expanded.
    #[serde(default)]
    pub fee: Option<(i64, Currency)>,
    /// The refunds that the shape embeds (before 2022-11-15, or expanded).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<RefundFact>,
}

/// A refund's `status`. Each refund moves only upward in this order; `Failed` and `Canceled` are equal at the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// On its way. Counts. Statuses that did not exist when this was written are read as this.
    Pending,
    /// The buyer has to do something first. Does not count.
    RequiresAction,
    /// Done. Counts.
    Succeeded,
    /// It failed: the money stays. Does not count.
    Failed,
    /// It was canceled: the money stays. Does not count.
    Canceled,
}

impl RefundStatus {
    /// The height in the order `pending < requires_action < succeeded < failed = canceled`.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::RequiresAction => 1,
            Self::Succeeded => 2,
            Self::Failed | Self::Canceled => 3,
        }
    }

    /// Whether money of this refund has left or is leaving.
    pub const fn counts(self) -> bool {
        matches!(self, Self::Pending | Self::Succeeded)
    }
}

/// `refund.created`, `refund.updated`, `refund.failed`, `charge.refund.updated`, and refunds embedded in a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundFact {
    /// `re_…` or `pyr_…`.
    pub refund: String,
    /// `ch_…`.
    pub charge: Option<String>,
    /// `pi_…`.
    pub payment_intent: Option<String>,
    /// `amount`.
    pub amount: i64,
    /// `currency`.
    pub currency: Currency,
    /// `status`; a refund without one (old shapes) succeeded.
    pub status: RefundStatus,
    /// `created` of the refund itself.
    pub created: Option<Instant>,
}

/// A dispute's `status`, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// Not yet decided, whatever the stage; statuses that did not exist when this was written are read as this.
    Open,
    /// `won`, `warning_closed` or `prevented`: the money stays.
    Won,
    /// `lost`: the money is gone.
    Lost,
}

/// `charge.dispute.created` and `charge.dispute.closed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeFact {
    /// `dp_…` or `du_…`.
    pub dispute: String,
    /// `ch_…`.
    pub charge: Option<String>,
    /// `pi_…`.
    pub payment_intent: Option<String>,
    /// `amount`.
    pub amount: i64,
    /// `currency`.
    pub currency: Currency,
    /// `status`.
    pub status: DisputeStatus,
}

/// `customer.subscription.deleted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionEndedFact {
    /// `sub_…`.
    pub subscription: String,
    /// `cus_…`.
    pub customer: Option<String>,
    /// `ended_at`, else `canceled_at`.
    pub ended_at: Option<Instant>,
}

/// `customer.discount.created`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscountFact {
    /// `di_…`.
    pub discount: String,
    /// `promo_…`; absent when the discount was made of a coupon without a code.
    pub promotion_code: Option<String>,
    /// `cus_…`.
    pub customer: Option<String>,
    /// `sub_…`.
    pub subscription: Option<String>,
}

/// A balance transaction, which no event shows: what Stripe took of a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeFact {
    /// `txn_…`, as a charge names it.
    pub balance_transaction: String,
    /// `fee`.
    pub fee: i64,
    /// `currency`: that of the account's balance, which may be another than the charge's.
    pub currency: Currency,
}
