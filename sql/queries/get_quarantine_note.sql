-- $1 event_id.
-- Rows: one, or none when it is not in quarantine; received_ms bigint, quarantined_ms bigint (both ms since 1970),
-- partition integer, attempts integer, reason text, history jsonb (texts, oldest first).
SELECT (extract(epoch FROM received_at) * 1000)::bigint AS received_ms,
  (extract(epoch FROM quarantined_at) * 1000)::bigint AS quarantined_ms, partition, attempts, reason, history
FROM quarantined_events WHERE event_id = $1::text
