-- Ranges of all stores that were answered and are gone.
-- $1 how many at most.
-- Rows: store text, partition integer, from_sequence bigint, to_sequence bigint.
SELECT store, partition, from_sequence, to_sequence
FROM ledger_losses ORDER BY store, partition, from_sequence LIMIT $1::integer
