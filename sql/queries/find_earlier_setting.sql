-- A value that a setting had, from the configuration audit.
-- $1 key; $2 version to look for, or null for what was there before the last change of the value.
-- Rows: one, or none when there was no such version or no change; value jsonb or null when it was not set.
SELECT CASE WHEN $2::integer IS NULL THEN old_values -> 'value' ELSE new_values -> 'value' END AS value
FROM config_audit_log
WHERE resource = 'settings' AND record_key = $1::text AND CASE
  WHEN $2::integer IS NULL THEN (old_values -> 'value') IS DISTINCT FROM (new_values -> 'value')
  ELSE (new_values ->> 'version')::integer = $2::integer
END
ORDER BY id DESC LIMIT 1
