-- Leads and sales over Traaaction's surface.

-- Whether whoever names the workspace's id, and nothing else, may report leads and sales of live mode: they wait for a person.
ALTER TABLE workspaces ADD COLUMN track_by_workspace_id INTEGER NOT NULL DEFAULT 0 CHECK (track_by_workspace_id IN (0, 1));
-- Whether anybody could have said what bound the customer, and nobody has vouched for it since.
ALTER TABLE customers ADD COLUMN unauthenticated INTEGER NOT NULL DEFAULT 0 CHECK (unauthenticated IN (0, 1));
