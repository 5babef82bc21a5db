-- Gives parked rejects and quarantined events to a resubmission. One that somebody else has in hand is left to them: nobody
-- waits here.
-- $1 ids; $2 resubmission_id.
-- Rows: one per reject or event that is claimed; id text.
WITH events AS (
  UPDATE quarantined_events SET state = 'resubmitting', resubmission_id = $2::text
  FROM (
    SELECT event_id FROM quarantined_events
    WHERE event_id = ANY ($1::text[]) AND state = 'quarantined' FOR UPDATE SKIP LOCKED
  ) AS free
  WHERE quarantined_events.event_id = free.event_id
  RETURNING quarantined_events.event_id AS id
), parked AS (
  UPDATE rejects SET state = 'resubmitting', resubmission_id = $2::text
  FROM (
    SELECT id FROM rejects WHERE id = ANY ($1::text[]) AND state = 'parked' FOR UPDATE SKIP LOCKED
  ) AS free
  WHERE rejects.id = free.id
  RETURNING rejects.id
)
SELECT id FROM parked UNION ALL SELECT id FROM events
