-- Who acted; what a key may do; what the dashboard's search looks things up by.

-- The member whose session brought an act. None where a key did: a key is nobody.
ALTER TABLE acts ADD COLUMN person_id TEXT REFERENCES people (id);
