-- All living rules, active or not, in the order they are tried.
-- Rows: the fields of a rule as published; active_from and active_until in RFC 3339, UTC;
-- suspended jsonb {at, reason, event_id}, or null.
SELECT id, name, version, match_string, match_type, case_sensitive, trap_oid, syslog_severity, severity_op, host,
  program, facility, network, priority, continue, prod_handling, dev_handling, team_assignment, severity, signature,
  clears,
  to_char(active_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS active_from,
  to_char(active_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS active_until,
  is_active, tests,
  CASE WHEN rule_id IS NOT NULL THEN jsonb_build_object(
    'at', to_char(suspended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'reason', reason, 'event_id', event_id
  ) END AS suspended
FROM alert_rules LEFT JOIN rule_suspensions ON rule_id = id AND rule_version = version
WHERE deleted_at IS NULL ORDER BY priority, id
