//! What is around every page of the dashboard: where one is, where one can go, and in which mode.

use domain::account::Role;
use domain::mode::Mode;

use super::desk::Desk;

/// A page that the navigation leads to: its path below workspace and mode, and what it is called.
pub struct Entry {
    /// `participants`; empty for the overview.
    pub path: &'static str,
    /// As it is called.
    pub name: &'static str,
}

/// Some pages under one heading.
pub struct Group {
    /// The heading.
    pub name: &'static str,
    /// The pages.
    pub entries: &'static [Entry],
}

const fn entry(path: &'static str, name: &'static str) -> Entry {
    Entry { path, name }
}

/// Everything that the navigation leads to.
pub const GROUPS: &[Group] = &[
    Group { name: "Start", entries: &[entry("", "Overview"), entry("checklist", "Go-live checklist")] },
    Group {
        name: "Program",
        entries: &[
            entry("programs", "Programs"),
            entry("participants", "Participants"),
            entry("partners", "Partners"),
            entry("invites", "Invites"),
            entry("questions", "Questions"),
            entry("links", "Links"),
            entry("promo-codes", "Promo codes"),
        ],
    },
    Group {
        name: "Sales",
        entries: &[
            entry("conversions", "Conversions"),
            entry("attribution-audit", "Decisions"),
            entry("clicks", "Clicks"),
            entry("customers", "Customers"),
            entry("refunds", "Refunds"),
            entry("fraud-alerts", "Fraud alerts"),
        ],
    },
    Group {
        name: "Money",
        entries: &[
            entry("commissions", "Commissions"),
            entry("review", "Review queue"),
            entry("payouts", "Payouts"),
            entry("payouts/balances", "What is due"),
        ],
    },
    Group {
        name: "Connections",
        entries: &[
            entry("stripe-connections", "Stripe"),
            entry("stripe-events", "Stripe events"),
            entry("webhook-endpoints", "Webhooks"),
            entry("webhook-deliveries", "Deliveries"),
            entry("events", "Events"),
            entry("hosts", "Hosts"),
            entry("api-keys", "API keys"),
        ],
    },
    Group {
        name: "Workspace",
        entries: &[entry("import", "Import"), entry("members", "Members"), entry("settings", "Settings")],
    },
];

/// The surroundings of one page.
pub struct Frame {
    /// The workspace's name.
    pub workspace: String,
    /// The mode.
    pub mode: Mode,
    /// Who is signed in.
    pub email: String,
    /// What they are.
    pub role: Role,
    /// The page's title.
    pub title: String,
    /// The entry of the navigation that is current, by its path.
    pub here: &'static str,
    /// Whether the member may change anything.
    pub may_change: bool,
    /// Whether more is shown on a screen.
    pub is_compact: bool,
    /// What is looked for in the search; mostly nothing.
    pub sought: String,
    /// Something was done: what, and how it can be undone.
    pub notice: Option<Notice>,
    base: String,
    other_base: String,
    elsewhere: String,
}

/// That something was done.
pub struct Notice {
    /// In a sentence.
    pub text: String,
    /// A form that undoes it: where it is sent, and where one comes back to.
    pub undo: Option<(String, String)>,
}

impl Frame {
    /// Around a page of this desk. `here` is its entry's path.
    pub fn of(desk: &Desk, here: &'static str, title: impl Into<String>) -> Self {
        Self {
            workspace: desk.membership.workspace_name.clone(),
            mode: desk.mode,
            email: desk.person.email.clone(),
            role: desk.membership.role,
            title: title.into(),
            here,
            may_change: desk.may_change(),
            is_compact: desk.is_compact,
            sought: String::new(),
            notice: None,
            base: desk.href(""),
            other_base: desk.href_in(desk.mode.other(), ""),
            elsewhere: here.to_owned(),
        }
    }

    /// With the notice that something was done.
    pub fn with_notice(mut self, notice: Option<Notice>) -> Self {
        self.notice = notice;
        self
    }

    /// With what is looked for.
    pub fn seeking(mut self, sought: String) -> Self {
        self.sought = sought;
        self
    }

    /// The navigation.
    pub fn groups(&self) -> &'static [Group] {
        GROUPS
    }

    /// The address of a page.
    pub fn href(&self, page: &str) -> String {
        if page.is_empty() { self.base.clone() } else { format!("{}/{page}", self.base) }
    }

    /// Where the switch to a mode leads: the same kind of page, since no object is in both modes.
    pub fn mode_href(&self, mode: &Mode) -> String {
        let base = if *mode == self.mode { &self.base } else { &self.other_base };
        if self.elsewhere.is_empty() { base.clone() } else { format!("{base}/{}", self.elsewhere) }
    }

    /// The modes, as the switch shows them.
    pub fn modes(&self) -> [(Mode, &'static str); 2] {
        [(Mode::Test, "Test"), (Mode::Live, "Live")]
    }

    /// Whether this is test data.
    pub fn is_test(&self) -> bool {
        self.mode == Mode::Test
    }
}
