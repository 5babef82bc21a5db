-- Gives a rule new values, the next version and life again if it was deleted; does nothing when it has them already.
-- $1 id; $2 to $24 as in insert_rule; $25 whether a suspended rule gets its next version all the same.
-- Rows: one, or none when nothing changed; id integer, version integer, row_values jsonb (all columns).
UPDATE alert_rules SET
  name = $2::text, match_string = $3::text, match_type = $4::text, case_sensitive = $5::boolean, trap_oid = $6::text,
  syslog_severity = $7::smallint, severity_op = $8::text, host = $9::text, program = $10::text,
  facility = $11::smallint, network = $12::text, priority = $13::integer, continue = $14::boolean,
  prod_handling = $15::text, dev_handling = $16::text, team_assignment = $17::text, severity = $18::smallint,
  signature = $19::text, clears = $20::integer, active_from = $21::timestamptz, active_until = $22::timestamptz,
  is_active = $23::boolean, tests = $24::jsonb,
  version = version + 1, updated_at = now(), deleted_at = NULL
WHERE id = $1::integer AND (deleted_at IS NOT NULL OR ($25::boolean AND EXISTS (
  SELECT FROM rule_suspensions WHERE rule_id = id AND rule_version = version
)) OR ROW(
  name, match_string, match_type, case_sensitive, trap_oid, syslog_severity, severity_op, host, program, facility,
  network, priority, continue, prod_handling, dev_handling, team_assignment, severity, signature, clears, active_from,
  active_until, is_active, tests
) IS DISTINCT FROM ROW(
  $2::text, $3::text, $4::text, $5::boolean, $6::text, $7::smallint, $8::text, $9::text, $10::text, $11::smallint,
  $12::text, $13::integer, $14::boolean, $15::text, $16::text, $17::text, $18::smallint, $19::text, $20::integer,
  $21::timestamptz, $22::timestamptz, $23::boolean, $24::jsonb
))
RETURNING id, version, to_jsonb(alert_rules) AS row_values
