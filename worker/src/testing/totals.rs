//! Totals and balances, held against the rows that they are totals of.

use super::World;

const PAIRS: [(&str, &str, &str); 8] = [
    (
        "click_totals",
        // Of days from which nothing is purged.
        "SELECT workspace_id, mode, kind, name, iif(kind = 'link_ever', 0, day), concat(SUM(human), ' ', SUM(1 - human)) FROM \
         (SELECT c.workspace_id, c.mode, k.value AS kind, CASE k.value WHEN 'all' THEN '' WHEN 'participant' THEN l.participant_id \
         ELSE CAST(l.number AS TEXT) END AS name, c.clicked_at / 86400000 AS day, c.human FROM \
         (SELECT workspace_id, mode, link_number, clicked_at, human FROM packed_clicks WHERE clicked_at >= counted_from UNION ALL \
         SELECT workspace_id, mode, link_number, clicked_at, human FROM clicks) c JOIN links l ON l.number = c.link_number \
         CROSS JOIN json_each('[\"all\",\"link\",\"link_ever\",\"participant\"]') k) GROUP BY 1, 2, 3, 4, 5",
        "SELECT workspace_id, mode, kind, name, iif(kind = 'link_ever', 0, day), concat(SUM(humans), ' ', SUM(machines)) FROM \
         (SELECT * FROM click_totals WHERE kind IN ('all', 'link', 'link_ever', 'participant') UNION ALL \
         SELECT u.workspace_id, u.mode, k.value, CASE k.value WHEN 'all' THEN '' WHEN 'participant' THEN l.participant_id \
         ELSE CAST(l.number AS TEXT) END, u.day, u.humans, u.machines FROM unsummed_clicks u JOIN links l ON l.number = u.link_number \
         CROSS JOIN json_each('[\"all\",\"link\",\"link_ever\",\"participant\"]') k) \
         GROUP BY 1, 2, 3, 4, 5 HAVING SUM(humans) <> 0 OR SUM(machines) <> 0",
    ),
    (
        "click_packs",
        "SELECT id, humans, machines FROM click_packs WHERE humans <> 0 OR machines <> 0",
        "SELECT pack_id, SUM(human), SUM(1 - human) FROM packed_clicks WHERE clicked_at >= counted_from GROUP BY pack_id",
    ),
    (
        "click_packs by link",
        "SELECT p.id, c.value ->> 0, SUM(c.value ->> 1), SUM(c.value ->> 2) FROM click_packs p CROSS JOIN json_each(p.counted) c \
         GROUP BY p.id, c.value ->> 0",
        "SELECT pack_id, link_number, SUM(human), SUM(1 - human) FROM packed_clicks WHERE clicked_at >= counted_from \
         GROUP BY pack_id, link_number",
    ),
    (
        "click_totals of origins",
        "SELECT k.workspace_id, k.mode, o.value ->> 0 AS kind, o.value ->> 1 AS name, k.hour / 24 AS day, concat(SUM(k.human), ' ', \
         SUM(1 - k.human)) FROM packed_clicks k JOIN click_sums s ON s.workspace_id = k.workspace_id AND s.mode = k.mode \
         AND k.pack_id <= s.summed_until CROSS JOIN json_each(json_array(json_array('country', k.country), \
         json_array('device', k.device), json_array('referrer_host', k.referrer_host))) o \
         WHERE k.clicked_at >= k.counted_from AND o.value ->> 1 IS NOT NULL GROUP BY 1, 2, 3, 4, 5",
        "SELECT workspace_id, mode, kind, name, day, concat(humans, ' ', machines) FROM click_totals \
         WHERE kind IN ('country', 'device', 'referrer_host') AND (humans <> 0 OR machines <> 0)",
    ),
    (
        "daily_conversions",
        "SELECT workspace_id, mode, occurred_at / 86400000, SUM(participant_id IS NOT NULL), SUM(participant_id IS NULL), '' \
         FROM conversions WHERE status <> 'merged' GROUP BY 1, 2, 3",
        "SELECT workspace_id, mode, day, credited, uncredited, '' FROM daily_conversions WHERE credited <> 0 OR uncredited <> 0",
    ),
    (
        "daily_commissions",
        "SELECT workspace_id, mode, day, currency, 'x', concat(p, ' ', a, ' ', d, ' ', r) FROM \
         (SELECT m.workspace_id, m.mode, m.created_at / 86400000 AS day, m.currency, \
         SUM(iif(m.state = 'pending', e.amount_cents, 0)) AS p, SUM(iif(m.state = 'approved', e.amount_cents, 0)) AS a, \
         SUM(iif(m.state = 'paid', e.amount_cents, 0)) AS d, SUM(iif(m.state = 'rejected', e.amount_cents, 0)) AS r \
         FROM commissions m JOIN entries e ON e.commission_id = m.id GROUP BY 1, 2, 3, 4) WHERE p <> 0 OR a <> 0 OR d <> 0 OR r <> 0",
        "SELECT workspace_id, mode, day, currency, 'x', concat(pending_cents, ' ', approved_cents, ' ', paid_cents, ' ', rejected_cents) \
         FROM daily_commissions WHERE pending_cents <> 0 OR approved_cents <> 0 OR paid_cents <> 0 OR rejected_cents <> 0",
    ),
    (
        "balances",
        "SELECT workspace_id, mode, whose, currency, concat(p, ' ', u, ' ', d, ' ', f, ' ', t) AS a, '' AS b FROM \
         (SELECT m.workspace_id, m.mode, m.participant_id AS whose, m.currency, SUM(iif(o.id IS NULL AND m.state = 'pending', e.amount_cents, 0)) AS p, \
         SUM(iif(o.id IS NULL AND m.state IN ('approved', 'paid') AND m.disputed = 0, e.amount_cents, 0)) AS u, \
         SUM(iif(o.id IS NULL AND m.state IN ('approved', 'paid') AND m.disputed = 1, e.amount_cents, 0)) AS d, \
         SUM(iif(o.status = 'draft', e.amount_cents, 0)) AS f, SUM(iif(o.status = 'paid', e.amount_cents, 0)) AS t \
         FROM commissions m JOIN entries e ON e.commission_id = m.id \
         LEFT JOIN payout_entries s ON s.entry_id = e.id AND s.released = 0 LEFT JOIN payouts o ON o.id = s.payout_id \
         GROUP BY 1, 2, 3, 4) WHERE p <> 0 OR u <> 0 OR d <> 0 OR f <> 0 OR t <> 0",
        "SELECT workspace_id, mode, participant_id, currency, concat(pending_cents, ' ', due_cents, ' ', disputed_cents, ' ', \
         drafted_cents, ' ', paid_cents), '' FROM balances WHERE pending_cents <> 0 OR due_cents <> 0 OR disputed_cents <> 0 \
         OR drafted_cents <> 0 OR paid_cents <> 0",
    ),
    (
        "program_balances",
        "SELECT workspace_id, mode, whose, currency, concat(p, ' ', u, ' ', d, ' ', f, ' ', t) AS a, '' AS b FROM \
         (SELECT m.workspace_id, m.mode, m.program_id AS whose, m.currency, SUM(iif(o.id IS NULL AND m.state = 'pending', e.amount_cents, 0)) AS p, \
         SUM(iif(o.id IS NULL AND m.state IN ('approved', 'paid') AND m.disputed = 0, e.amount_cents, 0)) AS u, \
         SUM(iif(o.id IS NULL AND m.state IN ('approved', 'paid') AND m.disputed = 1, e.amount_cents, 0)) AS d, \
         SUM(iif(o.status = 'draft', e.amount_cents, 0)) AS f, SUM(iif(o.status = 'paid', e.amount_cents, 0)) AS t \
         FROM commissions m JOIN entries e ON e.commission_id = m.id \
         LEFT JOIN payout_entries s ON s.entry_id = e.id AND s.released = 0 LEFT JOIN payouts o ON o.id = s.payout_id \
         GROUP BY 1, 2, 3, 4) WHERE p <> 0 OR u <> 0 OR d <> 0 OR f <> 0 OR t <> 0",
        "SELECT workspace_id, mode, program_id, currency, concat(pending_cents, ' ', due_cents, ' ', disputed_cents, ' ', \
         drafted_cents, ' ', paid_cents), '' FROM program_balances WHERE pending_cents <> 0 OR due_cents <> 0 OR disputed_cents <> 0 \
         OR drafted_cents <> 0 OR paid_cents <> 0",
    ),
];

