-- The letters of a batch, the oldest alerts first.
-- The batch is the only way to them: with conditions that an index has, PostgreSQL reads all letters of that state besides.
-- $1 id of the batch.
-- Rows: alert_id text, destination text, alert jsonb (what is to be sent), batch_end text, replays integer,
-- first_failed_ms bigint (ms since 1970), reason text.
SELECT alert_id, destination, coalesce(edited_alert, alert) AS alert, batch_end, replays, reason,
  (extract(epoch FROM first_failed_at) * 1000)::bigint AS first_failed_ms
FROM dead_letters WHERE batch_id = $1::text AND (state = 'leaving') IS TRUE
ORDER BY alert_at, alert_order, alert_id
