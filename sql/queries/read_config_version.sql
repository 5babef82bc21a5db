-- The version of everything people configure. Cheap: one row.
-- Rows: one; snapshot_version bigint.
SELECT snapshot_version FROM config_version
