-- The hosts of one template that no rule matched, the most events first.
-- $1 fingerprint; $2 events and $3 host after which to begin, or null; $4 how many at most.
-- Rows: host text, event_count bigint, first_ms bigint, last_ms bigint, alerted_ms bigint or null (times in ms since 1970),
-- is_latched boolean, sample text, sample_event_id text.
SELECT host, event_count, (extract(epoch FROM first_seen) * 1000)::bigint AS first_ms,
  (extract(epoch FROM last_seen) * 1000)::bigint AS last_ms,
  (extract(epoch FROM alerted_at) * 1000)::bigint AS alerted_ms, latched_by IS NOT NULL AS is_latched, sample,
  sample_event_id
FROM unmatched_templates
WHERE fingerprint = $1::text
  AND ($2::bigint IS NULL OR event_count < $2::bigint OR (event_count = $2::bigint AND host > $3::text))
ORDER BY event_count DESC, host LIMIT $4::integer
