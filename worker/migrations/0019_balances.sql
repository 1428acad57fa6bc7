-- Sums that pages look at, so that none of them goes through a participant's entries or a link's days. Like the daily totals they
-- are kept by triggers, in the transaction of whatever changes them; no CHECK on them may keep a sale from being booked.

-- What each participant's entries come to in one currency. An entry that a standing payout has settled counts there, whatever
-- became of its commission; any other counts by the state of its commission, and not at all where that is rejected or reversed.
CREATE TABLE balances (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  participant_id TEXT NOT NULL,
  currency TEXT NOT NULL,
  program_id TEXT NOT NULL,
  pending_cents INTEGER NOT NULL,
  -- Approved and in no payout; negative after refunds of what was paid.
  due_cents INTEGER NOT NULL,
  disputed_cents INTEGER NOT NULL,
  drafted_cents INTEGER NOT NULL,
  paid_cents INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, mode, participant_id, currency)
) STRICT, WITHOUT ROWID;
-- One more written row when a balance begins; none when it changes.
CREATE INDEX balances_by_program ON balances (workspace_id, mode, program_id, participant_id);
-- Who may be paid, of one program or of all: written where a balance begins or ceases to be above nothing.
CREATE INDEX balances_due ON balances (workspace_id, mode, program_id, participant_id) WHERE due_cents > 0;

-- The same of all participants of a program.
CREATE TABLE program_balances (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  program_id TEXT NOT NULL,
  currency TEXT NOT NULL,
  pending_cents INTEGER NOT NULL,
  due_cents INTEGER NOT NULL,
  disputed_cents INTEGER NOT NULL,
  drafted_cents INTEGER NOT NULL,
  paid_cents INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, mode, program_id, currency)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER balances_are_summed AFTER INSERT ON balances
BEGIN
  INSERT INTO program_balances (workspace_id, mode, program_id, currency, pending_cents, due_cents, disputed_cents, drafted_cents,
    paid_cents)
  VALUES (NEW.workspace_id, NEW.mode, NEW.program_id, NEW.currency, NEW.pending_cents, NEW.due_cents, NEW.disputed_cents,
    NEW.drafted_cents, NEW.paid_cents)
  ON CONFLICT (workspace_id, mode, program_id, currency)
  DO UPDATE SET pending_cents = pending_cents + excluded.pending_cents, due_cents = due_cents + excluded.due_cents,
    disputed_cents = disputed_cents + excluded.disputed_cents, drafted_cents = drafted_cents + excluded.drafted_cents,
    paid_cents = paid_cents + excluded.paid_cents;
END;

CREATE TRIGGER balances_are_summed_anew AFTER UPDATE ON balances
BEGIN
  UPDATE program_balances SET pending_cents = pending_cents + NEW.pending_cents - OLD.pending_cents,
    due_cents = due_cents + NEW.due_cents - OLD.due_cents, disputed_cents = disputed_cents + NEW.disputed_cents - OLD.disputed_cents,
    drafted_cents = drafted_cents + NEW.drafted_cents - OLD.drafted_cents, paid_cents = paid_cents + NEW.paid_cents - OLD.paid_cents
  WHERE workspace_id = NEW.workspace_id AND mode = NEW.mode AND program_id = NEW.program_id AND currency = NEW.currency;
END;

INSERT INTO balances (workspace_id, mode, participant_id, currency, program_id, pending_cents, due_cents, disputed_cents,
  drafted_cents, paid_cents)
SELECT m.workspace_id, m.mode, m.participant_id, m.currency, m.program_id,
  SUM(iif(o.id IS NULL AND m.state = 'pending', e.amount_cents, 0)),
  SUM(iif(o.id IS NULL AND m.state IN ('approved', 'paid') AND m.disputed = 0, e.amount_cents, 0)),
  SUM(iif(o.id IS NULL AND m.state IN ('approved', 'paid') AND m.disputed = 1, e.amount_cents, 0)),
  SUM(iif(o.status = 'draft', e.amount_cents, 0)), SUM(iif(o.status = 'paid', e.amount_cents, 0))
