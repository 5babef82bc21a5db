-- $1 the id of the last notice that was published; all before it are settled with it.
-- Rows: none.
UPDATE outbox SET published_at = now() WHERE published_at IS NULL AND id <= $1::bigint
