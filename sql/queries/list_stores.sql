-- The stores that there are, or were, with what is left of each in PostgreSQL; those that were seen last first.
-- $1 for how long a node of a store that lives may be silent (ms); $2 a store, or null for all; $3 how many at most.
-- Rows: store text, node text or null, seen_ms bigint or null (ms since 1970), is_stranded boolean, letters bigint (that
-- have not ended), outbox_alerts bigint, resubmissions bigint (under way).
WITH letters AS (
  SELECT store, count(*) AS n FROM dead_letters
  WHERE state IN ('kept', 'queued', 'discarding', 'leaving', 'replayed') AND store <> ''
    AND ($2::text IS NULL OR store = $2::text)
  GROUP BY store
), outbox AS (
  SELECT store, count(*) AS n FROM alert_outbox WHERE $2::text IS NULL OR store = $2::text GROUP BY store
), unfinished AS (
  SELECT store, count(*) AS n FROM resubmissions WHERE $2::text IS NULL OR store = $2::text GROUP BY store
), known AS (
  SELECT store FROM store_sightings WHERE $2::text IS NULL OR store = $2::text
  UNION SELECT store FROM letters UNION SELECT store FROM outbox UNION SELECT store FROM unfinished
)
SELECT store, node, (extract(epoch FROM seen_at) * 1000)::bigint AS seen_ms,
  coalesce(seen_at < now() - $1::float8 * interval '1 millisecond', true) AS is_stranded,
  coalesce(letters.n, 0) AS letters, coalesce(outbox.n, 0) AS outbox_alerts, coalesce(unfinished.n, 0) AS resubmissions
FROM known LEFT JOIN store_sightings USING (store) LEFT JOIN letters USING (store) LEFT JOIN outbox USING (store)
  LEFT JOIN unfinished USING (store)
ORDER BY seen_at DESC NULLS LAST, store LIMIT $3::integer
