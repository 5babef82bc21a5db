-- A rule as it was at one of its versions, from the configuration audit.
-- $1 id, as text; $2 version, or null for the one before the present.
-- Rows: one, or none when there was no such version or it is not kept; version integer, values jsonb (all columns).
SELECT (new_values ->> 'version')::integer AS version, new_values AS values
FROM config_audit_log
WHERE resource = 'alert_rules' AND record_key = $1::text AND new_values IS NOT NULL AND CASE
  WHEN $2::integer IS NULL THEN (new_values ->> 'version')::integer
    < (SELECT rule.version FROM alert_rules AS rule WHERE rule.id = $1::integer)
  ELSE (new_values ->> 'version')::integer = $2::integer
END
ORDER BY id DESC LIMIT 1
