-- What no rule matched, by template over all hosts, the most events first.
-- $1 host or null; $2 seen since (ms since 1970) or null; $3 events and $4 fingerprint of the template after which to
-- begin, or null; $5 how many at most; $6 hosts to name of each; $7 fingerprint or null.
-- Rows: fingerprint text, program text or null, trap_oid text or null, template text, sample text, sample_event_id text,
-- event_count bigint, first_ms bigint, last_ms bigint, alerted_ms bigint or null (times in ms since 1970), host_count
-- bigint, latched_count bigint (hosts that have had their alert), hosts text[].
WITH grouped AS (
  SELECT fingerprint, min(program) AS program, min(trap_oid) AS trap_oid, min(template) AS template,
    sum(event_count)::bigint AS event_count, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
    max(alerted_at) AS alerted_at, count(*) AS host_count, count(latched_by) AS latched_count
  FROM unmatched_templates
  WHERE ($1::text IS NULL OR host = $1::text)
    AND ($2::bigint IS NULL OR last_seen >= to_timestamp($2::float8 / 1000))
    AND ($7::text IS NULL OR fingerprint = $7::text)
  GROUP BY fingerprint
  HAVING $3::bigint IS NULL
    OR sum(event_count) < $3::bigint
    OR (sum(event_count) = $3::bigint AND fingerprint > $4::text)
  ORDER BY event_count DESC, fingerprint LIMIT $5::integer
)
SELECT fingerprint, program, trap_oid, template, shown.sample, shown.sample_event_id, grouped.event_count,
  (extract(epoch FROM grouped.first_seen) * 1000)::bigint AS first_ms,
  (extract(epoch FROM grouped.last_seen) * 1000)::bigint AS last_ms,
  (extract(epoch FROM grouped.alerted_at) * 1000)::bigint AS alerted_ms,
  host_count, latched_count, named.hosts
FROM grouped
CROSS JOIN LATERAL (
  SELECT sample, sample_event_id FROM unmatched_templates AS template
  WHERE template.fingerprint = grouped.fingerprint AND ($1::text IS NULL OR host = $1::text)
  ORDER BY template.event_count DESC, host LIMIT 1
) AS shown
CROSS JOIN LATERAL (
  SELECT array_agg(host) AS hosts FROM (
    SELECT host FROM unmatched_templates AS template
    WHERE template.fingerprint = grouped.fingerprint AND ($1::text IS NULL OR host = $1::text)
      AND ($2::bigint IS NULL OR last_seen >= to_timestamp($2::float8 / 1000))
    ORDER BY template.event_count DESC, host LIMIT $6::integer
  ) AS most
) AS named
ORDER BY grouped.event_count DESC, fingerprint
