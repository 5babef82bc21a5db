-- Stores receipts of destinations, and how alerts ended that were not sent; the first of an alert stands, a later one is left out silently.
-- Arrays of equal length, one element per receipt: $1 alert_id, $2 received_at of the event (ms since 1970), $3 event_ids
-- (JSON array of texts, as text), $4 destination, $5 partition, $6 status (HTTP), $7 attempts, $8 delivered_at (ms since
-- 1970), $9 signature, $10 unsent_reason or null.
-- Rows: alert_id of each receipt that was stored by this statement.
INSERT INTO alert_receipts (
  alert_id, received_at, event_ids, destination, partition, status, attempts, delivered_at, signature_hash,
  unsent_reason
)
SELECT
  alert_id, to_timestamp(received_ms::float8 / 1000),
  ARRAY(SELECT jsonb_array_elements_text(event_ids::jsonb)), destination, partition, status, attempts,
  to_timestamp(delivered_ms::float8 / 1000), hashtextextended(signature, 0), unsent_reason
FROM unnest(
  $1::text[], $2::bigint[], $3::text[], $4::text[], $5::integer[], $6::smallint[], $7::integer[], $8::bigint[],
  $9::text[], $10::text[]
) AS given (
  alert_id, received_ms, event_ids, destination, partition, status, attempts, delivered_ms, signature, unsent_reason
)
ON CONFLICT (alert_id, received_at) DO NOTHING
RETURNING alert_id
