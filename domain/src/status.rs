//! The small state words of programs, participants and links, as they are stored and shown.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {$(
            $(#[$vdoc])*
            #[serde(rename = $word)]
            $variant,
        )*}

        impl $name {
            /// Every word, in order.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// As it is stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads what [`Self::as_str`] writes.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// A program's status.
    ProgramStatus {
        /// Not announced: its join pages are closed, but an approved participant earns.
        Draft = "draft",
        /// Open.
        Active = "active",
        /// Nobody earns.
        Paused = "paused",
        /// Over.
        Archived = "archived",
    }
}

impl ProgramStatus {
    /// Whether conversions of this program earn.
    pub const fn earns(self) -> bool {
        matches!(self, Self::Draft | Self::Active)
    }
}

words! {
    /// A participant's status.
    ParticipantStatus {
        /// Applied, not yet judged.
        Pending = "pending",
        /// Earns.
        Approved = "approved",
        /// Was turned down.
        Rejected = "rejected",
        /// Was approved and is stopped.
        Suspended = "suspended",
    }
}

/// What a person does to a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParticipantAct {
    /// Let in, or let in again.
    Approve,
    /// Turn down an application.
    Reject,
    /// Stop.
    Suspend,
}

impl ParticipantStatus {
    /// The status after an act, or `None` where the act is not allowed.
    pub const fn after(self, act: ParticipantAct) -> Option<Self> {
        match (self, act) {
            (Self::Pending | Self::Rejected | Self::Suspended, ParticipantAct::Approve) => Some(Self::Approved),
            (Self::Pending, ParticipantAct::Reject) => Some(Self::Rejected),
            (Self::Pending | Self::Approved, ParticipantAct::Suspend) => Some(Self::Suspended),
            _ => None,
        }
    }
}

words! {
    /// A link's status. Links are never deleted.
    LinkStatus {
        /// Takes clicks.
        Active = "active",
        /// Takes none for now.
        Paused = "paused",
        /// Takes none any more.
        Archived = "archived",
    }
}

words! {
    /// How a program treats a customer who is already bound.
    AttributionModel {
        /// A newer valid click wins.
        LastClick = "last_click",
        /// The binding wins over clicks, for life.
        FirstClick = "first_click",
    }
}

words! {
    /// A commission's state.
    CommissionState {
        /// Held, or waiting for a person.
        Pending = "pending",
        /// Earned.
        Approved = "approved",
        /// Paid out.
        Paid = "paid",
        /// Turned down by a person.
        Rejected = "rejected",
        /// Its entries sum to nothing after a refund, a lost dispute or a merge.
        Reversed = "reversed",
    }
}

/// What a person does to a commission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommissionAct {
    /// Lets it be paid, whatever the hold.
    Approve,
    /// Turns it down.
    Reject,
}

impl CommissionState {
    /// The state after an act, or `None` where the act is not allowed. What is paid or reversed is changed by facts only.
    pub const fn after(self, act: CommissionAct) -> Option<Self> {
        match (self, act) {
            (Self::Pending | Self::Rejected, CommissionAct::Approve) => Some(Self::Approved),
            (Self::Pending | Self::Approved, CommissionAct::Reject) => Some(Self::Rejected),
            _ => None,
        }
    }
}

words! {
    /// What became of a stored Stripe event.
    StripeOutcome {
        /// Stored, not yet processed.
        Pending = "pending",
        /// Its facts are recorded.
        Processed = "processed",
        /// A type that we do not use.
        Ignored = "ignored",
        /// Not for this connection.
        Skipped = "skipped",
        /// Waits for a fact that joins it to a sale.
        Parked = "parked",
        /// Could not be processed; the reason says why.
        Failed = "failed",
    }
}

words! {
    /// What Stripe's API is asked.
    LookupKind {
        /// The fee of a balance transaction.
        Fee = "fee",
        /// The sale of a payment intent whose refund or dispute is parked.
        Sale = "sale",
        /// The events that Stripe could not deliver.
        Reconcile = "reconcile",
    }
}

words! {
    /// How far asking Stripe's API has come.
    LookupState {
        /// To be asked, or asked again.
        Pending = "pending",
        /// Answered.
        Done = "done",
        /// Given up; the last error says why.
        Failed = "failed",
    }
}

words! {
    /// An outgoing webhook's endpoint.
    EndpointStatus {
        /// Is told.
        Enabled = "enabled",
        /// Is not told.
        Disabled = "disabled",
    }
}

words! {
    /// Why an endpoint is disabled.
    DisabledReason {
        /// A person said so.
        ByHand = "by_hand",
        /// It answered 410.
        Gone = "gone",
        /// It has only failed for five days.
        Failing = "failing",
    }
}

words! {
    /// How far an event has come at one endpoint.
    DeliveryStatus {
        /// It is owed.
        Pending = "pending",
        /// The receiver has taken it.
        Delivered = "delivered",
        /// It was given up.
        DeadLetter = "dead_letter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sensible_acts_change_a_participant() {
        use ParticipantAct as A;
        use ParticipantStatus as S;
        assert_eq!(S::Pending.after(A::Approve), Some(S::Approved));
        assert_eq!(S::Approved.after(A::Suspend), Some(S::Suspended));
        assert_eq!(S::Suspended.after(A::Approve), Some(S::Approved));
        assert_eq!(S::Approved.after(A::Approve), None);
        assert_eq!(S::Approved.after(A::Reject), None);
        assert_eq!(S::Suspended.after(A::Suspend), None);
    }

    #[test]
    fn a_person_approves_or_rejects_what_is_neither_paid_nor_reversed() {
        use CommissionAct as A;
        use CommissionState as S;
        assert_eq!(S::Pending.after(A::Approve), Some(S::Approved));
        assert_eq!(S::Rejected.after(A::Approve), Some(S::Approved));
        assert_eq!(S::Approved.after(A::Reject), Some(S::Rejected));
        for state in [S::Paid, S::Reversed] {
            assert_eq!((state.after(A::Approve), state.after(A::Reject)), (None, None));
        }
        assert_eq!(S::Approved.after(A::Approve), None);
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ProgramStatus::WORDS {
            assert_eq!(ProgramStatus::parse(word).unwrap().as_str(), *word);
        }
        assert_eq!(ProgramStatus::parse("ACTIVE"), None);
    }
}
