-- Letters that wait are to be thrown away; they are once the ledger knows.
-- $1 alert_ids.
-- Rows: one per letter that is; id text, old_values jsonb (what the audit says of it).
UPDATE dead_letters SET state = 'discarding', retry_at = NULL
WHERE alert_id = ANY ($1::text[]) AND state = 'kept'
RETURNING alert_id AS id, jsonb_build_object(
  'state', 'kept', 'destination', destination, 'reason', reason, 'error', error, 'attempts', attempts,
  'replays', replays, 'signature', alert ->> 'signature', 'event_ids', alert -> 'event_ids',
  'first_failed_at', first_failed_at, 'last_failed_at', last_failed_at
) AS old_values
