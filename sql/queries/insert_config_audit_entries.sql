-- Appends entries in the order given; the table's trigger seals each.
-- $1 entries: JSON array of {operation, resource, record_key, old_values, new_values}; $2 changed_by; $3 reason or
-- null; $4 correlation_id or null.
-- Rows: none.
INSERT INTO config_audit_log (
  changed_by, operation, resource, record_key, old_values, new_values, reason, correlation_id
)
SELECT $2::text, operation, resource, record_key, nullif(old_values, 'null'), nullif(new_values, 'null'),
  $3::text, $4::text
FROM ROWS FROM (
  jsonb_to_recordset($1::jsonb)
    AS (operation text, resource text, record_key text, old_values jsonb, new_values jsonb)
) WITH ORDINALITY AS given (operation, resource, record_key, old_values, new_values, nth)
ORDER BY nth
