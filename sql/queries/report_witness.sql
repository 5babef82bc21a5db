-- Raises the highest answered sequence per partition; a lower or outdated report changes nothing.
-- $1 store. Arrays of equal length: $2 partition, $3 sequence, $4 reported_at (ms since 1970).
-- Rows: none.
INSERT INTO witness AS known (store, partition, sequence, reported_at)
SELECT DISTINCT ON (partition) $1::text, partition, sequence, to_timestamp(reported_ms::float8 / 1000)
FROM unnest($2::integer[], $3::bigint[], $4::bigint[]) AS given (partition, sequence, reported_ms)
ORDER BY partition, sequence DESC
ON CONFLICT (store, partition) DO UPDATE SET sequence = excluded.sequence, reported_at = excluded.reported_at
WHERE known.sequence < excluded.sequence AND (known.lost_at IS NULL OR known.lost_at < excluded.reported_at)
