-- Clicks, sales and what they earn.

CREATE TABLE clicks (
  click_id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  link_number INTEGER NOT NULL,
  clicked_at INTEGER NOT NULL,
  url TEXT,
  referrer TEXT,
  human INTEGER NOT NULL CHECK (human IN (0, 1)),
  -- A JSON list of words: crawler, preview, prefetch, unmetered, recovered.
  flags TEXT NOT NULL,
  address_hash TEXT,
  device TEXT,
  browser TEXT,
  country TEXT,
  request_id TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX clicks_by_time ON clicks (workspace_id, mode, clicked_at, click_id);

-- A family of sales: those of one subscription, or one sale alone. They are booked together. The revision guards it against
-- two writers: who did not see the newest one fails the CHECK, and its batch with it.
CREATE TABLE families (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  revision INTEGER NOT NULL CHECK (revision >= 0),
  -- When time alone can change what its sales have come to.
  due_at INTEGER,
  -- Some of its facts speak of a sale that nobody knows yet.
  parked INTEGER NOT NULL DEFAULT 0 CHECK (parked IN (0, 1)),
  -- A later fact joined it to this one.
  merged_into TEXT REFERENCES families (id)
) STRICT;
CREATE INDEX families_due ON families (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX families_merged ON families (merged_into) WHERE merged_into IS NOT NULL;

-- Every id under which a sale is known: Stripe's and the merchant's, in one key space, so that one sale is counted once.
CREATE TABLE family_keys (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  key TEXT NOT NULL,
  family_id TEXT NOT NULL REFERENCES families (id),
  PRIMARY KEY (workspace_id, mode, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX family_keys_by_family ON family_keys (family_id);

-- What came in, as it came, without personal data.
CREATE TABLE facts (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  family_id TEXT NOT NULL REFERENCES families (id),
  -- 'report/' and the transaction, 'refund/' with transaction and refund, or Stripe's event id and the fact's place in it:
  -- what is told twice is one fact.
  source TEXT NOT NULL,
  said_at INTEGER NOT NULL,
  body TEXT NOT NULL,
  -- What it names, so that one query finds it: {"links":[numbers],"codes":[folded],"promotion_codes":["promo_…"]}.
  mentions TEXT NOT NULL,
  stripe_event_id TEXT,
  recorded_at INTEGER NOT NULL,
  request_id TEXT,
  UNIQUE (family_id, source)
) STRICT;

CREATE TABLE conversions (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  family_id TEXT NOT NULL REFERENCES families (id),
  -- One key of its sale: tells the family's conversions apart.
  anchor TEXT NOT NULL,
  source TEXT NOT NULL CHECK (source IN ('api', 'stripe', 'lead_api')),
  status TEXT NOT NULL CHECK (status IN ('recorded', 'partially_refunded', 'refunded', 'merged')),
  external_transaction_id TEXT,
  event_type TEXT NOT NULL,
  amount_cents INTEGER NOT NULL,
  currency TEXT,
  refunded_cents INTEGER NOT NULL DEFAULT 0,
  occurred_at INTEGER NOT NULL,
  click_id TEXT,
  promo_code TEXT,
  customer_external_id TEXT,
  metadata TEXT,
  -- Stripe's ids, a JSON object.
  stripe TEXT NOT NULL,
  decision_id TEXT NOT NULL,
  attribution_method TEXT,
  attribution_reason TEXT NOT NULL,
  attributed_click_id TEXT,
  attributed_promo_code TEXT,
  program_id TEXT,
  participant_id TEXT,
  request_id TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX conversions_by_family ON conversions (family_id);
CREATE INDEX conversions_by_workspace ON conversions (workspace_id, mode, id);

CREATE TABLE decisions (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  -- Absent when the conversion was refused.
  conversion_id TEXT,
  external_transaction_id TEXT,
  rule_version INTEGER NOT NULL,
  inputs TEXT NOT NULL,
  verdict TEXT NOT NULL,
  reason TEXT NOT NULL,
  participant_id TEXT,
  refused TEXT,
  request_id TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX decisions_by_workspace ON decisions (workspace_id, mode, id);
CREATE INDEX decisions_by_conversion ON decisions (conversion_id) WHERE conversion_id IS NOT NULL;
CREATE INDEX decisions_by_transaction ON decisions (workspace_id, mode, external_transaction_id)
  WHERE external_transaction_id IS NOT NULL;

CREATE TABLE commissions (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  conversion_id TEXT NOT NULL REFERENCES conversions (id),
  participant_id TEXT NOT NULL,
  program_id TEXT NOT NULL,
  currency TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'paid', 'rejected', 'reversed')),
  -- A JSON list of reasons; empty when no person has to look.
  needs_review TEXT NOT NULL,
  auto_approve INTEGER NOT NULL CHECK (auto_approve IN (0, 1)),
  disputed INTEGER NOT NULL DEFAULT 0 CHECK (disputed IN (0, 1)),
  hold_until INTEGER NOT NULL,
  reward_version TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (conversion_id, participant_id, currency)
) STRICT;
CREATE INDEX commissions_by_workspace ON commissions (workspace_id, mode, id);
CREATE INDEX commissions_held ON commissions (hold_until) WHERE state = 'pending' AND auto_approve = 1 AND disputed = 0
  AND needs_review = '[]';

CREATE TABLE entries (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  commission_id TEXT NOT NULL REFERENCES commissions (id),
  amount_cents INTEGER NOT NULL,
  currency TEXT NOT NULL,
  kind TEXT NOT NULL,
  cause TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX entries_by_commission ON entries (commission_id);

-- What a person decided, and why; the request that brought it tells who.
CREATE TABLE acts (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  reason TEXT,
  request_id TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX acts_by_subject ON acts (subject, id);

-- The outbox: what has happened, in the batch in which it happened.
CREATE TABLE events (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  sequence INTEGER NOT NULL CHECK (sequence >= 1),
  data TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (subject, sequence)
) STRICT;
CREATE INDEX events_by_workspace ON events (workspace_id, mode, id);

-- Money and its reasons are only ever added to. (Test mode's rows may be wiped, so deleting them is not forbidden.)
CREATE TRIGGER entries_are_final BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entries_are_kept BEFORE DELETE ON entries WHEN OLD.mode = 'live' BEGIN
  SELECT RAISE(ABORT, 'live entries are never deleted');
END;
CREATE TRIGGER acts_are_final BEFORE UPDATE ON acts BEGIN SELECT RAISE(ABORT, 'acts are never changed'); END;
CREATE TRIGGER acts_are_kept BEFORE DELETE ON acts WHEN OLD.mode = 'live' BEGIN
  SELECT RAISE(ABORT, 'live acts are never deleted');
END;
CREATE TRIGGER facts_are_final BEFORE UPDATE ON facts BEGIN SELECT RAISE(ABORT, 'facts are never changed'); END;
CREATE TRIGGER facts_are_kept BEFORE DELETE ON facts WHEN OLD.mode = 'live' BEGIN
  SELECT RAISE(ABORT, 'live facts are never deleted');
END;
CREATE TRIGGER decisions_are_final BEFORE UPDATE ON decisions BEGIN
  SELECT RAISE(ABORT, 'decisions are never changed');
END;
CREATE TRIGGER decisions_are_kept BEFORE DELETE ON decisions WHEN OLD.mode = 'live' BEGIN
  SELECT RAISE(ABORT, 'live decisions are never deleted');
END;
CREATE TRIGGER events_are_final BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_are_kept BEFORE DELETE ON events WHEN OLD.mode = 'live' BEGIN
  SELECT RAISE(ABORT, 'live events are never deleted');
END;
CREATE TRIGGER conversions_are_kept BEFORE DELETE ON conversions WHEN OLD.mode = 'live' BEGIN
  SELECT RAISE(ABORT, 'live conversions are never deleted');
END;
CREATE TRIGGER commissions_are_kept BEFORE DELETE ON commissions WHEN OLD.mode = 'live' BEGIN
  SELECT RAISE(ABORT, 'live commissions are never deleted');
END;
