-- The stored decisions of events, for those whose insert came second.
-- Arrays of equal length: $1 received_at (ms since 1970), $2 event_id.
-- Rows: event_id text, decision text, alerts jsonb; an event without a row is left out.
-- LATERAL with LIMIT keeps it one look-up by key per event, whatever the planner believes of the partitions.
SELECT stored.event_id, stored.decision, stored.alerts
FROM unnest($1::bigint[], $2::text[]) AS given (received_ms, event_id)
CROSS JOIN LATERAL (
  SELECT log.event_id, log.handling_decision AS decision, log.alerts
  FROM event_audit_log AS log
  WHERE log.received_at = to_timestamp(given.received_ms::float8 / 1000) AND log.event_id = given.event_id
  LIMIT 1
) AS stored
