-- Says of letters that may heal when they are replayed without a person: the wait doubles with every time that they were,
-- up to a limit, and the half of it is left to chance. One that was replayed too often is given up. The time of the failure
-- is by the clock of a node: one that was ahead must not have its letters wait until that time has come.
-- $1 partitions; $2 reasons that may heal; $3 the first wait (ms); $4 the longest (ms); $5 replays of one letter at most;
-- $6 letters at a time; $7 store.
-- Rows: destination text, is_given_up boolean, letters bigint.
WITH planned AS (
  UPDATE dead_letters SET
    is_given_up = automatic_replays >= $5::integer,
    retry_at = CASE WHEN automatic_replays < $5::integer THEN least(last_failed_at, now())
      + least($4::float8, $3::float8 * 2 ^ least(automatic_replays, 30)) * (1 - random() / 2) * interval '1 millisecond'
    END
  WHERE alert_id IN (
    SELECT alert_id FROM dead_letters
    WHERE state = 'kept' AND retry_at IS NULL AND NOT is_given_up AND store = $7::text AND partition = ANY ($1::integer[])
      AND reason = ANY ($2::text[])
    LIMIT $6::integer FOR UPDATE SKIP LOCKED
  )
  RETURNING destination, is_given_up
)
SELECT destination, is_given_up, count(*) AS letters FROM planned GROUP BY 1, 2
