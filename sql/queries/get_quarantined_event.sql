-- One quarantined event.
-- $1 event_id; $2 bytes of the body to show.
-- Rows: one or none; as `list_quarantined_events`.
SELECT event_id, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms,
  (extract(epoch FROM quarantined_at) * 1000)::bigint AS quarantined_ms,
  (extract(epoch FROM quarantined_at) * 1000000)::bigint AS quarantined_us, partition, attempts, reason, history, replays, state,
  (extract(epoch FROM resubmitted_at) * 1000)::bigint AS resubmitted_ms, octet_length(body) AS body_bytes, substring(body FROM 1 FOR $2::integer) AS body
FROM quarantined_events WHERE event_id = $1::text
