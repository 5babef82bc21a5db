-- Raises the highest answered sequence per partition; a lower or outdated report changes nothing.
-- Arrays of equal length: $1 partition, $2 sequence, $3 reported_at (ms since 1970).
-- Rows: none.
INSERT INTO witness AS known (partition, sequence, reported_at)
SELECT DISTINCT ON (partition) partition, sequence, to_timestamp(reported_ms::float8 / 1000)
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS given (partition, sequence, reported_ms)
ORDER BY partition, sequence DESC
ON CONFLICT (partition) DO UPDATE SET sequence = excluded.sequence, reported_at = excluded.reported_at
WHERE known.sequence < excluded.sequence AND (known.lost_at IS NULL OR known.lost_at < excluded.reported_at)