impl World {
    /// Clicks of people, as pages count them.
    pub fn humans(&self) -> i64 {
        let totals = "SELECT COALESCE(SUM(humans), 0) FROM click_totals WHERE kind = 'all'";
        self.db.count(totals) + self.db.count("SELECT COALESCE(SUM(humans), 0) FROM unsummed_clicks")
    }

    /// Records of clicks, in packs and by themselves: each once, or this says which is not.
    #[track_caller]
    pub fn records(&self) -> i64 {
        let all = "SELECT click_id FROM packed_clicks UNION ALL SELECT click_id FROM clicks";
        let twice =
            format!("SELECT count(*) FROM (SELECT click_id FROM ({all}) GROUP BY click_id HAVING count(*) > 1)");
        assert_eq!(self.db.count(&twice), 0, "clicks have two records");
        self.db.count(&format!("SELECT count(*) FROM ({all})"))
    }

    /// Sums all clicks that wait, however few.
    pub fn sum_clicks(&self) {
        let least = crate::store::packs::Least { clicks: 1, hours: 0 };
        pollster::block_on(crate::jobs::click_sums::run(&self.app, self.now(), least)).unwrap();
    }

    /// The tables of totals that differ from what their rows come to.
    pub fn totals_that_differ(&self) -> Vec<&'static str> {
        let differs = |rows: &str, totals: &str| {
            let one =
                |a: &str, b: &str| format!("SELECT count(*) FROM (SELECT * FROM ({a}) EXCEPT SELECT * FROM ({b}))");
            self.db.count(&one(rows, totals)) + self.db.count(&one(totals, rows)) != 0
        };
        PAIRS.into_iter().filter(|(_, rows, totals)| differs(rows, totals)).map(|(table, _, _)| table).collect()
    }
}
