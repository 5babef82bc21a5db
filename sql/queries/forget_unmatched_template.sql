-- Removes a template that no rule matched, of one host or of all. Locked in the order of their keys, as they are stored.
-- $1 fingerprint; $2 host or null.
-- Rows: none when there is none, else one; template text, host_count bigint, event_count bigint, latched_count bigint.
WITH found AS MATERIALIZED (
  SELECT host, fingerprint FROM unmatched_templates
  WHERE fingerprint = $1::text AND ($2::text IS NULL OR host = $2::text)
  ORDER BY host, fingerprint FOR UPDATE
), gone AS (
  DELETE FROM unmatched_templates AS stored USING found
  WHERE stored.host = found.host AND stored.fingerprint = found.fingerprint
  RETURNING stored.template, stored.event_count, stored.latched_by
)
SELECT min(template) AS template, count(*) AS host_count, sum(event_count)::bigint AS event_count,
  count(latched_by) AS latched_count
FROM gone HAVING count(*) > 0
