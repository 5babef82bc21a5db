-- Takes back what still waits of an operation: its letters are kept again. What is on its way stays so.
-- $1 id.
-- Rows: letters integer; none when there is no such operation, or none of it waits any more.
WITH operation AS (
  SELECT id FROM replay_operations WHERE id = $1::text AND dealt_at IS NULL FOR UPDATE
), back AS (
  UPDATE dead_letters SET state = 'kept', operation_id = NULL, edited_alert = NULL
  WHERE state = 'queued' AND operation_id IN (SELECT id FROM operation)
  RETURNING alert_id
)
UPDATE replay_operations AS canceled SET
  canceled_at = now(), dealt_at = now(), canceled_letters = (SELECT count(*) FROM back)
FROM operation WHERE canceled.id = operation.id
RETURNING canceled_letters AS letters
