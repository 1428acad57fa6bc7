-- Indexes that deletions, joins and lists need.
CREATE INDEX customer_keys_by_customer ON customer_keys (customer_id);
CREATE INDEX customers_by_participant ON customers (participant_id) WHERE participant_id IS NOT NULL;
CREATE INDEX awaited_codes_by_family ON awaited_codes (family_id);
CREATE INDEX refunds_by_conversion ON refunds (conversion_id) WHERE conversion_id IS NOT NULL;
CREATE INDEX refunds_unmatched ON refunds (workspace_id, mode, id) WHERE conversion_id IS NULL;
