-- $1 alert_ids.
-- Rows: alert_id text, destination text, status smallint (HTTP), attempts integer, delivered_ms bigint (ms since 1970),
-- unsent_reason text or null.
SELECT alert_id, destination, status, attempts, (extract(epoch FROM delivered_at) * 1000)::bigint AS delivered_ms,
  unsent_reason
FROM alert_receipts WHERE alert_id = ANY ($1::text[])
