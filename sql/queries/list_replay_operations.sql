-- Operations, the newest first, with how far they are.
-- $1 id or null for all; $2 begun_at (microseconds since 1970) and $3 id of the one after which to begin, or null; $4 how
-- many at most; $5 for how long a node of a store that lives may be silent (ms).
-- Rows: id text, begun_ms bigint (ms since 1970), begun_us bigint (microseconds), begun_by text, reason text or null,
-- selection jsonb, letters integer, per_second float8, canceled_ms bigint or null, canceled integer, waiting, on_their_way,
-- delivered, failed, superseded, stranded (waiting or on their way, of a store no node of which lives): bigint.
WITH stranded AS MATERIALIZED (
  SELECT store FROM store_sightings WHERE seen_at < now() - $5::float8 * interval '1 millisecond'
)
SELECT id, (extract(epoch FROM begun_at) * 1000)::bigint AS begun_ms,
  (extract(epoch FROM begun_at) * 1000000)::bigint AS begun_us, begun_by, reason, selection, letters, per_second,
  (extract(epoch FROM canceled_at) * 1000)::bigint AS canceled_ms, canceled_letters AS canceled,
  (SELECT count(*) FROM dead_letters WHERE operation_id = operation.id AND state = 'queued') AS waiting,
  (
    SELECT count(*) FROM dead_letters
    WHERE operation_id = operation.id AND state = 'queued' AND store IN (SELECT store FROM stranded)
  ) + replays.stranded AS stranded,
  replays.on_their_way, replays.delivered, replays.failed, replays.superseded
FROM replay_operations AS operation, LATERAL (
  SELECT count(*) FILTER (WHERE outcome IS NULL) AS on_their_way,
    count(*) FILTER (WHERE outcome = 'delivered') AS delivered,
    count(*) FILTER (WHERE outcome = 'failed') AS failed,
    count(*) FILTER (WHERE outcome = 'superseded') AS superseded,
    count(*) FILTER (
      WHERE outcome IS NULL AND EXISTS (SELECT FROM stranded) AND EXISTS (
        SELECT FROM dead_letters AS letter
        WHERE letter.alert_id = replay.alert_id AND store IN (SELECT store FROM stranded)
      )
    ) AS stranded
  FROM dead_letter_replays AS replay WHERE operation_id = operation.id
) AS replays
WHERE ($1::text IS NULL OR id = $1::text)
  AND ($3::text IS NULL
    OR begun_at < 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'
    OR begun_at = 'epoch'::timestamptz + $2::bigint * interval '1 microsecond' AND id < $3::text)
ORDER BY begun_at DESC, id DESC LIMIT $4::integer
