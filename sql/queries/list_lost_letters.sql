-- Where letters have been on their way for so long that their receipts may be lost.
-- $1 partitions; $2 for how long at least (ms); $3 store.
-- Rows: partition integer, destination text; each pair once.
SELECT DISTINCT letter.partition, letter.destination
FROM dead_letters AS letter JOIN dead_letter_replays AS replay
  ON replay.alert_id = letter.alert_id AND replay.nth = letter.replays
WHERE letter.state = 'replayed' AND letter.store = $3::text AND letter.partition = ANY ($1::integer[])
  AND replay.replayed_at < now() - $2::float8 * interval '1 millisecond'
