-- Payouts: which entries were settled together, and when they were paid.

-- In the minor unit of whichever currency is paid: the ledger converts none, so it is compared as the number it is.
ALTER TABLE programs ADD COLUMN minimum_payout_cents INTEGER NOT NULL DEFAULT 0 CHECK (minimum_payout_cents >= 0);

CREATE TABLE payouts (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  -- Test mode is never paid out.
  mode TEXT NOT NULL CHECK (mode = 'live'),
  participant_id TEXT NOT NULL REFERENCES participants (id),
  program_id TEXT NOT NULL,
  currency TEXT NOT NULL,
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  status TEXT NOT NULL CHECK (status IN ('draft', 'paid', 'canceled')),
  -- When it was paid or canceled.
  settled_at INTEGER,
  request_id TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX payouts_by_workspace ON payouts (workspace_id, mode, id);

-- Entries are never changed, so that they are settled is said here: an entry is of at most one payout that stands.
CREATE TABLE payout_entries (
  payout_id TEXT NOT NULL REFERENCES payouts (id),
  entry_id TEXT NOT NULL REFERENCES entries (id),
  -- Its payout was canceled, and another may take it up.
  released INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1)),
  PRIMARY KEY (payout_id, entry_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX payout_entries_settled ON payout_entries (entry_id) WHERE released = 0;

-- One participant's commissions: what a balance, and a partner's own list, go through.
CREATE INDEX commissions_by_participant ON commissions (workspace_id, mode, participant_id, id);

CREATE TRIGGER payouts_are_kept BEFORE DELETE ON payouts BEGIN SELECT RAISE(ABORT, 'payouts are never deleted'); END;
-- After, so that a CHECK which tells of a race speaks first.
CREATE TRIGGER payouts_are_final AFTER UPDATE ON payouts
WHEN OLD.status <> 'draft' OR NEW.amount_cents <> OLD.amount_cents OR NEW.currency <> OLD.currency
  OR NEW.participant_id <> OLD.participant_id
BEGIN
  SELECT RAISE(ABORT, 'a payout is paid or canceled once, and otherwise never changed');
END;
CREATE TRIGGER payout_entries_are_kept BEFORE DELETE ON payout_entries BEGIN
  SELECT RAISE(ABORT, 'what a payout settled is never deleted');
END;
CREATE TRIGGER payout_entries_are_final BEFORE UPDATE ON payout_entries
WHEN NEW.entry_id <> OLD.entry_id OR NEW.payout_id <> OLD.payout_id OR NEW.released = 0
  OR (SELECT status FROM payouts WHERE id = OLD.payout_id) <> 'canceled'
BEGIN
  SELECT RAISE(ABORT, 'only a canceled payout releases its entries');
END;
