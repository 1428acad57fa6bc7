-- Clicks in packs, and what they come to in one table. A click that had a row of its own cost that row, two index entries and up to
-- four totals; now a hundred share a row, and totals are summed from many packs at once (store/packs.rs).
--
-- clicks stays for what a conversion had to write before the click's own record came, and for rows from before. A click is in a pack
-- or in clicks, never in both.

-- Clicks of one workspace, mode and hour of UTC, counted from 1970.
CREATE TABLE click_packs (
  -- Ascending in the order in which packs are begun, and above everything that was summed. The statement that inserts sees to it.
  id INTEGER PRIMARY KEY,
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  hour INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  clicks INTEGER NOT NULL,
  -- One from before was counted when it came first: the workspace's clicks_purged_until when the pack was begun.
  counted_from INTEGER NOT NULL,
  -- Of the clicks that count, by people and by machines: all that the overview needs of a pack that is not summed yet.
  humans INTEGER NOT NULL,
  machines INTEGER NOT NULL,
  -- The same for each link, with its number; several times where clicks were added. Before the records, so that they need not be read.
  counted TEXT NOT NULL CHECK (json_valid(counted)),
  -- Each a JSON list, as packed_clicks reads it.
  records TEXT NOT NULL CHECK (json_valid(records))
) STRICT;
-- The only one: a pack costs two written rows, and one more each time that something is added to it.
CREATE INDEX click_packs_by_hour ON click_packs (workspace_id, mode, hour);

CREATE VIEW packed_clicks AS
SELECT p.id AS pack_id, p.hour, p.first_at, p.last_at, p.counted_from, p.records, p.workspace_id, p.mode, r.value ->> 0 AS click_id,
  CAST(r.value ->> 1 AS INTEGER) AS link_number, CAST(r.value ->> 2 AS INTEGER) AS clicked_at,
  CAST(r.value ->> 3 AS INTEGER) AS human, r.value -> 4 AS flags, r.value ->> 5 AS url, r.value ->> 6 AS referrer,
  r.value ->> 7 AS referrer_host, r.value ->> 8 AS address_hash, r.value ->> 9 AS device, r.value ->> 10 AS browser,
  r.value ->> 11 AS country, r.value ->> 12 AS request_id
FROM click_packs p CROSS JOIN json_each(p.records) r;

-- Up to which pack a workspace's clicks are in the totals.
CREATE TABLE click_sums (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  summed_until INTEGER NOT NULL,
  -- No pack beyond is of an earlier hour: so they are found without looking at all packs.
  since_hour INTEGER NOT NULL,
  -- Rows of totals that the last summing wrote: the more it costs, the more clicks the next one waits for.
  wrote INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (workspace_id, mode)
) STRICT, WITHOUT ROWID;

-- What is not in the totals yet: with them it makes what is true now.
CREATE VIEW unsummed_clicks AS
SELECT s.workspace_id, s.mode, p.hour / 24 AS day, CAST(c.value ->> 0 AS INTEGER) AS link_number,
  CAST(c.value ->> 1 AS INTEGER) AS humans, CAST(c.value ->> 2 AS INTEGER) AS machines
FROM click_sums s CROSS JOIN click_packs p ON p.workspace_id = s.workspace_id AND p.mode = s.mode AND p.hour >= s.since_hour
  AND p.id > s.summed_until
CROSS JOIN json_each(p.counted) c;

-- Clicks by day of UTC, counted from 1970, kept for good. Kinds and their names:
--   all                        the whole workspace; no name
--   link, link_ever            a link's number; the second of all days together, as day 0
--   participant                whose link it is: the participant's id
--   country, device            as the click's record has them
--   referrer_host              the host of the page before; no name where a summing met too many of them
-- The last three are of clicks in packs only.
CREATE TABLE click_totals (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  day INTEGER NOT NULL,
  humans INTEGER NOT NULL,
  machines INTEGER NOT NULL,
  PRIMARY KEY (workspace_id, mode, kind, name, day)
) STRICT, WITHOUT ROWID;

INSERT INTO click_totals (workspace_id, mode, kind, name, day, humans, machines)
SELECT workspace_id, mode, 'all', '', day, humans, machines FROM daily_clicks;
INSERT INTO click_totals (workspace_id, mode, kind, name, day, humans, machines)
SELECT workspace_id, mode, 'link', CAST(link_number AS TEXT), day, humans, machines FROM click_days;
INSERT INTO click_totals (workspace_id, mode, kind, name, day, humans, machines)
SELECT workspace_id, mode, 'link_ever', CAST(link_number AS TEXT), 0, SUM(humans), SUM(machines) FROM click_days GROUP BY 1, 2, 4;
INSERT INTO click_totals (workspace_id, mode, kind, name, day, humans, machines)
SELECT workspace_id, mode, 'participant', participant_id, day, humans, machines FROM participant_clicks;

