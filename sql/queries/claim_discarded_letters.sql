-- Takes letters that somebody discarded into a batch.
-- $1 partition; $2 how many at most; $3 id of the batch; $4 store.
-- Rows: alert_id text; none when nothing was there, and there is no batch then.
WITH picked AS (
  SELECT alert_id FROM dead_letters
  WHERE store = $4::text AND partition = $1::integer AND state = 'discarding' ORDER BY alert_id LIMIT $2::integer FOR UPDATE
), batch AS (
  INSERT INTO dead_letter_batches (id, partition, store)
  SELECT $3::text, $1::integer, $4::text WHERE EXISTS (SELECT FROM picked)
)
UPDATE dead_letters AS letter SET state = 'leaving', batch_id = $3::text, batch_end = 'discarded'
FROM picked WHERE letter.alert_id = picked.alert_id
RETURNING letter.alert_id
