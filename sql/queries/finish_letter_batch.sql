-- Redis has released the batch: its letters are what they left as. One that has come back already stays what it is.
-- The batch is the only way to them: with conditions that an index has, PostgreSQL reads all letters of that state besides.
-- $1 id.
-- Rows: batch_end text, is_automatic boolean, letters bigint.
WITH ended AS (
  UPDATE dead_letters SET
    state = batch_end,
    batch_id = NULL,
    ended_at = CASE WHEN batch_end = 'replayed' THEN NULL ELSE now() END
  WHERE batch_id = $1::text AND (state = 'leaving') IS TRUE
  RETURNING alert_id, replays, batch_end, operation_id
), noted AS (
  UPDATE dead_letter_replays AS replay SET outcome = 'superseded', ended_at = now()
  FROM ended
  WHERE ended.batch_end = 'superseded' AND replay.alert_id = ended.alert_id AND replay.nth = ended.replays + 1
), gone AS (
  DELETE FROM dead_letter_batches WHERE id = $1::text
)
SELECT batch_end, operation_id IS NULL AS is_automatic, count(*) AS letters FROM ended GROUP BY 1, 2
