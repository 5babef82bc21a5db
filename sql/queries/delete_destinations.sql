-- $1 names.
-- Rows: one per destination that was there; record_key text, old_values jsonb.
DELETE FROM destinations WHERE name = ANY ($1::text[])
RETURNING name AS record_key, to_jsonb(destinations) AS old_values
