-- The tables of plain.mjs, and one merchant. The digest is that of its secret key, sk_test_plain.
CREATE TABLE keys (
  id TEXT PRIMARY KEY, -- the public key itself, or a secret key's SHA-256
  workspace_id TEXT NOT NULL, mode TEXT NOT NULL, kind TEXT NOT NULL, per_minute INTEGER NOT NULL, revoked_at INTEGER
) STRICT;
CREATE TABLE participants (
  id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL, program_id TEXT NOT NULL, status TEXT NOT NULL
) STRICT;
CREATE TABLE programs (
  id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL, status TEXT NOT NULL, window_days INTEGER NOT NULL, percent_bps INTEGER NOT NULL
) STRICT;
CREATE TABLE links (
  id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL, mode TEXT NOT NULL, participant_id TEXT NOT NULL REFERENCES participants,
  ref TEXT NOT NULL, slug TEXT NOT NULL UNIQUE, landing_url TEXT NOT NULL, status TEXT NOT NULL,
  UNIQUE (workspace_id, mode, ref)
) STRICT;
CREATE TABLE clicks (
  id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL, mode TEXT NOT NULL, link_id TEXT NOT NULL REFERENCES links,
  url TEXT, referrer TEXT, visitor_hash TEXT, device TEXT, country TEXT, human INTEGER NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX clicks_by_link ON clicks (link_id, created_at);
CREATE TABLE conversions (
  id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL, mode TEXT NOT NULL, external_transaction_id TEXT NOT NULL,
  event_type TEXT NOT NULL, amount_cents INTEGER NOT NULL, currency TEXT, created_at INTEGER NOT NULL,
  UNIQUE (workspace_id, mode, external_transaction_id)
) STRICT;
CREATE TABLE decisions (
  id TEXT PRIMARY KEY, conversion_id TEXT NOT NULL REFERENCES conversions, inputs TEXT NOT NULL, verdict TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE commissions (
  id TEXT PRIMARY KEY, conversion_id TEXT NOT NULL REFERENCES conversions, participant_id TEXT NOT NULL, state TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX commissions_by_participant ON commissions (participant_id, created_at);
CREATE TABLE entries (
  id TEXT PRIMARY KEY, commission_id TEXT NOT NULL REFERENCES commissions, kind TEXT NOT NULL, amount_cents INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE outbox (
  id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL, created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE stripe_connections (id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL, mode TEXT NOT NULL, secret TEXT NOT NULL) STRICT;
CREATE TABLE stripe_events (
  connection_id TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL, status TEXT NOT NULL,
  created_at INTEGER NOT NULL, PRIMARY KEY (connection_id, id)
) STRICT;

INSERT INTO keys VALUES ('pk_test_plain', 'ws_plain', 'test', 'public', 1000000000, NULL);
INSERT INTO keys VALUES
  ('3553c120b1ccf075a1c87756f71668484299965627e1d50662c2f3a15afec43c', 'ws_plain', 'test', 'secret', 1000000000, NULL);
INSERT INTO programs VALUES ('prog_plain', 'ws_plain', 'active', 30, 2000);
INSERT INTO participants VALUES ('part_plain', 'ws_plain', 'prog_plain', 'approved');
INSERT INTO links VALUES
  ('link_plain', 'ws_plain', 'test', 'part_plain', 'bench1', 'bench1', 'https://shop.example/', 'active');
INSERT INTO stripe_connections VALUES ('plain', 'ws_plain', 'test', 'whsec_plain');
