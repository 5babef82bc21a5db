-- Removes templates that nothing was added to since a time, and past a number of rows those with the fewest events, of
-- those with as few the longest unseen; latched ones last. What is being added to just now stays: nobody waits for it.
-- $1 rows at most; $2 kept when added to since (ms since 1970).
-- Rows: one; removed bigint.
WITH excess AS (
  SELECT greatest(0, count(*) - $1::bigint) AS rows FROM unmatched_templates
), doomed AS (
  SELECT host, fingerprint FROM (
    SELECT host, fingerprint FROM unmatched_templates
    ORDER BY latched_by IS NOT NULL, event_count, last_seen, host, fingerprint
    LIMIT (SELECT rows FROM excess)
  ) AS least
  UNION
  SELECT host, fingerprint FROM unmatched_templates WHERE last_seen < to_timestamp($2::float8 / 1000)
), held AS MATERIALIZED (
  SELECT stored.host, stored.fingerprint FROM unmatched_templates AS stored JOIN doomed USING (host, fingerprint)
  FOR UPDATE OF stored SKIP LOCKED
), gone AS (
  DELETE FROM unmatched_templates AS stored USING held
  WHERE stored.host = held.host AND stored.fingerprint = held.fingerprint
  RETURNING 1
)
SELECT count(*) AS removed FROM gone
