-- What the overview, the checklist and the operator look at, so that none of them counts rows: daily totals, kept for good;
-- what happened for the first time; what waits for somebody; and for how long raw clicks are kept.
--
-- A total is only ever a convenience: no CHECK on it may keep a sale from being booked.

-- Clicks per day of UTC, counted from 1970. Added to by the batch that writes clicks, a row for many of them.
CREATE TABLE daily_clicks (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  day INTEGER NOT NULL,
  humans INTEGER NOT NULL,
  machines INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, mode, day)
) STRICT, WITHOUT ROWID;

INSERT INTO daily_clicks (workspace_id, mode, day, humans, machines)
SELECT workspace_id, mode, clicked_at / 86400000, SUM(human), SUM(1 - human) FROM clicks GROUP BY 1, 2, 3;

-- For how long raw clicks are kept: 13 months by default. None before clicks_purged_until is there any more, and one that a
-- conversion has to write again counts no second time. The next purge is at clicks_purge_at.
ALTER TABLE workspaces ADD COLUMN clicks_kept_days INTEGER NOT NULL DEFAULT 396 CHECK (clicks_kept_days BETWEEN 30 AND 1826);
ALTER TABLE workspaces ADD COLUMN clicks_purged_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE workspaces ADD COLUMN clicks_purge_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX workspaces_to_purge ON workspaces (clicks_purge_at, id);

-- A record that a conversion had to write is taken for a person's; the click's own may tell otherwise.
CREATE TRIGGER clicks_are_judged_anew AFTER UPDATE OF human ON clicks WHEN NEW.human <> OLD.human
BEGIN
  UPDATE daily_clicks SET humans = humans + NEW.human - OLD.human, machines = machines + OLD.human - NEW.human
  WHERE workspace_id = NEW.workspace_id AND mode = NEW.mode AND day = NEW.clicked_at / 86400000;
END;

-- A wipe of test data takes clicks back; a purge, which is of old ones, does not.
CREATE TRIGGER clicks_are_taken_back AFTER DELETE ON clicks
WHEN OLD.mode = 'test' AND OLD.clicked_at >= (SELECT clicks_purged_until FROM workspaces WHERE id = OLD.workspace_id)
BEGIN
  UPDATE daily_clicks SET humans = max(0, humans - OLD.human), machines = max(0, machines - 1 + OLD.human)
  WHERE workspace_id = OLD.workspace_id AND mode = OLD.mode AND day = OLD.clicked_at / 86400000;
END;

-- Conversions by the day on which they happened. One that was merged into another is none.
CREATE TABLE daily_conversions (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  day INTEGER NOT NULL,
  credited INTEGER NOT NULL,
  uncredited INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, mode, day)
) STRICT, WITHOUT ROWID;

INSERT INTO daily_conversions (workspace_id, mode, day, credited, uncredited)
SELECT workspace_id, mode, occurred_at / 86400000, SUM(participant_id IS NOT NULL), SUM(participant_id IS NULL)
FROM conversions WHERE status <> 'merged' GROUP BY 1, 2, 3;

CREATE TRIGGER conversions_are_counted AFTER INSERT ON conversions WHEN NEW.status <> 'merged'
BEGIN
  INSERT INTO daily_conversions (workspace_id, mode, day, credited, uncredited)
  VALUES (NEW.workspace_id, NEW.mode, NEW.occurred_at / 86400000, NEW.participant_id IS NOT NULL, NEW.participant_id IS NULL)
  ON CONFLICT (workspace_id, mode, day)
  DO UPDATE SET credited = credited + excluded.credited, uncredited = uncredited + excluded.uncredited;
END;

CREATE TRIGGER conversions_are_counted_anew AFTER UPDATE OF status, participant_id, occurred_at ON conversions
WHEN (NEW.status = 'merged') <> (OLD.status = 'merged') OR (NEW.participant_id IS NULL) <> (OLD.participant_id IS NULL)
  OR NEW.occurred_at / 86400000 <> OLD.occurred_at / 86400000
