-- Removes the alerts of an outbox that are back in their mailbox, or have left it.
-- $1 store, $2 partition, $3 destination, $4 the last number of them.
-- Rows: none.
DELETE FROM alert_outbox
WHERE store = $1::text AND partition = $2::integer AND destination = $3::text AND number <= $4::bigint
