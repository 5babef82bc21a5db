-- Decided events, the newest receipt first of one host.
-- $1 matched_rule_id or null; $2 handling_decision or null; $3 from (included) and $4 to (not included) which time of
-- receipt (ms since 1970), or null; $5 received_at (ms since 1970) and $6 event_id of the event after which to begin, or
-- null; $7 how many at most; $8 hostname.
-- Rows: received_ms bigint, event_id text, event_ms bigint (both times in ms since 1970), clock_skewed boolean, hostname
-- text, severity smallint or null, environment text, team text or null, matched_rule_id integer or null, rule_version
-- integer or null, rule_set_version bigint, handling_decision text, forwarded boolean, matches jsonb, alerts jsonb,
-- correlation_id text, raw_message text, text_repaired boolean, raw_bytes bytea or null.
SELECT (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, event_id,
  (extract(epoch FROM event_time) * 1000)::bigint AS event_ms, clock_skewed, hostname, severity, environment, team,
  matched_rule_id, rule_version, rule_set_version, handling_decision, forwarded, matches, alerts, correlation_id,
  raw_message, text_repaired, raw_bytes
FROM event_audit_log
WHERE hostname = $8::text
  AND ($1::integer IS NULL OR matched_rule_id = $1::integer)
  AND ($2::text IS NULL OR handling_decision = $2::text)
  AND received_at >= coalesce(to_timestamp($3::float8 / 1000), '-infinity'::timestamptz)
  AND received_at < coalesce(to_timestamp($4::float8 / 1000), 'infinity'::timestamptz)
  -- Said apart, so that months after it are not looked at.
  AND received_at <= coalesce(to_timestamp($5::float8 / 1000), 'infinity'::timestamptz)
  AND ($6::text IS NULL OR (received_at, event_id) < (to_timestamp($5::float8 / 1000), $6::text))
ORDER BY received_at DESC, event_id DESC LIMIT $7::integer
