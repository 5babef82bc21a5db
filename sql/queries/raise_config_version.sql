-- Rows: one; snapshot_version bigint, the new version.
UPDATE config_version SET snapshot_version = snapshot_version + 1 RETURNING snapshot_version
