-- Removes rejects and counts them, but for those that are being resubmitted.
-- $1 ids.
-- Rows: one per reject that is gone; id text, old_values jsonb (what the audit says of it: no body, its SHA-256 in hex).
WITH gone AS (
  DELETE FROM rejects WHERE id = ANY ($1::text[]) AND state <> 'resubmitting'
  RETURNING id, key_name, body_bytes, jsonb_build_object(
    'state', state, 'key_name', key_name, 'sender', sender, 'correlation_id', correlation_id, 'code', code,
    'message', message, 'received_at', received_at, 'body_bytes', body_bytes,
    'body_sha256', encode(sha256(body), 'hex')
  ) AS old_values
), per_key AS (
  SELECT key_name, count(*) AS gone_rows, sum(body_bytes)::bigint AS gone_bytes FROM gone GROUP BY key_name
), counted AS (
  UPDATE reject_totals AS totals SET
    kept_rows = totals.kept_rows - gone_rows,
    kept_bytes = totals.kept_bytes - gone_bytes,
    discarded_rows = totals.discarded_rows + gone_rows,
    discarded_bytes = totals.discarded_bytes + gone_bytes
  FROM per_key WHERE totals.key_name = per_key.key_name
)
SELECT id, old_values FROM gone ORDER BY id
