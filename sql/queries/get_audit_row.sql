-- The decision about one event.
-- $1 event_id.
-- Rows: one, or none; those of search_audit_rows, and api_key text or null, sender text or null (see 0011).
SELECT (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, event_id,
  (extract(epoch FROM event_time) * 1000)::bigint AS event_ms, clock_skewed, hostname, severity, environment, team,
  matched_rule_id, rule_version, rule_set_version, handling_decision, forwarded, matches, alerts, correlation_id,
  raw_message, text_repaired, raw_bytes, api_key, sender
FROM event_audit_log WHERE event_id = $1::text LIMIT 1
