-- Dead letters, those that failed last first.
-- $1 destination, $2 reason, $3 team, $4 rule_id: each may be null; $5 states, as the rows say them; $6 from which failure
-- on (ms since 1970, included) or null; $7 last_failed_at (microseconds since 1970) and $8 alert_id of the letter after
-- which to begin, or null; $9 how many at most; $10 store or null; $11 for how long a node of a store that lives may be
-- silent (ms).
-- Rows: alert_id text, partition integer, destination text, alert jsonb, reason text, error text, attempts integer,
-- first_failed_ms, last_failed_ms bigint (ms since 1970), last_failed_us bigint (microseconds), replays integer,
-- state text (as the column, or given_up; a letter in a batch is still what it was before), retry_ms bigint or null,
-- operation_id text or null, ended_ms bigint or null, is_edited boolean, store text, store_seen_ms bigint or null,
-- is_stranded boolean (no node of its store has lived for so long).
WITH seen AS MATERIALIZED (SELECT store, seen_at FROM store_sightings)
SELECT letter.*, (extract(epoch FROM seen.seen_at) * 1000)::bigint AS store_seen_ms,
  letter.store <> '' AND coalesce(seen.seen_at < now() - $11::float8 * interval '1 millisecond', true) AS is_stranded
FROM (
  SELECT alert_id, partition, destination, alert, reason, error, attempts,
    (extract(epoch FROM first_failed_at) * 1000)::bigint AS first_failed_ms,
    (extract(epoch FROM last_failed_at) * 1000)::bigint AS last_failed_ms,
    (extract(epoch FROM last_failed_at) * 1000000)::bigint AS last_failed_us, replays,
    CASE
      WHEN state = 'kept' AND is_given_up THEN 'given_up'
      WHEN state = 'leaving' AND batch_end = 'discarded' THEN 'discarding'
      WHEN state = 'leaving' THEN 'queued'
      ELSE state
    END AS state,
    (extract(epoch FROM retry_at) * 1000)::bigint AS retry_ms, operation_id,
    (extract(epoch FROM ended_at) * 1000)::bigint AS ended_ms, edited_alert IS NOT NULL AS is_edited, store
  FROM dead_letters
  WHERE last_failed_at >= coalesce(to_timestamp($6::float8 / 1000), '-infinity'::timestamptz)
    AND ($8::text IS NULL
      OR last_failed_at < 'epoch'::timestamptz + $7::bigint * interval '1 microsecond'
      OR last_failed_at = 'epoch'::timestamptz + $7::bigint * interval '1 microsecond' AND alert_id > $8::text)
    AND ($1::text IS NULL OR destination = $1::text)
    AND ($2::text IS NULL OR reason = $2::text)
    AND ($3::text IS NULL OR alert ->> 'team' = $3::text)
    AND ($4::integer IS NULL OR alert -> 'rule_id' = to_jsonb($4::integer))
    AND ($10::text IS NULL OR store = $10::text)
) AS letter LEFT JOIN seen USING (store)
WHERE state = ANY ($5::text[])
ORDER BY last_failed_us DESC, alert_id LIMIT $9::integer
