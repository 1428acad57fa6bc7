//! The partner's side: who may join a program and what becomes of them, what a partner is told, and how much they may say.

use crate::status::{ParticipantAct, ParticipantStatus, ProgramStatus, words};
use crate::time::{DAY_MS, HOUR_MS, Instant};

/// An invite can be accepted for so long.
pub const INVITE_LIVES_MS: i64 = 30 * DAY_MS;
/// A program's terms.
pub const TERMS_CHARS_MAX: usize = 20_000;
/// What somebody who applies says of how they promote.
pub const PROMOTION_CHARS_MAX: usize = 500;
/// Where a partner is paid, and likewise a tax id.
pub const PAYOUT_DETAILS_CHARS_MAX: usize = 500;
/// The way in which a partner is paid, in a few words.
pub const PAYOUT_METHOD_CHARS_MAX: usize = 40;
/// A question, and likewise its answer.
pub const QUESTION_CHARS_MAX: usize = 2_000;
/// Questions of one participant that wait for an answer at a time.
pub const OPEN_QUESTIONS_MAX: i64 = 20;
/// Links that a participant makes by themselves; a merchant may make more for them.
pub const OWN_LINKS_MAX: i64 = 200;
/// Applications that one network address may send in a minute.
pub const APPLICATIONS_PER_ADDRESS_MAX: u32 = 10;
/// Notices are mailed to one partner at most so often: a letter holds what came meanwhile.
pub const NOTICES_MAILED_EVERY_MS: i64 = HOUR_MS;
/// Notices that one letter tells one by one; of what is over it says how many.
pub const NOTICES_PER_LETTER_MAX: usize = 20;

words! {
    /// Whether anybody may apply to a program.
    Applications {
        /// Anybody; the merchant decides.
        Open = "open",
        /// By invite only.
        Closed = "closed",
    }
}

words! {
    /// How an invite stands.
    InviteStatus {
        /// Can be accepted.
        Pending = "pending",
        /// Somebody joined by it.
        Accepted = "accepted",
        /// The merchant took it back.
        Revoked = "revoked",
        /// Nobody came in time.
        Expired = "expired",
    }
}

impl InviteStatus {
    /// The status by now of one that stands in the books with this status and this end.
    pub fn at(self, expires_at: Instant, now: Instant) -> Self {
        if self == Self::Pending && now >= expires_at { Self::Expired } else { self }
    }
}

words! {
    /// How a partner's question stands.
    QuestionStatus {
        /// Waits for the merchant.
        Open = "open",
        /// Has its answer.
        Answered = "answered",
    }
}

words! {
    /// What a partner is told.
    NoticeKind {
        /// A commission was earned.
        Earned = "earned",
        /// A commission was approved.
        Approved = "approved",
        /// A person turned a commission down.
        Rejected = "rejected",
        /// Something of a commission was taken back.
        Reversed = "reversed",
        /// A payout was paid.
        Paid = "paid",
        /// They are in a program.
        Joined = "joined",
        /// Their application was turned down.
        Declined = "declined",
        /// They were stopped.
        Suspended = "suspended",
        /// A question has its answer.
        Answered = "answered",
    }
}

words! {
    /// What a partner can have mailed or not. Each stands for one or more kinds of notices.
    MailSwitch {
        /// New commissions.
        Earned = "earned",
        /// Approved ones.
        Approved = "approved",
        /// Those that are rejected, or taken back.
        Reversed = "reversed",
        /// Payouts.
        Paid = "paid",
        /// What concerns belonging to a program.
        Membership = "membership",
        /// Answers to questions.
        Answers = "answers",
    }
}

impl NoticeKind {
    /// Which switch says whether it is mailed.
    pub const fn switch(self) -> MailSwitch {
        match self {
            Self::Earned => MailSwitch::Earned,
            Self::Approved => MailSwitch::Approved,
            Self::Rejected | Self::Reversed => MailSwitch::Reversed,
            Self::Paid => MailSwitch::Paid,
            Self::Joined | Self::Declined | Self::Suspended => MailSwitch::Membership,
            Self::Answered => MailSwitch::Answers,
        }
    }
}

