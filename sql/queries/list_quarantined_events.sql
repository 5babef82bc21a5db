-- Quarantined events, the newest first.
-- $1 from which time of quarantine (ms since 1970, included) or null; $2 quarantined_at (microseconds since 1970) and $3
-- event_id of the event after which to begin, or null; $4 bytes of the body to show; $5 how many at most.
-- Rows: event_id text, received_ms bigint and quarantined_ms bigint (ms since 1970), quarantined_us bigint (microseconds),
-- partition integer, attempts integer, reason text, history jsonb, replays integer, state text, resubmitted_ms bigint
-- or null, body_bytes integer, body bytea (its beginning).
SELECT event_id, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms,
  (extract(epoch FROM quarantined_at) * 1000)::bigint AS quarantined_ms,
  (extract(epoch FROM quarantined_at) * 1000000)::bigint AS quarantined_us, partition, attempts, reason, history, replays, state,
  (extract(epoch FROM resubmitted_at) * 1000)::bigint AS resubmitted_ms, octet_length(body) AS body_bytes, substring(body FROM 1 FOR $4::integer) AS body
FROM quarantined_events
WHERE quarantined_at >= coalesce(to_timestamp($1::float8 / 1000), '-infinity'::timestamptz)
  AND ($3::text IS NULL
    OR quarantined_at < 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'
    OR quarantined_at = 'epoch'::timestamptz + $2::bigint * interval '1 microsecond' AND event_id > $3::text)
ORDER BY quarantined_at DESC, event_id LIMIT $5::integer
