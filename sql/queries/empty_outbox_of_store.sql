-- Takes alerts out of the outboxes of a store that is gone, in their order.
-- $1 store; $2 alerts at most.
-- Rows: payload bytea, partition integer, spilled_ms bigint (ms since 1970), is_delivered boolean (there is a receipt).
WITH gone AS (
  DELETE FROM alert_outbox AS there USING (
    SELECT partition, destination, number FROM alert_outbox WHERE store = $1::text
    ORDER BY partition, destination, number LIMIT $2::integer FOR UPDATE
  ) AS first
  WHERE there.store = $1::text AND there.partition = first.partition AND there.destination = first.destination
    AND there.number = first.number
  RETURNING there.alert_id, there.payload, there.partition, there.spilled_at
)
SELECT payload, partition, (extract(epoch FROM spilled_at) * 1000)::bigint AS spilled_ms,
  EXISTS (SELECT FROM alert_receipts WHERE alert_receipts.alert_id = gone.alert_id) AS is_delivered
FROM gone
