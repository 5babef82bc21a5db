-- Removes quarantined events, but for those that are being resubmitted.
-- $1 event_ids.
-- Rows: one per event that is gone; id text, old_values jsonb (what the audit says of it: no body, its SHA-256 in hex).
DELETE FROM quarantined_events WHERE event_id = ANY ($1::text[]) AND state <> 'resubmitting'
RETURNING event_id AS id, jsonb_build_object(
  'state', state, 'reason', reason, 'history', history, 'attempts', attempts, 'received_at', received_at,
  'quarantined_at', quarantined_at, 'body_bytes', octet_length(body), 'body_sha256', encode(sha256(body), 'hex')
) AS old_values