FROM commissions m JOIN entries e ON e.commission_id = m.id
LEFT JOIN payout_entries s ON s.entry_id = e.id AND s.released = 0 LEFT JOIN payouts o ON o.id = s.payout_id
GROUP BY m.workspace_id, m.mode, m.participant_id, m.currency;

-- A new entry is in no payout.
CREATE TRIGGER entries_are_balanced AFTER INSERT ON entries
BEGIN
  INSERT INTO balances (workspace_id, mode, participant_id, currency, program_id, pending_cents, due_cents, disputed_cents,
    drafted_cents, paid_cents)
  SELECT m.workspace_id, m.mode, m.participant_id, m.currency, m.program_id, iif(m.state = 'pending', NEW.amount_cents, 0),
    iif(m.state IN ('approved', 'paid') AND m.disputed = 0, NEW.amount_cents, 0),
    iif(m.state IN ('approved', 'paid') AND m.disputed = 1, NEW.amount_cents, 0), 0, 0
  FROM commissions m WHERE m.id = NEW.commission_id
  ON CONFLICT (workspace_id, mode, participant_id, currency)
  DO UPDATE SET pending_cents = pending_cents + excluded.pending_cents, due_cents = due_cents + excluded.due_cents,
    disputed_cents = disputed_cents + excluded.disputed_cents;
END;

CREATE TRIGGER commissions_are_balanced_anew AFTER UPDATE OF state, disputed ON commissions
WHEN NEW.state <> OLD.state OR NEW.disputed <> OLD.disputed
BEGIN
  UPDATE balances SET
    pending_cents = pending_cents + ((NEW.state = 'pending') - (OLD.state = 'pending')) * s.cents,
    due_cents = due_cents + ((NEW.state IN ('approved', 'paid') AND NEW.disputed = 0)
      - (OLD.state IN ('approved', 'paid') AND OLD.disputed = 0)) * s.cents,
    disputed_cents = disputed_cents + ((NEW.state IN ('approved', 'paid') AND NEW.disputed = 1)
      - (OLD.state IN ('approved', 'paid') AND OLD.disputed = 1)) * s.cents
  FROM (SELECT SUM(e.amount_cents) AS cents FROM entries e WHERE e.commission_id = NEW.id
    AND NOT EXISTS (SELECT 1 FROM payout_entries p WHERE p.entry_id = e.id AND p.released = 0)) s
  WHERE s.cents <> 0 AND workspace_id = NEW.workspace_id AND mode = NEW.mode AND participant_id = NEW.participant_id
    AND currency = NEW.currency;
END;

-- Test data alone is ever deleted: it is in no payout, and entries go before their commission.
CREATE TRIGGER entries_are_balanced_back AFTER DELETE ON entries
BEGIN
  UPDATE balances SET pending_cents = pending_cents - (m.state = 'pending') * OLD.amount_cents,
    due_cents = due_cents - (m.state IN ('approved', 'paid') AND m.disputed = 0) * OLD.amount_cents,
    disputed_cents = disputed_cents - (m.state IN ('approved', 'paid') AND m.disputed = 1) * OLD.amount_cents
  FROM commissions m
  WHERE m.id = OLD.commission_id AND balances.workspace_id = m.workspace_id AND balances.mode = m.mode
    AND balances.participant_id = m.participant_id AND balances.currency = m.currency;
END;

-- A draft settles entries that were due, and its amount is their sum.
CREATE TRIGGER payouts_are_balanced AFTER INSERT ON payouts
BEGIN
  UPDATE balances SET due_cents = due_cents - NEW.amount_cents, drafted_cents = drafted_cents + NEW.amount_cents
  WHERE workspace_id = NEW.workspace_id AND mode = NEW.mode AND participant_id = NEW.participant_id AND currency = NEW.currency;
END;

CREATE TRIGGER paid_payouts_are_balanced AFTER UPDATE OF status ON payouts WHEN OLD.status = 'draft' AND NEW.status = 'paid'
BEGIN
  UPDATE balances SET drafted_cents = drafted_cents - NEW.amount_cents, paid_cents = paid_cents + NEW.amount_cents
  WHERE workspace_id = NEW.workspace_id AND mode = NEW.mode AND participant_id = NEW.participant_id AND currency = NEW.currency;
END;

