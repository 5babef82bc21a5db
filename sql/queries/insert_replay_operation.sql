-- $1 id; $2 begun_by; $3 reason or null; $4 selection (JSON as text); $5 letters; $6 per_second.
-- Rows: none.
INSERT INTO replay_operations (id, begun_by, reason, selection, letters, per_second)
VALUES ($1::text, $2::text, $3::text, $4::jsonb, $5::integer, $6::float8)
