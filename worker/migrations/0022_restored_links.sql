-- The status that a link had when its own partner archived it, who can take that back; NULL where the merchant did, or nobody.
ALTER TABLE links ADD COLUMN archived_from TEXT CHECK (archived_from IN ('active', 'paused'));
