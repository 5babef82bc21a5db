-- Ends letters that are on their way and have a receipt by now, or will have none, since their destination has taken a later
-- alert of their signature: they are not sent any more.
-- $1 partitions; $2 destinations; $3 store.
-- Rows: destination text, is_automatic boolean, outcome text (delivered or superseded), letters bigint.
WITH known AS (
  SELECT letter.alert_id, own.delivered_at
  FROM dead_letters AS letter, LATERAL (
    SELECT min(delivered_at) AS delivered_at FROM alert_receipts
    WHERE alert_id = letter.alert_id AND unsent_reason IS NULL
  ) AS own
  WHERE letter.state = 'replayed' AND letter.store = $3::text AND letter.partition = ANY ($1::integer[])
    AND letter.destination = ANY ($2::text[])
    AND (own.delivered_at IS NOT NULL OR EXISTS (
      SELECT FROM alert_receipts AS receipt
      WHERE receipt.signature_hash = letter.signature_hash AND receipt.received_at >= letter.alert_at
      AND (receipt.received_at > letter.alert_at OR alert_order(receipt.event_ids[1]) > letter.alert_order)
        AND receipt.destination = letter.destination
    ))
), ended AS (
  UPDATE dead_letters AS letter SET
    state = CASE WHEN known.delivered_at IS NULL THEN 'superseded' ELSE 'delivered' END,
    ended_at = coalesce(known.delivered_at, now()),
    is_given_up = false
  FROM known WHERE letter.alert_id = known.alert_id AND letter.state = 'replayed'
  RETURNING letter.alert_id, letter.destination, letter.state, letter.ended_at
), noted AS (
  UPDATE dead_letter_replays AS replay SET outcome = ended.state, ended_at = ended.ended_at
  FROM ended WHERE replay.alert_id = ended.alert_id AND replay.outcome IS NULL
  RETURNING ended.destination, ended.state AS outcome, replay.operation_id IS NULL AS is_automatic
)
SELECT destination, is_automatic, outcome, count(*) AS letters FROM noted GROUP BY 1, 2, 3
