-- Suspends a version of a rule, unless it is so already or there is another one by now. Lock config_version first.
-- $1 rule_id, $2 rule_version, $3 suspended_by, $4 reason, $5 event_id.
-- Rows: one, or none when nothing was to do; old_values jsonb (of the suspension before, or null), new_values jsonb.
WITH before AS (
  SELECT to_jsonb(rule_suspensions) AS old_values FROM rule_suspensions WHERE rule_id = $1::integer
)
INSERT INTO rule_suspensions AS suspension (rule_id, rule_version, suspended_by, reason, event_id)
SELECT id, version, $3::text, $4::text, $5::text FROM alert_rules
WHERE id = $1::integer AND version = $2::integer AND deleted_at IS NULL
ON CONFLICT (rule_id) DO UPDATE SET
  rule_version = excluded.rule_version, suspended_at = now(), suspended_by = excluded.suspended_by,
  reason = excluded.reason, event_id = excluded.event_id
  WHERE suspension.rule_version <> excluded.rule_version
RETURNING (SELECT old_values FROM before) AS old_values, to_jsonb(suspension) AS new_values
