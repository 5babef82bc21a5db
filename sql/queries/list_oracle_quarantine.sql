-- Quarantined events, for whoever checks the books from outside.
-- $1 how many at most.
-- Rows: event_id text, body bytea, reason text, state text.
SELECT event_id, body, reason, state FROM quarantined_events ORDER BY event_id LIMIT $1::integer
