-- Ranges that were answered and are gone, the newest finding first.
-- $1 how many at most.
-- Rows: partition integer, from_sequence bigint, to_sequence bigint, detected_ms bigint (ms since 1970).
SELECT partition, from_sequence, to_sequence, (extract(epoch FROM detected_at) * 1000)::bigint AS detected_ms
FROM ledger_losses ORDER BY detected_at DESC, partition, from_sequence LIMIT $1::integer
