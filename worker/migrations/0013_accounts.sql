-- The people who sign in: members of workspaces, and partners. One e-mail address is one person, whatever they are where.

CREATE TABLE people (
  id TEXT PRIMARY KEY,
  -- Keyed, so that a copy of the database tells nobody whose accounts there are.
  email_hash TEXT NOT NULL UNIQUE,
  -- Sealed under the deployment's encryption secret.
  email TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

-- Members span both modes.
CREATE TABLE members (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL REFERENCES workspaces (id),
  person_id TEXT NOT NULL REFERENCES people (id),
  role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'viewer')),
  created_at INTEGER NOT NULL,
  UNIQUE (workspace_id, person_id)
) STRICT;
CREATE INDEX members_of_person ON members (person_id);

-- A link by which somebody signs in, once. It is for an address, not for a person: a partner's first one makes the person.
CREATE TABLE sign_in_links (
  -- SHA-256 of the token, which is kept nowhere.
  digest TEXT PRIMARY KEY,
  email_hash TEXT NOT NULL,
  email TEXT NOT NULL,
  -- Where to go afterwards: a path of ours.
  next TEXT,
  expires_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  -- The session that it was spent on, by its digest: of two who spend it at once, this names one.
  session_digest TEXT UNIQUE
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_links_open ON sign_in_links (email_hash) WHERE session_digest IS NULL;
CREATE INDEX sign_in_links_expired ON sign_in_links (expires_at);

CREATE TABLE sessions (
  -- SHA-256 of the cookie's token, which is kept nowhere.
  digest TEXT PRIMARY KEY,
  person_id TEXT NOT NULL REFERENCES people (id),
  created_at INTEGER NOT NULL,
  -- To the hour: a page view need not be a write.
  seen_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_person ON sessions (person_id, seen_at);
CREATE INDEX sessions_expired ON sessions (expires_at);

-- Mail to be sent. What it says is sealed, and forgotten once it is sent; no token is in it, since that is made when it is sent.
CREATE TABLE mails (
  id TEXT PRIMARY KEY,
  content TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  -- None once it is sent, or given up.
  next_attempt_at INTEGER,
  -- Of the last attempt, if it failed.
  error TEXT,
  created_at INTEGER NOT NULL,
  CHECK ((content IS NULL) = (next_attempt_at IS NULL))
) STRICT;
CREATE INDEX mails_due ON mails (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

-- What a local server "sends". A deployment never writes here.
CREATE TABLE dev_mailbox (
  id TEXT PRIMARY KEY,
  recipient TEXT NOT NULL,
  subject TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

-- A partner signs in to every membership of one address.
CREATE INDEX partners_by_email ON partners (email);

-- The keys of a mode, newest first.
CREATE INDEX api_keys_of_workspace ON api_keys (workspace_id, mode, id);
