-- $1 id.
-- Rows: one, or none when there is no such living rule; those of list_rules.
SELECT id, name, version, match_string, match_type, case_sensitive, trap_oid, syslog_severity, severity_op, host,
  program, facility, network, priority, continue, prod_handling, dev_handling, team_assignment, severity, signature,
  clears,
  to_char(active_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS active_from,
  to_char(active_until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS active_until,
  is_active, tests
FROM alert_rules WHERE id = $1::integer AND deleted_at IS NULL