BEGIN
  UPDATE daily_conversions SET credited = credited - (OLD.participant_id IS NOT NULL),
    uncredited = uncredited - (OLD.participant_id IS NULL)
  WHERE OLD.status <> 'merged' AND workspace_id = OLD.workspace_id AND mode = OLD.mode AND day = OLD.occurred_at / 86400000;
  INSERT INTO daily_conversions (workspace_id, mode, day, credited, uncredited)
  SELECT NEW.workspace_id, NEW.mode, NEW.occurred_at / 86400000, NEW.participant_id IS NOT NULL, NEW.participant_id IS NULL
  WHERE NEW.status <> 'merged'
  ON CONFLICT (workspace_id, mode, day)
  DO UPDATE SET credited = credited + excluded.credited, uncredited = uncredited + excluded.uncredited;
END;

-- Test data alone is ever deleted.
CREATE TRIGGER conversions_are_taken_back AFTER DELETE ON conversions WHEN OLD.status <> 'merged'
BEGIN
  UPDATE daily_conversions SET credited = credited - (OLD.participant_id IS NOT NULL),
    uncredited = uncredited - (OLD.participant_id IS NULL)
  WHERE workspace_id = OLD.workspace_id AND mode = OLD.mode AND day = OLD.occurred_at / 86400000;
END;

-- What commissions come to, by the day on which they were made and the state that they are in now: the sum of the entries of
-- those in each state. One that is reversed comes to nothing.
CREATE TABLE daily_commissions (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  day INTEGER NOT NULL,
  currency TEXT NOT NULL,
  pending_cents INTEGER NOT NULL,
  approved_cents INTEGER NOT NULL,
  paid_cents INTEGER NOT NULL,
  rejected_cents INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, mode, day, currency)
) STRICT, WITHOUT ROWID;

INSERT INTO daily_commissions (workspace_id, mode, day, currency, pending_cents, approved_cents, paid_cents, rejected_cents)
SELECT m.workspace_id, m.mode, m.created_at / 86400000, m.currency, SUM(iif(m.state = 'pending', e.amount_cents, 0)),
  SUM(iif(m.state = 'approved', e.amount_cents, 0)), SUM(iif(m.state = 'paid', e.amount_cents, 0)),
  SUM(iif(m.state = 'rejected', e.amount_cents, 0))
FROM commissions m JOIN entries e ON e.commission_id = m.id GROUP BY 1, 2, 3, 4;

CREATE TRIGGER entries_are_summed AFTER INSERT ON entries
BEGIN
  INSERT INTO daily_commissions (workspace_id, mode, day, currency, pending_cents, approved_cents, paid_cents, rejected_cents)
  SELECT m.workspace_id, m.mode, m.created_at / 86400000, m.currency, iif(m.state = 'pending', NEW.amount_cents, 0),
    iif(m.state = 'approved', NEW.amount_cents, 0), iif(m.state = 'paid', NEW.amount_cents, 0),
    iif(m.state = 'rejected', NEW.amount_cents, 0)
  FROM commissions m WHERE m.id = NEW.commission_id
  ON CONFLICT (workspace_id, mode, day, currency)
  DO UPDATE SET pending_cents = pending_cents + excluded.pending_cents,
    approved_cents = approved_cents + excluded.approved_cents, paid_cents = paid_cents + excluded.paid_cents,
    rejected_cents = rejected_cents + excluded.rejected_cents;
END;

