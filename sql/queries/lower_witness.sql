-- Sets the witness back to before what was lost, so that the same loss is not found again.
-- $1 store. Arrays of equal length: $2 partition, $3 sequence to go back to, $4 lost_at (ms since 1970).
-- Rows: none.
UPDATE witness SET sequence = least(witness.sequence, given.sequence), lost_at = to_timestamp(given.lost_ms::float8 / 1000)
FROM (
  SELECT partition, min(sequence) AS sequence, max(lost_ms) AS lost_ms
  FROM unnest($2::integer[], $3::bigint[], $4::bigint[]) AS each (partition, sequence, lost_ms)
  GROUP BY partition
) AS given
WHERE witness.store = $1::text AND witness.partition = given.partition
