-- A workspace that the deployment's operator has suspended, and since when: its keys are refused, its members shut out, and its short links
-- redirect without counting. What comes from Stripe is taken in all the same.
ALTER TABLE workspaces ADD COLUMN suspended_at INTEGER;
