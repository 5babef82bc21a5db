-- $1 key.
-- Rows: one, or none when it was not set; old_values jsonb.
DELETE FROM settings WHERE key = $1::text RETURNING to_jsonb(settings) AS old_values
