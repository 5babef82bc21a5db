-- The API keys that rejects are of.
-- $1 ids.
-- Rows: key_name text.
SELECT DISTINCT key_name FROM rejects WHERE id = ANY ($1::text[])
