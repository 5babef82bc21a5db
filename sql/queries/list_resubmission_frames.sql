-- The frames of a resubmission of one store, in the order they are sent; none when it is finished.
-- $1 resubmission_id; $2 store.
-- Rows: partition integer, sequence integer, events integer, frame bytea.
SELECT partition, sequence, events, frame
FROM resubmission_frames JOIN resubmissions ON resubmissions.id = resubmission_id
WHERE resubmission_id = $1::text AND store = $2::text
ORDER BY partition, sequence
