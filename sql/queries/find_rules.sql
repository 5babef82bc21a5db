-- Rules by id (deleted ones too) or by name (living ones).
-- $1 ids, $2 names.
-- Rows: id integer, name text, version integer, is_deleted boolean, row_values jsonb (all columns).
SELECT id, name, version, deleted_at IS NOT NULL AS is_deleted, to_jsonb(alert_rules) AS row_values
FROM alert_rules
WHERE id = ANY ($1::integer[]) OR (name = ANY ($2::text[]) AND deleted_at IS NULL)
