-- Gives the unfinished resubmissions of a store that is gone to another one, which sends their frames. One with frames for
-- a partition that the other does not have stays.
-- $1 the store that is gone; $2 the other one; $3 its partitions.
-- Rows: id text.
UPDATE resubmissions SET store = $2::text
WHERE store = $1::text AND NOT EXISTS (
  SELECT FROM resubmission_frames WHERE resubmission_id = resubmissions.id AND partition >= $3::integer
)
RETURNING id
