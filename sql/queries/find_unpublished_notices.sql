-- The notices nobody has published yet, the oldest first.
-- $1 how many at most.
-- Rows: id bigint, snapshot_version bigint.
SELECT id, snapshot_version FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT $1::integer
