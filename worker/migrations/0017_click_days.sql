-- Clicks per link and day (of UTC, counted from 1970), kept for good: what partners and charts look at, whatever becomes of the
-- clicks themselves. Counted where a click is written, in the same transaction, so that the two never differ.

CREATE TABLE click_days (
  workspace_id TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('test', 'live')),
  link_number INTEGER NOT NULL,
  day INTEGER NOT NULL,
  humans INTEGER NOT NULL CHECK (humans >= 0),
  machines INTEGER NOT NULL CHECK (machines >= 0),
  PRIMARY KEY (workspace_id, mode, link_number, day)
) STRICT, WITHOUT ROWID;

INSERT INTO click_days (workspace_id, mode, link_number, day, humans, machines)
SELECT workspace_id, mode, link_number, clicked_at / 86400000, SUM(human), SUM(1 - human) FROM clicks GROUP BY 1, 2, 3, 4;

-- One from before the last purge was counted when it came first; a conversion may have to write it again.
CREATE TRIGGER clicks_are_counted AFTER INSERT ON clicks
WHEN NEW.clicked_at >= (SELECT clicks_purged_until FROM workspaces WHERE id = NEW.workspace_id)
BEGIN
  INSERT INTO click_days (workspace_id, mode, link_number, day, humans, machines)
  VALUES (NEW.workspace_id, NEW.mode, NEW.link_number, NEW.clicked_at / 86400000, NEW.human, 1 - NEW.human)
  ON CONFLICT (workspace_id, mode, link_number, day)
  DO UPDATE SET humans = humans + excluded.humans, machines = machines + excluded.machines;
END;

-- A record that a conversion had to write is taken for a person's; the click's own may tell otherwise.
CREATE TRIGGER clicks_are_counted_anew AFTER UPDATE OF human ON clicks WHEN NEW.human <> OLD.human
BEGIN
  UPDATE click_days SET humans = humans + NEW.human - OLD.human, machines = machines + OLD.human - NEW.human
  WHERE workspace_id = NEW.workspace_id AND mode = NEW.mode AND link_number = NEW.link_number
    AND day = NEW.clicked_at / 86400000;
END;
