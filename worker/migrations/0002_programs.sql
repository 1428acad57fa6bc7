-- Programs, their rewards, and the people in them.

CREATE TABLE programs (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  name TEXT NOT NULL,
  -- In /join/{slug}, which names no workspace: unique per installation.
  slug TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL CHECK (status IN ('draft', 'active', 'paused', 'archived')),
  attribution_window_days INTEGER NOT NULL CHECK (attribution_window_days BETWEEN 1 AND 365),
  attribution_model TEXT NOT NULL CHECK (attribution_model IN ('last_click', 'first_click')),
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX programs_by_workspace ON programs (workspace_id, mode, id);

-- A reward is its versions; a change is a new one.
CREATE TABLE reward_versions (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  program_id TEXT NOT NULL REFERENCES programs (id),
  reward_id TEXT NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  valid_from INTEGER NOT NULL,
  -- The version itself, as domain::reward reads it.
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (program_id, reward_id, version)
) STRICT;

CREATE TABLE partners (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (workspace_id, mode, email)
) STRICT;
CREATE INDEX partners_by_workspace ON partners (workspace_id, mode, id);

CREATE TABLE participants (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  program_id TEXT NOT NULL REFERENCES programs (id),
  partner_id TEXT NOT NULL REFERENCES partners (id),
  status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'suspended')),
  created_at INTEGER NOT NULL,
  UNIQUE (program_id, partner_id)
) STRICT;
CREATE INDEX participants_by_workspace ON participants (workspace_id, mode, id);

-- Never deleted, only archived: a click id names its link by number for good.
CREATE TABLE links (
  number INTEGER PRIMARY KEY AUTOINCREMENT CHECK (number < 67108864),
  id TEXT NOT NULL UNIQUE,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  participant_id TEXT NOT NULL REFERENCES participants (id),
  ref TEXT NOT NULL,
  slug TEXT NOT NULL UNIQUE,
  landing_url TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('active', 'paused', 'archived')),
  created_at INTEGER NOT NULL,
  UNIQUE (workspace_id, mode, ref)
) STRICT;
CREATE INDEX links_by_workspace ON links (workspace_id, mode, id);
CREATE TRIGGER links_are_kept BEFORE DELETE ON links BEGIN
  SELECT RAISE(ABORT, 'links are archived, never deleted');
END;

CREATE TABLE promo_codes (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  participant_id TEXT NOT NULL REFERENCES participants (id),
  code TEXT NOT NULL,
  -- Lower case: codes are compared without case.
  code_folded TEXT NOT NULL,
  stripe_promotion_code_id TEXT,
  created_at INTEGER NOT NULL,
  UNIQUE (workspace_id, mode, code_folded),
  UNIQUE (workspace_id, mode, stripe_promotion_code_id)
) STRICT;
CREATE INDEX promo_codes_by_workspace ON promo_codes (workspace_id, mode, id);
