-- Adds to templates of hosts, each once at most. In the order of their keys, so that two threads never wait for each
-- other. Who was quiet for the window is latched no more; who is not latched is, where a carrier is given.
-- $1 window (ms). Arrays of equal length: $2 host, $3 fingerprint, $4 partition, $5 program or null, $6 trap_oid or null,
-- $7 template, $8 sample, $9 sample_event_id, $10 events to add, $11 first and $12 last of them (ms since 1970),
-- $13 window_started_at (ms since 1970), $14 window_count, $15 latched_by or null, $16 alerted_at (ms since 1970) or null,
-- $17 alerts (jsonb). $18 whether the alerts are to be read back.
-- Rows: one per template, in no order; host text, fingerprint text, is_new boolean, latched_by text or null, alerted_ms
-- bigint or null, alerts jsonb or null.
INSERT INTO unmatched_templates AS stored (
  host, fingerprint, partition, program, trap_oid, template, sample, sample_event_id, event_count, first_seen, last_seen,
  window_started_at, window_count, latched_by, alerted_at, alerts
)
SELECT host, fingerprint, partition, program, trap_oid, template, sample, sample_event_id, event_count,
  to_timestamp(first_ms::float8 / 1000), to_timestamp(last_ms::float8 / 1000),
  to_timestamp(window_ms::float8 / 1000), window_count, latched_by, to_timestamp(alerted_ms::float8 / 1000), alerts
FROM unnest(
  $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[],
  $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::bigint[], $17::jsonb[]
) AS given (
  host, fingerprint, partition, program, trap_oid, template, sample, sample_event_id, event_count, first_ms, last_ms,
  window_ms, window_count, latched_by, alerted_ms, alerts
)
ORDER BY host, fingerprint
ON CONFLICT (host, fingerprint) DO UPDATE SET
  partition = excluded.partition,
  event_count = stored.event_count + excluded.event_count,
  first_seen = least(stored.first_seen, excluded.first_seen),
  last_seen = greatest(stored.last_seen, excluded.last_seen),
  window_started_at = excluded.window_started_at,
  window_count = excluded.window_count,
  (latched_by, alerted_at, alerts) = (
    SELECT
      CASE WHEN stands THEN stored.latched_by ELSE excluded.latched_by END,
      CASE WHEN stands OR excluded.latched_by IS NULL THEN stored.alerted_at ELSE excluded.alerted_at END,
      CASE WHEN stands OR excluded.latched_by IS NULL THEN stored.alerts ELSE excluded.alerts END
    FROM (
      SELECT stored.latched_by IS NOT NULL
        AND excluded.first_seen - stored.last_seen <= make_interval(secs => $1::float8 / 1000) AS stands
    ) AS latch
  )
RETURNING host, fingerprint, (xmax = 0) AS is_new, latched_by,
  (extract(epoch FROM alerted_at) * 1000)::bigint AS alerted_ms,
  CASE WHEN $18::boolean THEN alerts END AS alerts