-- What a canceled one gives back counts as its commissions are now.
CREATE TRIGGER canceled_payouts_are_balanced AFTER UPDATE OF status ON payouts WHEN OLD.status = 'draft' AND NEW.status = 'canceled'
BEGIN
  UPDATE balances SET drafted_cents = drafted_cents - NEW.amount_cents, pending_cents = pending_cents + s.pending,
    due_cents = due_cents + s.due, disputed_cents = disputed_cents + s.disputed
  FROM (SELECT SUM(iif(m.state = 'pending', e.amount_cents, 0)) AS pending,
      SUM(iif(m.state IN ('approved', 'paid') AND m.disputed = 0, e.amount_cents, 0)) AS due,
      SUM(iif(m.state IN ('approved', 'paid') AND m.disputed = 1, e.amount_cents, 0)) AS disputed
    FROM payout_entries p JOIN entries e ON e.id = p.entry_id JOIN commissions m ON m.id = e.commission_id
    WHERE p.payout_id = NEW.id) s
  WHERE workspace_id = NEW.workspace_id AND mode = NEW.mode AND participant_id = NEW.participant_id AND currency = NEW.currency;
END;

-- What a payout is of, beside it: a list of payouts need not go through their entries. NULL in payouts from before.
ALTER TABLE payouts ADD COLUMN entry_count INTEGER;
ALTER TABLE payouts ADD COLUMN commission_ids TEXT CHECK (json_valid(commission_ids));

-- Clicks of all of a participant's links by day, and of a link for good.
CREATE TABLE participant_clicks (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  participant_id TEXT NOT NULL,
  day INTEGER NOT NULL,
  humans INTEGER NOT NULL,
  machines INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, mode, participant_id, day)
) STRICT, WITHOUT ROWID;
ALTER TABLE links ADD COLUMN human_clicks INTEGER NOT NULL DEFAULT 0;

INSERT INTO participant_clicks (workspace_id, mode, participant_id, day, humans, machines)
SELECT d.workspace_id, d.mode, l.participant_id, d.day, SUM(d.humans), SUM(d.machines)
FROM click_days d JOIN links l ON l.number = d.link_number GROUP BY 1, 2, 3, 4;
UPDATE links SET human_clicks = (SELECT COALESCE(SUM(d.humans), 0) FROM click_days d WHERE d.workspace_id = links.workspace_id
  AND d.mode = links.mode AND d.link_number = links.number);

CREATE TRIGGER click_days_are_summed AFTER INSERT ON click_days
BEGIN
  INSERT INTO participant_clicks (workspace_id, mode, participant_id, day, humans, machines)
  SELECT l.workspace_id, l.mode, l.participant_id, NEW.day, NEW.humans, NEW.machines FROM links l WHERE l.number = NEW.link_number
  ON CONFLICT (workspace_id, mode, participant_id, day)
  DO UPDATE SET humans = humans + excluded.humans, machines = machines + excluded.machines;
  UPDATE links SET human_clicks = human_clicks + NEW.humans WHERE number = NEW.link_number AND NEW.humans <> 0;
END;

CREATE TRIGGER click_days_are_summed_anew AFTER UPDATE ON click_days
BEGIN
  UPDATE participant_clicks SET humans = humans + NEW.humans - OLD.humans, machines = machines + NEW.machines - OLD.machines
  WHERE workspace_id = NEW.workspace_id AND mode = NEW.mode AND day = NEW.day
    AND participant_id = (SELECT participant_id FROM links WHERE number = NEW.link_number);
  UPDATE links SET human_clicks = human_clicks + NEW.humans - OLD.humans
  WHERE number = NEW.link_number AND NEW.humans <> OLD.humans;
END;

-- A wipe of test data alone deletes them.
CREATE TRIGGER click_days_are_taken_back AFTER DELETE ON click_days
BEGIN
  UPDATE participant_clicks SET humans = humans - OLD.humans, machines = machines - OLD.machines
  WHERE workspace_id = OLD.workspace_id AND mode = OLD.mode AND day = OLD.day
    AND participant_id = (SELECT participant_id FROM links WHERE number = OLD.link_number);
  UPDATE links SET human_clicks = human_clicks - OLD.humans WHERE number = OLD.link_number;
END;
