-- One reject.
-- $1 id; $2 bytes of the body to show.
-- Rows: one or none; as `list_rejects`.
SELECT id, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, key_name, sender, correlation_id, position,
  code, message, state, replays, (extract(epoch FROM resubmitted_at) * 1000)::bigint AS resubmitted_ms, body_bytes,
  substring(body FROM 1 FOR $2::integer) AS body
FROM rejects WHERE id = $1::text