CREATE TRIGGER commissions_are_summed_anew AFTER UPDATE OF state ON commissions WHEN NEW.state <> OLD.state
BEGIN
  UPDATE daily_commissions SET
    pending_cents = pending_cents + ((NEW.state = 'pending') - (OLD.state = 'pending')) * s.cents,
    approved_cents = approved_cents + ((NEW.state = 'approved') - (OLD.state = 'approved')) * s.cents,
    paid_cents = paid_cents + ((NEW.state = 'paid') - (OLD.state = 'paid')) * s.cents,
    rejected_cents = rejected_cents + ((NEW.state = 'rejected') - (OLD.state = 'rejected')) * s.cents
  FROM (SELECT SUM(amount_cents) AS cents FROM entries WHERE commission_id = NEW.id) s
  WHERE s.cents <> 0 AND workspace_id = NEW.workspace_id AND mode = NEW.mode AND day = NEW.created_at / 86400000
    AND currency = NEW.currency;
END;

-- Test data alone is ever deleted, and entries before their commission.
CREATE TRIGGER entries_are_taken_back AFTER DELETE ON entries
BEGIN
  UPDATE daily_commissions SET
    pending_cents = pending_cents - (m.state = 'pending') * OLD.amount_cents,
    approved_cents = approved_cents - (m.state = 'approved') * OLD.amount_cents,
    paid_cents = paid_cents - (m.state = 'paid') * OLD.amount_cents,
    rejected_cents = rejected_cents - (m.state = 'rejected') * OLD.amount_cents
  FROM commissions m
  WHERE m.id = OLD.commission_id AND daily_commissions.workspace_id = m.workspace_id AND daily_commissions.mode = m.mode
    AND daily_commissions.day = m.created_at / 86400000 AND daily_commissions.currency = m.currency;
END;

-- What happened, of which the checklist wants to know that it did: kept when what it speaks of is purged or wiped.
--   stripe:{type}      the first event of a type that we need: our id of it
--   test_run           test mode's first commission of a click: its conversion
--   refunded_purchase  live mode's first conversion of which money went back
--   ping:{endpoint}    live mode's last ping that arrived: the delivery, and in detail where to
CREATE TABLE milestones (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  name TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT,
  at INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, mode, name)
) STRICT, WITHOUT ROWID;

INSERT INTO milestones (workspace_id, mode, name, subject, at)
SELECT workspace_id, mode, 'stripe:' || type, min(id), min(received_at) FROM stripe_events
WHERE outcome <> 'skipped' AND type IN ('checkout.session.completed', 'checkout.session.async_payment_succeeded', 'invoice.paid',
  'invoice_payment.paid', 'charge.refunded', 'charge.refund.updated', 'refund.created', 'refund.updated', 'refund.failed',
  'charge.dispute.created', 'charge.dispute.closed', 'customer.subscription.deleted', 'charge.updated',
  'customer.discount.created')
GROUP BY workspace_id, mode, type;
INSERT INTO milestones (workspace_id, mode, name, subject, at)
SELECT m.workspace_id, m.mode, 'test_run', c.id, min(m.created_at) FROM commissions m JOIN conversions c ON c.id = m.conversion_id
WHERE m.mode = 'test' AND c.attributed_click_id IS NOT NULL GROUP BY m.workspace_id, m.mode;
INSERT INTO milestones (workspace_id, mode, name, subject, at)
SELECT workspace_id, mode, 'refunded_purchase', min(id), min(created_at) FROM conversions
WHERE mode = 'live' AND refunded_cents > 0 GROUP BY workspace_id, mode;
INSERT INTO milestones (workspace_id, mode, name, subject, detail, at)
SELECT d.workspace_id, d.mode, 'ping:' || e.id, max(d.id), e.url, d.finished_at FROM webhook_endpoints e
JOIN webhook_deliveries d ON d.endpoint_id = e.id JOIN events v ON v.id = d.event_id
WHERE d.mode = 'live' AND d.status = 'delivered' AND v.type = 'webhook.test' GROUP BY e.id;

CREATE TRIGGER stripe_events_are_milestones AFTER INSERT ON stripe_events
WHEN NEW.outcome <> 'skipped' AND NEW.type IN ('checkout.session.completed', 'checkout.session.async_payment_succeeded',
  'invoice.paid', 'invoice_payment.paid', 'charge.refunded', 'charge.refund.updated', 'refund.created', 'refund.updated',
  'refund.failed', 'charge.dispute.created', 'charge.dispute.closed', 'customer.subscription.deleted', 'charge.updated',
  'customer.discount.created')
