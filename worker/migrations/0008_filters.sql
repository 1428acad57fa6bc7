-- What lists are narrowed by. Each index ends with the id that its list goes by, so that a page is read without sorting.

-- The newest version of each reward, and all versions of one.
CREATE UNIQUE INDEX reward_versions_by_workspace ON reward_versions (workspace_id, mode, reward_id, version);

CREATE INDEX participants_by_program ON participants (workspace_id, mode, program_id, id);
CREATE INDEX participants_by_partner ON participants (workspace_id, mode, partner_id, id);
CREATE INDEX links_by_participant ON links (workspace_id, mode, participant_id, id);
CREATE INDEX promo_codes_by_participant ON promo_codes (workspace_id, mode, participant_id, id);
CREATE INDEX conversions_by_participant ON conversions (workspace_id, mode, participant_id, id)
  WHERE participant_id IS NOT NULL;
