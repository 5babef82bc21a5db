-- What there is to do about dead letters of these partitions.
-- $1 partitions; $2 destinations that alerts are sent to; $3 reasons that may heal; $4 store.
-- Rows: kind text (batch: one is unfinished; discard; replay: an operation has letters queued; retry: letters are due),
-- partition integer, destination text or null, operation_id text or null, batch_id text or null, is_armed boolean,
-- per_second float8 or null (of an operation).
SELECT 'batch' AS kind, partition, NULL AS destination, NULL AS operation_id, id AS batch_id, is_armed,
  NULL::float8 AS per_second
FROM dead_letter_batches WHERE store = $4::text AND partition = ANY ($1::integer[])
UNION ALL
SELECT 'discard', own.partition, NULL, NULL, NULL, false, NULL
FROM unnest($1::integer[]) AS own (partition)
WHERE EXISTS (
  SELECT FROM dead_letters AS letter
  WHERE letter.store = $4::text AND letter.partition = own.partition AND letter.state = 'discarding'
)
UNION ALL
SELECT 'replay', own.partition, known.destination, operation.id, NULL, false, operation.per_second
FROM replay_operations AS operation, unnest($1::integer[]) AS own (partition), unnest($2::text[]) AS known (destination)
WHERE operation.dealt_at IS NULL AND EXISTS (
  SELECT FROM dead_letters AS letter
  WHERE letter.operation_id = operation.id AND letter.store = $4::text AND letter.partition = own.partition
    AND letter.destination = known.destination AND letter.state = 'queued'
)
UNION ALL
SELECT 'retry', own.partition, known.destination, NULL, NULL, false, NULL
FROM unnest($1::integer[]) AS own (partition), unnest($2::text[]) AS known (destination)
WHERE EXISTS (
  SELECT FROM dead_letters AS letter
  WHERE letter.store = $4::text AND letter.partition = own.partition AND letter.destination = known.destination
    AND letter.state = 'kept' AND letter.retry_at <= now() AND letter.reason = ANY ($3::text[])
)
