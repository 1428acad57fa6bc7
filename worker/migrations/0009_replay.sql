-- Replay: what tells that a decision was changed, and how families are gone through.

-- SHA-256 over the row as it was written, so that a changed byte is seen even where the verdict would be the same. Absent on
-- decisions from before this column.
ALTER TABLE decisions ADD COLUMN digest TEXT;
CREATE INDEX families_by_workspace ON families (workspace_id, mode, id) WHERE merged_into IS NULL;
