-- What Stripe's API is asked with a merchant's key, and the roll of signing secrets.

-- Sealed under the deployment's encryption secret, as the signing secrets are.
ALTER TABLE stripe_connections ADD COLUMN restricted_key TEXT;
-- The secret before the last roll, still accepted until then.
ALTER TABLE stripe_connections ADD COLUMN previous_signing_secret TEXT;
ALTER TABLE stripe_connections ADD COLUMN previous_accepted_until INTEGER;

-- The work list: one row for each thing that is asked, written in the batch of its cause, and kept with what came of it.
CREATE TABLE stripe_lookups (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  connection_id TEXT NOT NULL REFERENCES stripe_connections (id),
  kind TEXT NOT NULL CHECK (kind IN ('fee', 'sale', 'reconcile')),
  -- A balance transaction, a payment intent, or 'undelivered'.
  subject TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
  -- Where a list goes on: the last event that was taken.
  cursor TEXT,
  -- What was told, and how much of it was news.
  found INTEGER NOT NULL DEFAULT 0,
  new INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_attempt_at INTEGER,
  last_error TEXT,
  started_at INTEGER NOT NULL,
  finished_at INTEGER,
  -- What is asked once is not asked again.
  UNIQUE (connection_id, kind, subject)
) STRICT;
CREATE INDEX stripe_lookups_due ON stripe_lookups (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
