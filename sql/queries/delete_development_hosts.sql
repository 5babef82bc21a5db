-- $1 host names, case-folded.
-- Rows: one per host that was there; record_key text, old_values jsonb.
DELETE FROM development_hosts WHERE hostname = ANY ($1::text[])
RETURNING hostname AS record_key, to_jsonb(development_hosts) AS old_values
