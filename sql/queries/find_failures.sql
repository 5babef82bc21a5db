-- What is behind ids: rejects and quarantined events with what a resubmission needs to know, but without their bodies, and
-- dead letters.
-- $1 ids.
-- Rows: one per id that there is; id text, kind text, state text or null (of a quarantined event that waits, too: parked),
-- body_bytes bigint, resubmission_id text or null, store text or null (of the resubmission under way).
SELECT rejects.id, 'reject' AS kind, state, body_bytes, resubmission_id, store
FROM rejects LEFT JOIN resubmissions ON resubmissions.id = rejects.resubmission_id
WHERE rejects.id = ANY ($1::text[])
UNION ALL
SELECT event_id, 'quarantine', CASE state WHEN 'quarantined' THEN 'parked' ELSE state END, octet_length(body),
  resubmission_id, store
FROM quarantined_events LEFT JOIN resubmissions ON resubmissions.id = quarantined_events.resubmission_id
WHERE event_id = ANY ($1::text[])
UNION ALL
SELECT alert_id, 'dead_letter', NULL, 0, NULL, NULL
FROM dead_letters WHERE alert_id = ANY ($1::text[])
