-- Creates a rule.
-- $1 id or null for the next free one, $2 name or null, $3 match_string, $4 match_type, $5 case_sensitive, $6 trap_oid,
-- $7 syslog_severity, $8 severity_op, $9 host, $10 program, $11 facility, $12 network, $13 priority, $14 continue,
-- $15 prod_handling, $16 dev_handling, $17 team_assignment, $18 severity, $19 signature, $20 clears, $21 active_from
-- (RFC 3339), $22 active_until (RFC 3339), $23 is_active, $24 tests (JSON array as text).
-- Rows: one; id integer, version integer, row_values jsonb (all columns).
INSERT INTO alert_rules (
  id, name, match_string, match_type, case_sensitive, trap_oid, syslog_severity, severity_op, host, program, facility,
  network, priority, continue, prod_handling, dev_handling, team_assignment, severity, signature, clears, active_from,
  active_until, is_active, tests
) VALUES (
  coalesce($1::integer, nextval(pg_get_serial_sequence('alert_rules', 'id'))), $2::text, $3::text, $4::text,
  $5::boolean, $6::text, $7::smallint, $8::text, $9::text, $10::text, $11::smallint, $12::text, $13::integer,
  $14::boolean, $15::text, $16::text, $17::text, $18::smallint, $19::text, $20::integer, $21::timestamptz,
  $22::timestamptz, $23::boolean, $24::jsonb
)
RETURNING id, version, to_jsonb(alert_rules) AS row_values
