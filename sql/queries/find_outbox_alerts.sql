-- Where alerts are in outboxes. Whether a number still counts is in the books of the mailboxes.
-- $1 store, $2 alert ids (array).
-- Rows: alert_id, partition, destination, number, spilled_ms (ms since 1970).
SELECT
  alert_id, partition, destination, number, (extract(epoch FROM spilled_at) * 1000)::bigint AS spilled_ms
FROM alert_outbox
WHERE store = $1::text AND alert_id = ANY ($2::text[])
