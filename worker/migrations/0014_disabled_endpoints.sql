-- An endpoint that disables itself has its workspace's owners told by mail.

-- `https://host` of the request that made the endpoint: where its owners look after it. None of those made before.
ALTER TABLE webhook_endpoints ADD COLUMN origin TEXT;
-- The mail that tells of its last disabling. Two runs may see the same reason; only the one that is named here disabled it.
ALTER TABLE webhook_endpoints ADD COLUMN disabled_mail_id TEXT;
