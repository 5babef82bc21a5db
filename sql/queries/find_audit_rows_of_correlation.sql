-- Decisions about the events of one request, the newest receipt first. Read back through time: there is no index.
-- $1 correlation_id; $2 from (included) and $3 to (not included) which time of receipt (ms since 1970), or null; $4 how
-- many at most.
-- Rows: received_ms bigint (ms since 1970), event_id text, hostname text, handling_decision text.
SELECT (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, event_id, hostname, handling_decision
FROM event_audit_log
WHERE correlation_id = $1::text
  AND received_at >= coalesce(to_timestamp($2::float8 / 1000), '-infinity'::timestamptz)
  AND received_at < coalesce(to_timestamp($3::float8 / 1000), 'infinity'::timestamptz)
ORDER BY received_at DESC, event_id DESC LIMIT $4::integer
