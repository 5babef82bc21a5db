-- Keeps alerts that no destination takes. One that is already there takes over a later failure; the same again
-- changes nothing.
-- Arrays of equal length: $1 alert_id, $2 partition, $3 destination, $4 alert (JSON as text), $5 reason, $6 error,
-- $7 attempts, $8 first_failed_at (ms since 1970), $9 last_failed_at (ms since 1970).
-- Rows: none.
INSERT INTO dead_letters AS letter (
  alert_id, partition, destination, alert, reason, error, attempts, first_failed_at, last_failed_at
)
SELECT DISTINCT ON (alert_id)
  alert_id, partition, destination, alert::jsonb, reason, error, attempts,
  to_timestamp(first_failed_ms::float8 / 1000), to_timestamp(last_failed_ms::float8 / 1000)
FROM unnest(
  $1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::bigint[], $9::bigint[]
) AS given (alert_id, partition, destination, alert, reason, error, attempts, first_failed_ms, last_failed_ms)
ORDER BY alert_id, last_failed_ms DESC
ON CONFLICT (alert_id) DO UPDATE SET
  reason = excluded.reason,
  error = excluded.error,
  attempts = excluded.attempts,
  last_failed_at = excluded.last_failed_at
WHERE letter.last_failed_at < excluded.last_failed_at
