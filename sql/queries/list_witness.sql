-- The highest answered sequence per partition of one store.
-- $1 store.
-- Rows: partition integer, sequence bigint, reported_ms bigint (ms since 1970).
SELECT partition, sequence, (extract(epoch FROM reported_at) * 1000)::bigint AS reported_ms
FROM witness WHERE store = $1::text ORDER BY partition
