-- Records ranges that are gone; the same finding again changes nothing.
-- $1 store. Arrays of equal length: $2 partition, $3 from_sequence, $4 to_sequence (included), $5 detected_at (ms since
-- 1970).
-- Rows: none.
INSERT INTO ledger_losses (store, partition, from_sequence, to_sequence, detected_at)
SELECT $1::text, partition, from_sequence, to_sequence, to_timestamp(detected_ms::float8 / 1000)
FROM unnest($2::integer[], $3::bigint[], $4::bigint[], $5::bigint[])
  AS given (partition, from_sequence, to_sequence, detected_ms)
ON CONFLICT DO NOTHING
