-- What is known of templates of some partitions, for a thread that begins: the latched ones first, then those with most
-- events in their windows. Alerts only of the last day: who carries older ones is not waiting any more.
-- $1 partitions (integer[]); $2 seen since (ms since 1970); $3 how many at most.
-- Rows: host text, partition integer, program text or null, trap_oid text or null, template text, sample text,
-- sample_event_id text, window_ms bigint, window_count bigint, last_ms bigint (times in ms since 1970), latched_by text or
-- null, alerts jsonb.
SELECT host, partition, program, trap_oid, template, sample, sample_event_id,
  (extract(epoch FROM window_started_at) * 1000)::bigint AS window_ms, window_count,
  (extract(epoch FROM last_seen) * 1000)::bigint AS last_ms, latched_by,
  CASE WHEN alerted_at > now() - interval '1 day' THEN alerts ELSE '[]' END AS alerts
FROM unmatched_templates
WHERE partition = ANY ($1::integer[]) AND last_seen >= to_timestamp($2::float8 / 1000)
ORDER BY latched_by IS NULL, window_count DESC, host, fingerprint LIMIT $3::integer
