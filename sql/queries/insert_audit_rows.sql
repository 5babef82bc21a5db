-- Stores decisions; the first row for an event wins, a later one is left out silently.
-- Arrays of equal length, one element per row: $1 received_at (ms since 1970), $2 event_id, $3 event_time (ms since
-- 1970), $4 clock_skewed, $5 hostname, $6 severity (0-7 or null), $7 environment, $8 team or null, $9 matched_rule_id or
-- null, $10 rule_version or null, $11 rule_set_version, $12 handling_decision, $13 matches (JSON array as text),
-- $14 alerts (JSON array as text), $15 correlation_id, $16 raw_message, $17 text_repaired, $18 raw_bytes or null,
-- $19 api_key or null, $20 sender or null.
-- Rows: event_id of each row that was stored by this statement.
INSERT INTO event_audit_log (
  received_at, event_id, event_time, clock_skewed, hostname, severity, environment, team, matched_rule_id,
  rule_version, rule_set_version, handling_decision, forwarded, matches, alerts, correlation_id, raw_message,
  text_repaired, raw_bytes, api_key, sender
)
SELECT
  to_timestamp(received_ms::float8 / 1000), event_id, to_timestamp(event_ms::float8 / 1000), clock_skewed, hostname,
  severity, environment, team, matched_rule_id, rule_version, rule_set_version, handling_decision, alerts <> '[]',
  matches::jsonb, alerts::jsonb, correlation_id, raw_message,
  text_repaired, raw_bytes, api_key, sender
FROM unnest(
  $1::bigint[], $2::text[], $3::bigint[], $4::boolean[], $5::text[], $6::smallint[], $7::text[], $8::text[],
  $9::integer[], $10::integer[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[],
  $17::boolean[], $18::bytea[], $19::text[], $20::text[]
) AS given (
  received_ms, event_id, event_ms, clock_skewed, hostname, severity, environment, team, matched_rule_id,
  rule_version, rule_set_version, handling_decision, matches, alerts, correlation_id, raw_message,
  text_repaired, raw_bytes, api_key, sender
)
ON CONFLICT (received_at, event_id) DO NOTHING
RETURNING event_id
