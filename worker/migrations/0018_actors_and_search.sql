-- Who acted; what a key may do; what the dashboard's search looks things up by.

-- The member whose session brought an act. None where a key did: a key is nobody.
ALTER TABLE acts ADD COLUMN person_id TEXT REFERENCES people (id);

-- A request id is kept with what the request stored, and found by it. Each of these costs one more written row with every row of
-- its table: a click, a decision, an act, a Stripe event, a payout. What a report stored is found by its decision; of facts only
-- reported refunds, which nothing else of the request tells of, are kept here.
CREATE INDEX clicks_by_request ON clicks (workspace_id, mode, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX decisions_by_request ON decisions (workspace_id, mode, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX acts_by_request ON acts (workspace_id, mode, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX stripe_events_by_request ON stripe_events (workspace_id, mode, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX payouts_by_request ON payouts (workspace_id, mode, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX facts_by_request ON facts (workspace_id, mode, request_id)
  WHERE request_id IS NOT NULL AND source >= 'refund/' AND source < 'refund0';

-- Partners by the beginning of their name, whatever its case: one more written row with each partner. By that of their address
-- they are found in the order of the UNIQUE (workspace_id, mode, email).
CREATE INDEX partners_by_name ON partners (workspace_id, mode, name COLLATE NOCASE);

-- What a secret key may do, a JSON list of 'conversions', 'read' and 'manage'. Keys from before this may do all. A public key has
-- no scopes to tell of.
ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT '["conversions","read","manage"]' CHECK (json_valid(scopes));
-- Whether somebody ever acted: asked when they are erased.
CREATE INDEX acts_by_person ON acts (person_id) WHERE person_id IS NOT NULL;
