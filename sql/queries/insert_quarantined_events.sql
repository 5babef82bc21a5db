-- Keeps events that break their handler; one that is already there stays as it is.
-- Arrays of equal length: $1 event_id, $2 received_at (ms since 1970), $3 partition, $4 attempts, $5 reason,
-- $6 history (JSON array of strings as text), $7 body (bytea).
-- Rows: none.
INSERT INTO quarantined_events (event_id, received_at, partition, attempts, reason, history, body)
SELECT event_id, to_timestamp(received_ms::float8 / 1000), partition, attempts, reason, history::jsonb, body
FROM unnest($1::text[], $2::bigint[], $3::integer[], $4::integer[], $5::text[], $6::text[], $7::bytea[])
  AS given (event_id, received_ms, partition, attempts, reason, history, body)
ON CONFLICT (event_id) DO NOTHING
