-- How often a dead letter was replayed, and what came of it; the last 100, oldest first.
-- $1 alert_id.
-- Rows: nth integer, operation_id text or null, is_edited boolean, replayed_ms bigint (ms since 1970), outcome text or
-- null, error text or null, ended_ms bigint or null.
SELECT * FROM (
  SELECT nth, operation_id, is_edited, (extract(epoch FROM replayed_at) * 1000)::bigint AS replayed_ms, outcome, error,
    (extract(epoch FROM ended_at) * 1000)::bigint AS ended_ms
  FROM dead_letter_replays WHERE alert_id = $1::text ORDER BY nth DESC LIMIT 100
) AS latest ORDER BY nth
