-- Writes a resubmission down, with its frames.
-- $1 id; $2 store. Arrays of equal length: $3 partition, $4 sequence, $5 events, $6 frame (bytea).
-- Rows: none.
WITH made AS (
  INSERT INTO resubmissions (id, store) VALUES ($1::text, $2::text)
)
INSERT INTO resubmission_frames (resubmission_id, partition, sequence, events, frame)
SELECT $1::text, partition, sequence, events, frame
FROM unnest($3::integer[], $4::integer[], $5::integer[], $6::bytea[]) AS given (partition, sequence, events, frame)
