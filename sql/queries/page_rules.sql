-- Living rules, in the order they are tried.
-- $1 priority and $2 id of the rule after which to begin, or null; $3 part of a name, pattern, OID, host, program or
-- team, whatever its case, or null; $4 team or null; $5 is_active or null; $6 how many at most.
-- Rows: those of list_rules.
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
WHERE deleted_at IS NULL
  AND ($2::integer IS NULL OR (priority, id) > ($1::integer, $2::integer))
  AND ($3::text IS NULL OR strpos(
    lower(concat_ws(chr(10), name, match_string, trap_oid, host, program, team_assignment)), lower($3::text)
  ) > 0)
  AND ($4::text IS NULL OR team_assignment = $4::text)
  AND ($5::boolean IS NULL OR is_active = $5::boolean)
ORDER BY priority, id LIMIT $6::integer
