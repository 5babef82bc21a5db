-- Gives letters of a store that is gone to another one. What was on its way there either has a receipt, or is a letter
-- that waits again; what was to be discarded, or queued, stays that.
-- $1 the store that is gone; $2 the other one; $3 its partitions; $4 letters at most; $5 what became of replays that were
-- on their way.
-- Rows: letters integer; exactly one.
WITH taken AS (
  SELECT alert_id, state IN ('leaving', 'replayed') AND batch_end IS DISTINCT FROM 'discarded' AS was_sent,
    batch_end IS NOT DISTINCT FROM 'superseded' AND state = 'leaving' AS is_superseded, (
      SELECT min(delivered_at) FROM alert_receipts AS receipt
      WHERE receipt.alert_id = letter.alert_id AND unsent_reason IS NULL
        AND letter.state IN ('leaving', 'replayed')
    ) AS delivered_at
  FROM dead_letters AS letter
  WHERE store = $1::text AND state IN ('kept', 'queued', 'discarding', 'leaving', 'replayed')
  LIMIT $4::integer FOR UPDATE
), moved AS (
  UPDATE dead_letters AS letter SET
    store = $2::text,
    partition = letter.partition % $3::integer,
    state = CASE
      WHEN is_superseded THEN 'superseded'
      WHEN was_sent AND delivered_at IS NOT NULL THEN 'delivered'
      WHEN was_sent THEN 'kept'
      WHEN state = 'leaving' THEN 'discarding'
      ELSE state
    END,
    batch_id = NULL,
    operation_id = CASE WHEN was_sent AND NOT is_superseded AND delivered_at IS NULL THEN NULL ELSE operation_id END,
    edited_alert = CASE WHEN was_sent THEN NULL ELSE edited_alert END,
    retry_at = CASE WHEN was_sent THEN NULL ELSE retry_at END,
    ended_at = CASE WHEN is_superseded THEN now() WHEN was_sent THEN delivered_at END
  FROM taken WHERE letter.alert_id = taken.alert_id
  RETURNING letter.alert_id, letter.state, was_sent
), noted AS (
  UPDATE dead_letter_replays AS replay SET
    outcome = CASE WHEN moved.state = 'kept' THEN 'failed' ELSE moved.state END,
    error = CASE WHEN moved.state = 'kept' THEN $5::text END,
    ended_at = now()
  FROM moved WHERE was_sent AND replay.alert_id = moved.alert_id AND replay.outcome IS NULL
)
SELECT count(*)::integer AS letters FROM moved