-- daily_clicks, click_days, participant_clicks and links.human_clicks stand still from here on: the code from before still reads and
-- writes them for a while. A later migration drops them. What that code writes into clicks is counted by the triggers below.
DROP TRIGGER clicks_are_judged_anew;
DROP TRIGGER clicks_are_taken_back;
DROP TRIGGER clicks_are_counted;
DROP TRIGGER clicks_are_counted_anew;
DROP TRIGGER click_days_are_summed;
DROP TRIGGER click_days_are_summed_anew;
DROP TRIGGER click_days_are_taken_back;

-- A conversion's word, or a message that comes again, is too late where the click's own record is packed.
CREATE TRIGGER clicks_in_packs_are_ignored BEFORE INSERT ON clicks
WHEN EXISTS (SELECT 1 FROM packed_clicks k WHERE k.workspace_id = NEW.workspace_id AND k.mode = NEW.mode
  AND k.hour = NEW.clicked_at / 3600000 AND k.first_at <= NEW.clicked_at AND k.last_at >= NEW.clicked_at
  AND instr(k.records, NEW.click_id) > 0 AND k.click_id = NEW.click_id)
BEGIN
  SELECT RAISE(IGNORE);
END;

-- One from before the last purge was counted when it came first; a conversion may have to write it again.
CREATE TRIGGER clicks_are_totalled AFTER INSERT ON clicks
WHEN NEW.clicked_at >= (SELECT clicks_purged_until FROM workspaces WHERE id = NEW.workspace_id)
BEGIN
  INSERT INTO click_totals (workspace_id, mode, kind, name, day, humans, machines)
  SELECT NEW.workspace_id, NEW.mode, t.value ->> 0, t.value ->> 1, t.value ->> 2, NEW.human, 1 - NEW.human
  FROM json_each(json_array(json_array('all', '', NEW.clicked_at / 86400000),
    json_array('link', CAST(NEW.link_number AS TEXT), NEW.clicked_at / 86400000),
    json_array('link_ever', CAST(NEW.link_number AS TEXT), 0),
    json_array('participant', (SELECT participant_id FROM links WHERE number = NEW.link_number), NEW.clicked_at / 86400000))) t
  WHERE t.value ->> 1 IS NOT NULL
  ON CONFLICT (workspace_id, mode, kind, name, day)
  DO UPDATE SET humans = humans + excluded.humans, machines = machines + excluded.machines;
END;

-- The code from before lets a click's own record take the place of what a conversion wrote.
CREATE TRIGGER clicks_are_totalled_anew AFTER UPDATE OF human ON clicks WHEN NEW.human <> OLD.human
BEGIN
  UPDATE click_totals SET humans = humans + NEW.human - OLD.human, machines = machines + OLD.human - NEW.human
  FROM json_each(json_array(json_array('all', '', NEW.clicked_at / 86400000),
    json_array('link', CAST(NEW.link_number AS TEXT), NEW.clicked_at / 86400000),
    json_array('link_ever', CAST(NEW.link_number AS TEXT), 0),
    json_array('participant', (SELECT participant_id FROM links WHERE number = NEW.link_number), NEW.clicked_at / 86400000))) t
  WHERE workspace_id = NEW.workspace_id AND mode = NEW.mode AND kind = t.value ->> 0 AND name = t.value ->> 1
    AND day = t.value ->> 2;
END;

-- What gives way to a pack, or is wiped, is taken back; a purge, which is of old ones, takes nothing back.
CREATE TRIGGER clicks_are_taken_from_totals AFTER DELETE ON clicks
WHEN OLD.clicked_at >= (SELECT clicks_purged_until FROM workspaces WHERE id = OLD.workspace_id)
BEGIN
  UPDATE click_totals SET humans = humans - OLD.human, machines = machines - 1 + OLD.human
  FROM json_each(json_array(json_array('all', '', OLD.clicked_at / 86400000),
    json_array('link', CAST(OLD.link_number AS TEXT), OLD.clicked_at / 86400000),
    json_array('link_ever', CAST(OLD.link_number AS TEXT), 0),
    json_array('participant', (SELECT participant_id FROM links WHERE number = OLD.link_number), OLD.clicked_at / 86400000))) t
  WHERE workspace_id = OLD.workspace_id AND mode = OLD.mode AND kind = t.value ->> 0 AND name = t.value ->> 1
    AND day = t.value ->> 2;
END;