/// Why a program's join page is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The program is not announced yet, paused or over.
    NotActive,
    /// It takes invited partners only, and there is no invite.
    ByInviteOnly,
}

/// Whether a program's join page is open to somebody with or without an invite.
pub const fn may_join(program: ProgramStatus, applications: Applications, is_invited: bool) -> Result<(), Shut> {
    match (program, applications) {
        (ProgramStatus::Draft | ProgramStatus::Paused | ProgramStatus::Archived, _) => Err(Shut::NotActive),
        (ProgramStatus::Active, Applications::Closed) if !is_invited => Err(Shut::ByInviteOnly),
        (ProgramStatus::Active, _) => Ok(()),
    }
}

/// What becomes of somebody who joins, by how they stood before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// They are new in the program, with this status.
    Enters(ParticipantStatus),
    /// They were there, and an invite lets them in.
    Moves {
        /// How they stood.
        from: ParticipantStatus,
        /// How they stand now.
        to: ParticipantStatus,
    },
    /// They stay as they are.
    Stays(ParticipantStatus),
}

/// What becomes of somebody who joins: an invite lets in at once, an application waits. Whoever applied before, or was turned
/// down or stopped, is not let in by applying again.
pub fn joining(before: Option<ParticipantStatus>, is_invited: bool) -> Joining {
    match before {
        None if is_invited => Joining::Enters(ParticipantStatus::Approved),
        None => Joining::Enters(ParticipantStatus::Pending),
        Some(from) if is_invited => match from.after(ParticipantAct::Approve) {
            Some(to) => Joining::Moves { from, to },
            None => Joining::Stays(from),
        },
        Some(from) => Joining::Stays(from),
    }
}

/// Whether a participant of this status may make links of their own.
pub const fn may_make_links(participant: ParticipantStatus, program: ProgramStatus) -> bool {
    matches!(participant, ParticipantStatus::Approved) && !matches!(program, ProgramStatus::Archived)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ParticipantStatus as P;

    #[test]
    fn an_invite_expires_only_while_it_is_pending() {
        let (end, before) = (Instant::from_ms(10), Instant::from_ms(9));
        assert_eq!(InviteStatus::Pending.at(end, before), InviteStatus::Pending);
        assert_eq!(InviteStatus::Pending.at(end, end), InviteStatus::Expired);
        for settled in [InviteStatus::Accepted, InviteStatus::Revoked] {
            assert_eq!(settled.at(end, end), settled);
        }
    }

    #[test]
    fn a_join_page_is_open_while_its_program_is_active_and_to_the_invited_where_it_is_closed() {
        use Applications::{Closed, Open};
        assert_eq!(may_join(ProgramStatus::Active, Open, false), Ok(()));
        assert_eq!(may_join(ProgramStatus::Active, Closed, true), Ok(()));
        assert_eq!(may_join(ProgramStatus::Active, Closed, false), Err(Shut::ByInviteOnly));
        for status in [ProgramStatus::Draft, ProgramStatus::Paused, ProgramStatus::Archived] {
            for is_invited in [true, false] {
                assert_eq!(may_join(status, Open, is_invited), Err(Shut::NotActive));
            }
        }
    }

    #[test]
    fn an_application_waits_an_invite_lets_in_and_applying_again_changes_nothing() {
        assert_eq!(joining(None, false), Joining::Enters(P::Pending));
        assert_eq!(joining(None, true), Joining::Enters(P::Approved));
        for before in [P::Pending, P::Approved, P::Rejected, P::Suspended] {
            assert_eq!(joining(Some(before), false), Joining::Stays(before));
        }
        for from in [P::Pending, P::Rejected, P::Suspended] {
            assert_eq!(joining(Some(from), true), Joining::Moves { from, to: P::Approved });
        }
        assert_eq!(joining(Some(P::Approved), true), Joining::Stays(P::Approved));
    }

    #[test]
    fn every_switch_stands_for_some_kind_of_notice() {
        let of = |word: &&str| NoticeKind::parse(word).map(NoticeKind::switch);
        let used: Vec<_> = NoticeKind::WORDS.iter().filter_map(of).collect();
        for word in MailSwitch::WORDS {
            assert!(used.contains(&MailSwitch::parse(word).unwrap()), "{word}");
        }
    }
}
