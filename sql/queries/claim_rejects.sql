-- Gives parked rejects to a resubmission. One that somebody else has in hand is left to them: nobody waits here.
-- $1 ids; $2 resubmission_id.
-- Rows: one per reject that is claimed; id text.
UPDATE rejects SET state = 'resubmitting', resubmission_id = $2::text
FROM (
  SELECT id FROM rejects WHERE id = ANY ($1::text[]) AND state = 'parked' FOR UPDATE SKIP LOCKED
) AS free
WHERE rejects.id = free.id
RETURNING rejects.id
