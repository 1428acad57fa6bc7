-- Stripe's ingress.

CREATE TABLE stripe_connections (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  -- Sealed under the deployment's encryption secret.
  signing_secret TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX stripe_connections_by_workspace ON stripe_connections (workspace_id, mode, id);

-- The ingress log, and at the same time the list of what is still to be processed.
CREATE TABLE stripe_events (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  connection_id TEXT NOT NULL REFERENCES stripe_connections (id),
  stripe_id TEXT NOT NULL,
  type TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('pending', 'processed', 'ignored', 'skipped', 'parked', 'failed')),
  reason TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_attempt_at INTEGER,
  received_at INTEGER NOT NULL,
  request_id TEXT,
  UNIQUE (connection_id, stripe_id)
) STRICT;
CREATE INDEX stripe_events_by_workspace ON stripe_events (workspace_id, mode, id);
CREATE INDEX stripe_events_due ON stripe_events (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

-- The raw body, sealed: evidence for a while, never an input once its facts are recorded.
CREATE TABLE stripe_bodies (
  stripe_event_id TEXT PRIMARY KEY REFERENCES stripe_events (id),
  sealed TEXT NOT NULL,
  received_at INTEGER NOT NULL
) STRICT;
