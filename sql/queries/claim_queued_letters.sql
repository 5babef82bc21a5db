-- Takes letters that an operation replays into a batch, the oldest alerts first; none while it is not known what becomes of
-- a later one of its signature that is on its way. One that is older than an alert of its signature which its destination
-- has taken is not replayed any more: it would reopen what is over.
-- The signature is the only way to its other letters: of a destination there are as many as an outage has made, and before
-- PostgreSQL has counted them it would read all of them for each.
-- $1 partition; $2 operation_id; $3 destination; $4 how many at most; $5 id of the batch; $6 store.
-- Rows: alert_id text; none when nothing was there, and there is no batch then.
WITH picked AS (
  SELECT alert_id FROM dead_letters AS letter
  WHERE store = $6::text AND partition = $1::integer AND operation_id = $2::text AND destination = $3::text
    AND state = 'queued'
    AND NOT EXISTS (
      SELECT FROM dead_letters AS later
      WHERE later.signature_hash = letter.signature_hash
        AND (later.alert_at, later.alert_order) > (letter.alert_at, letter.alert_order)
        AND later.state IN ('leaving', 'replayed')
        AND (later.destination = letter.destination AND later.store = letter.store) IS TRUE
    )
  ORDER BY alert_at, alert_order, alert_id LIMIT $4::integer FOR UPDATE
), batch AS (
  INSERT INTO dead_letter_batches (id, partition, store)
  SELECT $5::text, $1::integer, $6::text WHERE EXISTS (SELECT FROM picked)
), judged AS (
  SELECT alert_id, EXISTS (
    SELECT FROM alert_receipts AS receipt
    WHERE receipt.signature_hash = letter.signature_hash AND receipt.received_at >= letter.alert_at
      AND (receipt.received_at > letter.alert_at OR alert_order(receipt.event_ids[1]) > letter.alert_order)
      AND receipt.destination = letter.destination
  ) AS is_superseded
  FROM dead_letters AS letter WHERE alert_id IN (SELECT alert_id FROM picked)
), claimed AS (
  UPDATE dead_letters AS letter SET
    state = 'leaving',
    batch_id = $5::text,
    batch_end = CASE WHEN is_superseded THEN 'superseded' ELSE 'replayed' END,
    replays = replays + CASE WHEN is_superseded THEN 0 ELSE 1 END,
    is_given_up = false
  FROM judged WHERE letter.alert_id = judged.alert_id
  RETURNING letter.alert_id, replays, is_superseded, edited_alert IS NOT NULL AS is_edited
)
INSERT INTO dead_letter_replays (alert_id, nth, operation_id, is_edited)
SELECT alert_id, CASE WHEN is_superseded THEN replays + 1 ELSE replays END, $2::text, is_edited FROM claimed
RETURNING alert_id
