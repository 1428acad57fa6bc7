-- The partner's side: how one joins a program, what a partner is told and asks, and what only a partner says of themselves.

-- What whoever joins accepts. Empty: nothing beside the program itself.
ALTER TABLE programs ADD COLUMN terms TEXT NOT NULL DEFAULT '';
-- Whether anybody may apply; with 'closed', by invite only.
ALTER TABLE programs ADD COLUMN applications TEXT NOT NULL DEFAULT 'open' CHECK (applications IN ('open', 'closed'));

-- What somebody said when they joined by the page, as JSON; absent where the merchant made the participant.
ALTER TABLE participants ADD COLUMN application TEXT;

-- Where a partner is paid, and their tax id: sealed under the deployment's encryption secret.
ALTER TABLE partners ADD COLUMN payout_details TEXT;
ALTER TABLE partners ADD COLUMN tax_id TEXT;
-- The kinds of notices that are not mailed, a JSON list.
ALTER TABLE partners ADD COLUMN unmailed TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(unmailed));
-- When notices were last mailed: the next letter waits a while, and holds what came meanwhile.
ALTER TABLE partners ADD COLUMN noticed_at INTEGER;
-- Who they were is gone.
ALTER TABLE partners ADD COLUMN erased_at INTEGER;

CREATE TABLE invites (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  program_id TEXT NOT NULL REFERENCES programs (id),
  email TEXT NOT NULL,
  name TEXT NOT NULL,
  -- SHA-256 of the token in the address.
  digest TEXT NOT NULL UNIQUE,
  -- One that is pending past its time is expired, whatever stands here.
  status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'revoked', 'expired')),
  expires_at INTEGER NOT NULL,
  -- Who it became.
  participant_id TEXT,
  settled_at INTEGER,
  created_at INTEGER NOT NULL,
  CHECK ((status = 'accepted') = (participant_id IS NOT NULL))
) STRICT;
CREATE INDEX invites_by_workspace ON invites (workspace_id, mode, id);
CREATE UNIQUE INDEX invites_open ON invites (program_id, email) WHERE status = 'pending';
-- Erasing a partner finds what was sent to the address.
CREATE INDEX invites_by_email ON invites (workspace_id, mode, email);

CREATE TABLE questions (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  program_id TEXT NOT NULL,
  participant_id TEXT NOT NULL REFERENCES participants (id),
  -- What it is about, as far as the partner knows: the shop's number of the sale, a day, or one of their own.
  external_transaction_id TEXT,
  happened_on TEXT,
  conversion_id TEXT,
  text TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('open', 'answered')),
  answer TEXT,
  answered_at INTEGER,
  created_at INTEGER NOT NULL,
  CHECK ((status = 'answered') = (answer IS NOT NULL)),
  CHECK ((status = 'answered') = (answered_at IS NOT NULL))
) STRICT;
CREATE INDEX questions_by_workspace ON questions (workspace_id, mode, id);
CREATE INDEX questions_open ON questions (workspace_id, mode, id) WHERE status = 'open';
CREATE INDEX questions_by_participant ON questions (workspace_id, mode, participant_id, id);

-- What a partner is told. A mail holds several: mail_due_at says that one is still to be written, in live mode.
CREATE TABLE notices (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  partner_id TEXT NOT NULL REFERENCES partners (id),
  participant_id TEXT NOT NULL REFERENCES participants (id),
  kind TEXT NOT NULL CHECK (kind IN ('earned', 'approved', 'rejected', 'reversed', 'paid', 'joined', 'declined', 'suspended', 'answered')),
  -- A commission, a payout, a participant or a question.
  subject TEXT NOT NULL,
  amount_cents INTEGER,
  currency TEXT,
  reason TEXT,
  mail_due_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notices_by_partner ON notices (workspace_id, mode, partner_id, id);
CREATE INDEX notices_to_mail ON notices (partner_id, mail_due_at) WHERE mail_due_at IS NOT NULL;
-- A wipe finds what is told of a commission.
CREATE INDEX notices_by_subject ON notices (subject);

-- A partner's statements.
CREATE INDEX payouts_by_participant ON payouts (workspace_id, mode, participant_id, id);

-- Whoever writes an event tells the partner, in the same transaction: no cause can forget to. A payout is told once, and not
-- for each of its commissions. The id is the event's own with its sequence behind the time, so that two of one moment stand in
-- their order.
CREATE TRIGGER events_are_noticed AFTER INSERT ON events
WHEN NEW.type IN ('commission.created', 'commission.approved', 'commission.rejected', 'commission.refunded', 'payout.paid',
  'participant.approved', 'participant.rejected', 'participant.suspended')
BEGIN
  INSERT INTO notices
    (id, workspace_id, mode, partner_id, participant_id, kind, subject, amount_cents, currency, reason, mail_due_at, created_at)
  SELECT 'ntc_' || substr(NEW.id, 5, 10) || printf('%02d', min(NEW.sequence, 99)) || substr(NEW.id, 17), NEW.workspace_id, NEW.mode, m.partner_id, m.id,
    CASE NEW.type WHEN 'commission.created' THEN 'earned' WHEN 'commission.approved' THEN 'approved'
      WHEN 'commission.rejected' THEN 'rejected' WHEN 'commission.refunded' THEN 'reversed' WHEN 'payout.paid' THEN 'paid'
      WHEN 'participant.approved' THEN 'joined' WHEN 'participant.rejected' THEN 'declined' ELSE 'suspended' END,
    NEW.subject, NEW.data ->> 'amount_cents', NEW.data ->> 'currency', NEW.data ->> 'reason',
    iif(NEW.mode = 'live' AND p.erased_at IS NULL, NEW.created_at, NULL), NEW.created_at
  FROM participants m JOIN partners p ON p.id = m.partner_id
  WHERE m.id = iif(NEW.type LIKE 'participant.%', NEW.subject, NEW.data ->> 'participant_id');
END;
