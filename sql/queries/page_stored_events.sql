-- What decided events are made of, the newest receipt first: for deciding about them again.
-- $1 from (included) and $2 to (not included) which time of receipt (ms since 1970); $3 received_at (ms since 1970) and
-- $4 event_id of the event after which to begin, or null; $5 how many at most.
-- Rows: received_ms bigint (ms since 1970), event_id text, correlation_id text, handling_decision text, matched_rule_id
-- integer or null, raw_message text, raw_bytes bytea or null.
SELECT (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, event_id, correlation_id, handling_decision,
  matched_rule_id, raw_message, raw_bytes
FROM event_audit_log
WHERE received_at >= to_timestamp($1::float8 / 1000)
  AND received_at < to_timestamp($2::float8 / 1000)
  -- Said apart, so that months after it are not looked at.
  AND received_at <= coalesce(to_timestamp($3::float8 / 1000), 'infinity'::timestamptz)
  AND ($4::text IS NULL OR (received_at, event_id) < (to_timestamp($3::float8 / 1000), $4::text))
ORDER BY received_at DESC, event_id DESC LIMIT $5::integer
