-- Events of an alert that a destination took, or refused for good.
-- $1 alert_id.
-- Rows: event_id text.
SELECT DISTINCT event_id FROM (
  SELECT unnest(event_ids) AS event_id FROM alert_receipts WHERE alert_id = $1::text
  UNION ALL
  SELECT jsonb_array_elements_text(alert -> 'event_ids') FROM dead_letters WHERE alert_id = $1::text
) AS known ORDER BY event_id
