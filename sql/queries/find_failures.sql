-- What is behind ids: rejects with what a resubmission needs to know, but without their bodies, and quarantined events.
-- $1 ids.
-- Rows: one per id that there is; id text, kind text, state text or null, body_bytes bigint, resubmission_id text or
-- null, store text or null (of the resubmission under way).
SELECT rejects.id, 'reject' AS kind, state, body_bytes, resubmission_id, store
FROM rejects LEFT JOIN resubmissions ON resubmissions.id = rejects.resubmission_id
WHERE rejects.id = ANY ($1::text[])
UNION ALL
SELECT event_id, 'quarantine', NULL, octet_length(body), NULL, NULL
FROM quarantined_events WHERE event_id = ANY ($1::text[])
