-- Takes rules out of life; their rows stay, since audit rows name them.
-- $1 ids.
-- Rows: one per rule that was alive; record_key text, old_values jsonb.
WITH before AS (
  SELECT id, to_jsonb(alert_rules) AS old_values FROM alert_rules
  WHERE id = ANY ($1::integer[]) AND deleted_at IS NULL
)
UPDATE alert_rules AS rule SET deleted_at = now(), updated_at = now(), version = version + 1
FROM before WHERE rule.id = before.id
RETURNING rule.id::text AS record_key, before.old_values
