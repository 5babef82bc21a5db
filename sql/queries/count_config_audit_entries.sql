-- Rows: one; entries bigint.
SELECT count(*) AS entries FROM config_audit_log