BEGIN
  INSERT INTO milestones (workspace_id, mode, name, subject, at)
  VALUES (NEW.workspace_id, NEW.mode, 'stripe:' || NEW.type, NEW.id, NEW.received_at)
  ON CONFLICT (workspace_id, mode, name) DO NOTHING;
END;

CREATE TRIGGER test_commissions_are_milestones AFTER INSERT ON commissions WHEN NEW.mode = 'test'
BEGIN
  INSERT INTO milestones (workspace_id, mode, name, subject, at)
  SELECT NEW.workspace_id, NEW.mode, 'test_run', c.id, NEW.created_at FROM conversions c
  WHERE c.id = NEW.conversion_id AND c.attributed_click_id IS NOT NULL
  ON CONFLICT (workspace_id, mode, name) DO NOTHING;
END;

CREATE TRIGGER late_live_sales_are_milestones AFTER INSERT ON conversions WHEN NEW.mode = 'live' AND NEW.refunded_cents > 0
BEGIN
  INSERT INTO milestones (workspace_id, mode, name, subject, at)
  VALUES (NEW.workspace_id, NEW.mode, 'refunded_purchase', NEW.id, NEW.created_at)
  ON CONFLICT (workspace_id, mode, name) DO NOTHING;
END;

CREATE TRIGGER live_refunds_are_milestones AFTER UPDATE OF refunded_cents ON conversions
WHEN NEW.mode = 'live' AND NEW.refunded_cents > 0 AND OLD.refunded_cents = 0
BEGIN
  INSERT INTO milestones (workspace_id, mode, name, subject, at)
  VALUES (NEW.workspace_id, NEW.mode, 'refunded_purchase', NEW.id, NEW.created_at)
  ON CONFLICT (workspace_id, mode, name) DO NOTHING;
END;

CREATE TRIGGER good_pings_are_milestones AFTER UPDATE OF status ON webhook_deliveries
WHEN NEW.mode = 'live' AND NEW.status = 'delivered' AND OLD.status <> 'delivered'
BEGIN
  INSERT INTO milestones (workspace_id, mode, name, subject, detail, at)
  SELECT NEW.workspace_id, NEW.mode, 'ping:' || e.id, NEW.id, e.url, NEW.finished_at FROM events v
  JOIN webhook_endpoints e ON e.id = NEW.endpoint_id WHERE v.id = NEW.event_id AND v.type = 'webhook.test'
  ON CONFLICT (workspace_id, mode, name)
  DO UPDATE SET subject = excluded.subject, detail = excluded.detail, at = excluded.at;
END;

-- What waits for somebody. There is little of it, and only it is written here.
CREATE INDEX commissions_to_review ON commissions (workspace_id, mode, id) WHERE state = 'pending' AND needs_review <> '[]';
CREATE INDEX participants_who_applied ON participants (workspace_id, mode, id) WHERE status = 'pending';
CREATE INDEX stripe_events_failed ON stripe_events (workspace_id, mode, id) WHERE outcome = 'failed';
CREATE INDEX stripe_events_parked ON stripe_events (workspace_id, mode, id) WHERE outcome = 'parked';
CREATE INDEX fraud_alerts_open ON fraud_alerts (workspace_id, mode, id) WHERE status = 'open';
CREATE INDEX mails_given_up ON mails (id) WHERE next_attempt_at IS NULL AND error IS NOT NULL;
-- The newest version of any reward.
CREATE INDEX reward_versions_by_age ON reward_versions (workspace_id, mode, id);

-- The last run of the cron sweep, in one row.
CREATE TABLE sweeps (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  began_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  -- What it found to be done later.
  found INTEGER NOT NULL,
  -- What failed in it, by name; a JSON list.
  failed TEXT NOT NULL CHECK (json_valid(failed))
) STRICT;
