-- Records ranges that are gone; the same finding again changes nothing.
-- Arrays of equal length: $1 partition, $2 from_sequence, $3 to_sequence (included), $4 detected_at (ms since 1970).
-- Rows: none.
INSERT INTO ledger_losses (partition, from_sequence, to_sequence, detected_at)
SELECT partition, from_sequence, to_sequence, to_timestamp(detected_ms::float8 / 1000)
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[])
  AS given (partition, from_sequence, to_sequence, detected_ms)
ON CONFLICT DO NOTHING
