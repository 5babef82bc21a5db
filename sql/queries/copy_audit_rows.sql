-- Stores decisions of which none is there yet: one that is there fails the statement, and no row is stored.
-- Binary rows on standard input, with the columns below: their types are those of the table.
-- Rows: none.
COPY event_audit_log (
  received_at, event_id, event_time, clock_skewed, hostname, severity, environment, team, matched_rule_id,
  rule_version, rule_set_version, handling_decision, forwarded, matches, alerts, correlation_id, raw_message,
  text_repaired, raw_bytes, api_key, sender
) FROM STDIN (FORMAT binary)
