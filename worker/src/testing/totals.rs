//! Totals and balances, held against the rows that they are totals of.

use super::World;

const PAIRS: [(&str, &str, &str); 7] = [
    (
        "daily_clicks",
        "SELECT workspace_id, mode, clicked_at / 86400000 AS day, SUM(human) AS a, SUM(1 - human) AS b, '' AS c FROM clicks GROUP BY 1, 2, 3",
        "SELECT workspace_id, mode, day, humans, machines, '' FROM daily_clicks WHERE humans <> 0 OR machines <> 0",
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
    (
        "participant_clicks",
        "SELECT d.workspace_id, d.mode, l.participant_id, d.day, SUM(d.humans) AS a, SUM(d.machines) AS b FROM click_days d \
         JOIN links l ON l.number = d.link_number GROUP BY 1, 2, 3, 4 HAVING a <> 0 OR b <> 0",
        "SELECT workspace_id, mode, participant_id, day, humans, machines FROM participant_clicks WHERE humans <> 0 OR machines <> 0",
    ),
    (
        "links",
        "SELECT link_number, SUM(humans) AS a FROM click_days GROUP BY 1 HAVING a <> 0",
        "SELECT number, human_clicks FROM links WHERE human_clicks <> 0",
    ),
];

impl World {
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
