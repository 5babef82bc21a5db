-- $1 host names, case-folded.
-- Rows: one per host that was there; record_key text, old_values jsonb.
DELETE FROM device_teams WHERE hostname = ANY ($1::text[])
RETURNING hostname AS record_key, to_jsonb(device_teams) AS old_values
