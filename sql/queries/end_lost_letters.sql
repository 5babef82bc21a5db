-- Ends letters whose alerts are in no mailbox of their partition any more and did not come back: they were taken, and
-- their receipts are lost.
-- $1 partition; $2 destination; $3 for how long they are on their way at least (ms); $4 store.
-- Rows: alert_id text.
WITH ended AS (
  UPDATE dead_letters AS letter SET state = 'delivered', ended_at = now(), is_given_up = false
  FROM dead_letter_replays AS replay
  WHERE letter.state = 'replayed' AND letter.store = $4::text AND letter.partition = $1::integer
    AND letter.destination = $2::text
    AND replay.alert_id = letter.alert_id AND replay.nth = letter.replays
    AND replay.replayed_at < now() - $3::float8 * interval '1 millisecond'
  RETURNING letter.alert_id
)
UPDATE dead_letter_replays AS replay SET outcome = 'delivered', ended_at = now()
FROM ended WHERE replay.alert_id = ended.alert_id AND replay.outcome IS NULL
RETURNING replay.alert_id
