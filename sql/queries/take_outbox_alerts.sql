-- The next alerts of an outbox. They stay until they are dropped.
-- $1 store, $2 partition, $3 destination, $4 the number before the first one, $5 the last number, $6 limit.
-- Rows: number, payload; in order.
SELECT number, payload
FROM alert_outbox
WHERE store = $1::text AND partition = $2::integer AND destination = $3::text
  AND number > $4::bigint AND number <= $5::bigint
ORDER BY number
LIMIT $6::integer
