-- Workspaces and who may speak for them.
--
-- Rules of this schema: STRICT tables; times are milliseconds since 1970 in UTC; money is in the currency's minor unit;
-- workspace and mode stand first in every key; an index arrives with the query that needs it, since each costs a written row.

CREATE TABLE workspaces (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  -- Requests per aligned minute.
  clicks_per_minute INTEGER NOT NULL CHECK (clicks_per_minute > 0),
  conversions_per_minute INTEGER NOT NULL CHECK (conversions_per_minute > 0),
  other_per_minute INTEGER NOT NULL CHECK (other_per_minute > 0),
  created_at INTEGER NOT NULL
) STRICT;

-- A key is looked up by its digest; of a secret one nothing else is kept.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  kind TEXT NOT NULL CHECK (kind IN ('public', 'secret')),
  digest TEXT NOT NULL UNIQUE,
  shown TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;

-- Where links may land, and from where keyless scripts may call.
CREATE TABLE hosts (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  host TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (workspace_id, mode, host)
) STRICT;
