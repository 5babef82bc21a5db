-- What was decided about every event, by key set: for whoever checks the books from outside.
-- $1 received_at (ms since 1970, with its fraction) and $2 event_id of the event after which to begin; $3 how many at most.
-- Rows: received_ms float8 (ms since 1970, with its fraction), event_id text, handling_decision text, raw_message text,
-- alerts jsonb.
SELECT (extract(epoch FROM received_at) * 1000)::float8 AS received_ms, event_id, handling_decision, raw_message, alerts
FROM event_audit_log
WHERE (received_at, event_id) > (to_timestamp($1::float8 / 1000), $2::text)
ORDER BY received_at, event_id LIMIT $3::integer
