-- Parked rejects and quarantined events whole. What is not known of an event in quarantine is who sent it; its id stands for
-- the request.
-- $1 ids.
-- Rows: id text, kind text (reject or quarantine), key_name text, sender text, correlation_id text, code text, body bytea.
SELECT id, 'reject' AS kind, key_name, sender, correlation_id, code, body
FROM rejects WHERE id = ANY ($1::text[]) AND state = 'parked'
UNION ALL
SELECT event_id, 'quarantine', 'quarantine', 'unknown', event_id, reason, body
FROM quarantined_events WHERE event_id = ANY ($1::text[]) AND state = 'quarantined'
