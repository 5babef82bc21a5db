-- $1 alert_ids.
-- Rows: alert_id text, destination text, reason text, error text, attempts integer, first_failed_ms bigint,
-- last_failed_ms bigint, state text (as the column), ended_ms bigint (null until it has ended). Times in ms since 1970.
SELECT alert_id, destination, reason, error, attempts,
  (extract(epoch FROM first_failed_at) * 1000)::bigint AS first_failed_ms,
  (extract(epoch FROM last_failed_at) * 1000)::bigint AS last_failed_ms, state,
  (extract(epoch FROM ended_at) * 1000)::bigint AS ended_ms
FROM dead_letters WHERE alert_id = ANY ($1::text[])
