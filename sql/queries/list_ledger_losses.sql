-- Ranges of one store that were answered and are gone, the newest finding first; with those that were recorded when no
-- store was named.
-- $1 store, $2 how many at most.
-- Rows: partition integer, from_sequence bigint, to_sequence bigint, detected_ms bigint (ms since 1970).
SELECT partition, from_sequence, to_sequence, (extract(epoch FROM detected_at) * 1000)::bigint AS detected_ms
FROM ledger_losses WHERE store IN ($1::text, '') ORDER BY detected_at DESC, partition, from_sequence LIMIT $2::integer
