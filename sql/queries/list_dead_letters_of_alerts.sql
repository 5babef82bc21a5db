-- $1 alert_ids.
-- Rows: alert_id text, destination text, reason text, error text, attempts integer, first_failed_ms bigint,
-- last_failed_ms bigint (both ms since 1970), state text (as the column).
SELECT alert_id, destination, reason, error, attempts,
  (extract(epoch FROM first_failed_at) * 1000)::bigint AS first_failed_ms,
  (extract(epoch FROM last_failed_at) * 1000)::bigint AS last_failed_ms, state
FROM dead_letters WHERE alert_id = ANY ($1::text[])
