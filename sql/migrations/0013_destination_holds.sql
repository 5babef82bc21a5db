-- What is decided about the alerts that wait for a destination: how old they may get, whether only the latest of each
-- signature counts after an outage, and that nothing is sent for a while. All of it is added without touching a row, and
-- a program that does not know it goes on.

-- An alert that was received longer ago is not sent any more; null: however long ago.
ALTER TABLE destinations ADD COLUMN stale_after_ms integer
  CONSTRAINT destinations_stale_after_positive CHECK (stale_after_ms > 0);
ALTER TABLE destinations ADD COLUMN collapse boolean NOT NULL DEFAULT true;
-- {kind (pause, mute), until_ms or null, reason, since_ms, by}: a person's decision, void from until_ms on.
ALTER TABLE destinations ADD COLUMN hold jsonb
  CONSTRAINT destinations_hold_is_whole CHECK (
    jsonb_typeof(hold) = 'object' AND hold ->> 'kind' IN ('pause', 'mute')
    AND hold ? 'until_ms' AND hold ? 'reason' AND hold ? 'since_ms' AND hold ? 'by'
  );

-- An alert may end without being sent: muted, stale, or superseded. Then nothing was answered (status 0) and it may have
-- had no attempt. Null: its destination took it.
ALTER TABLE alert_receipts ADD COLUMN unsent_reason text
  CONSTRAINT alert_receipts_unsent_reason_known CHECK (unsent_reason IN ('muted', 'stale', 'superseded'));
ALTER TABLE alert_receipts DROP CONSTRAINT alert_receipts_attempts_positive;
