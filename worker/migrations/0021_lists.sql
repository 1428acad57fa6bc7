-- Lists that links lead to, of what may be few among many. Each index ends with the id that its list goes by, so that a page is read
-- without sorting.

-- A program's sales and what they earned: one more written row for each conversion that is credited, and for each commission.
CREATE INDEX conversions_by_program ON conversions (workspace_id, mode, program_id, id) WHERE program_id IS NOT NULL;
CREATE INDEX commissions_by_program ON commissions (workspace_id, mode, program_id, id);
-- Made anew, after those above: the planner, which knows no sizes, takes the newest of indexes that begin alike.
DROP INDEX commissions_to_review;
CREATE INDEX commissions_to_review ON commissions (workspace_id, mode, id) WHERE state = 'pending' AND needs_review <> '[]';
-- One participant's alerts: one more written row for each alert.
CREATE INDEX fraud_alerts_by_participant ON fraud_alerts (workspace_id, mode, participant_id, id);
-- The drafts, for the bank: one more written row when a payout is drafted, and one when it is paid or canceled.
CREATE INDEX payouts_by_status ON payouts (workspace_id, mode, status, id);

-- Erasing a partner finds the invites that they came by, whatever their address was then: one more written row for each invite that
-- is accepted.
CREATE INDEX invites_by_participant ON invites (workspace_id, mode, participant_id) WHERE participant_id IS NOT NULL;
