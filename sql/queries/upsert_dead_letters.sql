-- Keeps alerts that no destination takes. One that is already there takes over what failed since: after a replay what the
-- replay came to, else a later failure. The same again, and what failed before the last replay, changes nothing.
-- Arrays of equal length: $1 alert_id, $2 partition, $3 destination, $4 alert (JSON as text), $5 reason, $6 error,
-- $7 attempts, $8 first_failed_at (ms since 1970), $9 last_failed_at (ms since 1970), $10 receipt of the event (ms since
-- 1970), $11 replays before it failed; and $12 the store that their events are in flight in.
-- Rows: destination text, is_automatic boolean; one per replay that has failed with this.
WITH kept AS (
  INSERT INTO dead_letters AS letter (
    alert_id, partition, destination, alert, reason, error, attempts, first_failed_at, last_failed_at, alert_at, replays,
    store
  )
  SELECT DISTINCT ON (alert_id)
    alert_id, partition, destination, alert::jsonb, reason, error, attempts,
    to_timestamp(first_failed_ms::float8 / 1000), to_timestamp(last_failed_ms::float8 / 1000),
    to_timestamp(alert_ms::float8 / 1000), replays, $12::text
  FROM unnest(
    $1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::integer[]
  ) AS given (
    alert_id, partition, destination, alert, reason, error, attempts, first_failed_ms, last_failed_ms, alert_ms, replays
  )
  ORDER BY alert_id, replays DESC, last_failed_ms DESC
  ON CONFLICT (alert_id) DO UPDATE SET
    state = 'kept',
    batch_id = NULL,
    operation_id = NULL,
    retry_at = NULL,
    ended_at = NULL,
    reason = excluded.reason,
    error = excluded.error,
    attempts = excluded.attempts + CASE WHEN excluded.replays > 0 THEN letter.attempts ELSE 0 END,
    last_failed_at = excluded.last_failed_at,
    store = excluded.store
  WHERE letter.replays <= excluded.replays
    AND (letter.state IN ('replayed', 'delivered') OR letter.state = 'leaving' AND letter.batch_end = 'replayed'
      OR letter.state IN ('kept', 'superseded') AND letter.last_failed_at < excluded.last_failed_at)
  RETURNING alert_id, destination, error, last_failed_at
)
UPDATE dead_letter_replays AS replay SET outcome = 'failed', error = kept.error, ended_at = kept.last_failed_at
FROM kept
WHERE replay.alert_id = kept.alert_id AND replay.outcome IS NULL
RETURNING kept.destination, replay.operation_id IS NULL AS is_automatic
