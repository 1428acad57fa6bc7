-- Exports that were asked for. What is exported is read when a page is asked for, and nothing of it is kept.
CREATE TABLE exports (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  -- Where it was asked for.
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  -- What is exported: a JSON list of modes.
  modes TEXT NOT NULL CHECK (json_valid(modes)),
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX exports_by_workspace ON exports (workspace_id, mode, id);
