-- A page without a key is its host's owner's, in live mode (POST /v1/clicks).
CREATE INDEX hosts_by_name ON hosts (host) WHERE mode = 'live';
