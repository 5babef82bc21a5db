-- Puts alerts into the outbox, instead of what an earlier attempt has put under their numbers; what a later one has put
-- there stays.
-- $1 store, $2 partition, $3 destination, $4 attempt, $5 the number before the first one. Arrays of equal length, in
-- order: $6 alert_id, $7 payload.
-- Rows: number of each that is there now with this attempt.
INSERT INTO alert_outbox AS known (store, partition, destination, number, attempt, alert_id, payload)
SELECT $1::text, $2::integer, $3::text, $5::bigint + place, $4::bigint, alert_id, payload
FROM unnest($6::text[], $7::bytea[]) WITH ORDINALITY AS given (alert_id, payload, place)
ON CONFLICT (store, partition, destination, number) DO UPDATE SET
  attempt = excluded.attempt, alert_id = excluded.alert_id, payload = excluded.payload, spilled_at = excluded.spilled_at
WHERE known.attempt <= excluded.attempt
RETURNING number
