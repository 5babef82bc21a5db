-- $1 alert_id; $2 for how long a node of a store that lives may be silent (ms).
-- Rows: none or one, as list_dead_letters has them.
SELECT alert_id, partition, destination, alert, reason, error, attempts,
  (extract(epoch FROM first_failed_at) * 1000)::bigint AS first_failed_ms,
  (extract(epoch FROM last_failed_at) * 1000)::bigint AS last_failed_ms,
  (extract(epoch FROM last_failed_at) * 1000000)::bigint AS last_failed_us, replays,
  CASE
    WHEN state = 'kept' AND is_given_up THEN 'given_up'
    WHEN state = 'leaving' AND batch_end = 'discarded' THEN 'discarding'
    WHEN state = 'leaving' THEN 'queued'
    ELSE state
  END AS state,
  (extract(epoch FROM retry_at) * 1000)::bigint AS retry_ms, operation_id,
  (extract(epoch FROM ended_at) * 1000)::bigint AS ended_ms, edited_alert IS NOT NULL AS is_edited, store,
  (extract(epoch FROM seen_at) * 1000)::bigint AS store_seen_ms,
  store <> '' AND coalesce(seen_at < now() - $2::float8 * interval '1 millisecond', true) AS is_stranded
FROM dead_letters LEFT JOIN store_sightings USING (store) WHERE alert_id = $1::text
