-- Customers and whom they are bound to; what is remarkable; what waits for a promotion code to be mapped.

-- A customer, and the participant who won it: the first attributed conversion binds it, in order of recording, for good.
CREATE TABLE customers (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  external_id TEXT,
  stripe_customer_id TEXT,
  participant_id TEXT,
  bound_by TEXT,
  bound_at INTEGER,
  -- First payments and single purchases. A decision that saw another binding than stands fails the CHECK.
  purchases INTEGER NOT NULL DEFAULT 0 CHECK (purchases >= 0),
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX customers_by_workspace ON customers (workspace_id, mode, id);

-- The keys under which a customer is known: 'external/' and the merchant's id, 'stripe/' and cus_…, 'email/' and a keyed hash.
CREATE TABLE customer_keys (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  key TEXT NOT NULL,
  customer_id TEXT NOT NULL REFERENCES customers (id),
  PRIMARY KEY (workspace_id, mode, key)
) STRICT, WITHOUT ROWID;

-- Which promotion code a discount was made of, as customer.discount.created tells it.
CREATE TABLE stripe_discounts (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  discount TEXT NOT NULL,
  promotion_code TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, mode, discount)
) STRICT, WITHOUT ROWID;

-- Families whose decision named a promotion code or a discount that nobody had mapped: decided again once somebody does.
CREATE TABLE awaited_codes (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  key TEXT NOT NULL,
  family_id TEXT NOT NULL REFERENCES families (id),
  PRIMARY KEY (workspace_id, mode, key, family_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE fraud_alerts (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  conversion_id TEXT NOT NULL REFERENCES conversions (id),
  participant_id TEXT NOT NULL,
  rule TEXT NOT NULL,
  response TEXT NOT NULL CHECK (response IN ('flag', 'hold', 'block')),
  status TEXT NOT NULL CHECK (status IN ('open', 'dismissed')),
  created_at INTEGER NOT NULL,
  UNIQUE (conversion_id, participant_id, rule)
) STRICT;
CREATE INDEX fraud_alerts_by_workspace ON fraud_alerts (workspace_id, mode, id);

-- Refunds and disputes as they are listed: told by facts, kept for reading. One that no sale is known for has no conversion.
CREATE TABLE refunds (
  id TEXT PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  -- 're_…' and 'dp_…', or 'report/' with transaction and refund.
  key TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('refund', 'dispute')),
  source TEXT NOT NULL CHECK (source IN ('api', 'stripe')),
  conversion_id TEXT,
  external_refund_id TEXT NOT NULL,
  -- A key of the sale that it speaks of, by which it is matched.
  sale_key TEXT NOT NULL,
  amount_cents INTEGER NOT NULL,
  currency TEXT,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (workspace_id, mode, key)
) STRICT;
CREATE INDEX refunds_by_workspace ON refunds (workspace_id, mode, id);

ALTER TABLE conversions ADD COLUMN customer_id TEXT;
-- Where a reversed commission goes back to, should the money come back.
ALTER TABLE commissions ADD COLUMN reversed_from TEXT;
-- What an act said beside its reason, as JSON.
ALTER TABLE acts ADD COLUMN detail TEXT;
-- What is done about each fraud rule: {"self_referral":"hold"}; what is not said is the default.
ALTER TABLE programs ADD COLUMN fraud TEXT NOT NULL DEFAULT '{}';
-- A subscription that ends takes its pending commissions with it.
ALTER TABLE programs ADD COLUMN reverse_pending_on_end INTEGER NOT NULL DEFAULT 0 CHECK (reverse_pending_on_end IN (0, 1));
