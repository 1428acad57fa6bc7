-- What was answered to a POST with an `Idempotency-Key`, and who is answering it: for 24 hours. Rows are inserted and never moved, so
-- that the order of their rowids is the order of their age, and the purge needs no index.
CREATE TABLE idempotency_keys (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  -- A keyed digest of the path and the key, and one of the query and the body: neither tells what was sent.
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  -- A random name of the run that is answering. NULL: it failed, and the next may try at once.
  owner TEXT,
  claimed_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  -- The answer, its body sealed under the deployment's encryption secret. Whoever writes it and is not the owner any more fails here.
  status INTEGER CHECK (status BETWEEN 200 AND 499),
  answer TEXT,
  CHECK ((status IS NULL) = (answer IS NULL)),
  PRIMARY KEY (workspace_id, mode, name)
) STRICT;
