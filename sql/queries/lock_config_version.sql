-- Makes changes come one after the other, until this transaction ends.
-- Rows: one; snapshot_version bigint, the version before this change.
SELECT snapshot_version FROM config_version FOR UPDATE
