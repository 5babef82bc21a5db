-- How many alerts of some outboxes are there, of those between two numbers.
-- $1 store. Arrays of equal length, one element per outbox: $2 partition, $3 destination, $4 the number before the first
-- one, $5 the last number.
-- Rows: partition, destination, alerts; of each outbox, also where there is none.
SELECT
  asked.partition, asked.destination,
  (
    SELECT count(*) FROM alert_outbox AS there
    WHERE there.store = $1::text AND there.partition = asked.partition AND there.destination = asked.destination
      AND there.number > asked.after AND there.number <= asked.last
  ) AS alerts
FROM unnest($2::integer[], $3::text[], $4::bigint[], $5::bigint[]) AS asked (partition, destination, after, last)
