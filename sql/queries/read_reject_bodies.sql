-- Parked rejects whole.
-- $1 ids.
-- Rows: id text, key_name text, correlation_id text, code text, body bytea.
SELECT id, key_name, correlation_id, code, body FROM rejects WHERE id = ANY ($1::text[]) AND state = 'parked'
