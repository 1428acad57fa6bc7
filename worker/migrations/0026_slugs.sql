-- Slugs are unique in the whole installation, and links and programs lie in several databases. What is taken by a workspace of another
-- database than the first stands here, in the first one; elsewhere this table is empty.

CREATE TABLE claimed_slugs (
  kind TEXT NOT NULL CHECK (kind IN ('link', 'program')),
  slug TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  PRIMARY KEY (kind, slug)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER links_slug_is_not_claimed BEFORE INSERT ON links
WHEN EXISTS (SELECT 1 FROM claimed_slugs WHERE kind = 'link' AND slug = NEW.slug)
BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: links.slug, which another database has');
END;

CREATE TRIGGER programs_slug_is_not_claimed BEFORE INSERT ON programs
WHEN EXISTS (SELECT 1 FROM claimed_slugs WHERE kind = 'program' AND slug = NEW.slug)
BEGIN
  SELECT RAISE(ABORT, 'UNIQUE constraint failed: programs.slug, which another database has');
END;
