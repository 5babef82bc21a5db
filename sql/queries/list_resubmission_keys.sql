-- The API keys of the rejects of a resubmission.
-- $1 resubmission_id.
-- Rows: key_name text.
SELECT DISTINCT key_name FROM rejects WHERE resubmission_id = $1::text
