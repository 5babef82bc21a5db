-- Leaves a notice of a new version, and removes all but the newest 1000: the newest says it all.
-- $1 snapshot_version.
-- Rows: none.
WITH noticed AS (
  INSERT INTO outbox (snapshot_version) VALUES ($1::bigint) RETURNING id
)
DELETE FROM outbox USING noticed WHERE outbox.id <= noticed.id - 1000
