-- Outgoing webhooks: where merchants want to be told, what each endpoint is owed, and what came of it.

CREATE TABLE webhook_endpoints (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  url TEXT NOT NULL,
  -- A JSON list of event types; "*" is every one.
  events TEXT NOT NULL CHECK (json_valid(events)),
  status TEXT NOT NULL CHECK (status IN ('enabled', 'disabled')),
  disabled_reason TEXT CHECK (disabled_reason IN ('by_hand', 'gone', 'failing')),
  -- Sealed under the deployment's encryption secret.
  secret TEXT NOT NULL,
  -- The secret before the last rotation, and until when it signs too.
  previous_secret TEXT,
  previous_until INTEGER,
  -- The first failure since the last success.
  failing_since INTEGER,
  created_at INTEGER NOT NULL,
  -- Removed, but kept for the log of its deliveries.
  deleted_at INTEGER,
  CHECK ((status = 'disabled') = (disabled_reason IS NOT NULL)),
  CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
) STRICT;
-- Of those that are there: every event looks here.
CREATE INDEX webhook_endpoints_of_workspace ON webhook_endpoints (workspace_id, mode, id) WHERE deleted_at IS NULL;
CREATE INDEX webhook_endpoints_removed ON webhook_endpoints (id) WHERE deleted_at IS NOT NULL;

CREATE TABLE webhook_deliveries (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (id),
  event_id TEXT NOT NULL REFERENCES events (id),
  status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'dead_letter')),
  -- Attempts ever, and those of the current run through the schedule.
  attempts INTEGER NOT NULL DEFAULT 0,
  run_attempts INTEGER NOT NULL DEFAULT 0,
  next_attempt_at INTEGER,
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  CHECK ((status = 'pending') = (next_attempt_at IS NOT NULL)),
  CHECK ((status = 'pending') = (finished_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_attempt_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_of_workspace ON webhook_deliveries (workspace_id, mode, id);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id, id);
-- There are few, they are what people look for, and they are owed again from some moment on.
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (workspace_id, mode, id) WHERE status = 'dead_letter';
CREATE INDEX webhook_deliveries_dead_of_endpoint ON webhook_deliveries (endpoint_id, id) WHERE status = 'dead_letter';
-- A wipe deletes events, and must find what hangs on them.
CREATE INDEX webhook_deliveries_of_event ON webhook_deliveries (event_id);

CREATE TABLE webhook_attempts (
  delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id),
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  url TEXT NOT NULL,
  -- The headers that were made for this attempt, as a JSON object.
  headers TEXT NOT NULL,
  -- The answer's status, or why there was none.
  status INTEGER,
  error TEXT,
  -- The answer's beginning.
  answer TEXT,
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- Whoever writes an event owes it, in the same transaction, to each endpoint that wants it: no cause can forget to. One that
-- was disabled because it failed is owed nothing now, but what it missed can be sent again. A ping goes to its subject.
-- The id is the event's time and 40 of its random bits, and 40 of the endpoint's: it sorts as the event's does.
CREATE TRIGGER events_are_owed AFTER INSERT ON events
BEGIN
  INSERT INTO webhook_deliveries
    (id, workspace_id, mode, endpoint_id, event_id, status, next_attempt_at, created_at, finished_at)
  SELECT 'whd_' || substr(NEW.id, 5, 18) || substr(e.id, -8), NEW.workspace_id, NEW.mode, e.id, NEW.id,
    iif(e.status = 'enabled', 'pending', 'dead_letter'), iif(e.status = 'enabled', NEW.created_at, NULL), NEW.created_at,
    iif(e.status = 'enabled', NULL, NEW.created_at)
  FROM webhook_endpoints e
  WHERE e.workspace_id = NEW.workspace_id AND e.mode = NEW.mode AND e.deleted_at IS NULL
    AND e.disabled_reason IS NOT 'by_hand'
    AND iif(NEW.type = 'webhook.test', e.id = NEW.subject,
      EXISTS (SELECT 1 FROM json_each(e.events) WHERE value IN ('*', NEW.type)));
END;
