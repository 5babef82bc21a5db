-- Creates the audit partition of one month unless it exists, moving its rows out of the default partition first.
-- $1 a day of the month, YYYY-MM-DD.
-- Rows: one; is_new boolean, moved bigint (rows).
SELECT is_new, moved FROM create_event_audit_month($1::date)
