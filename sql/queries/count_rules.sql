-- Rows: one; rules integer, the number of living rules, active or not.
SELECT count(*)::integer AS rules FROM alert_rules WHERE deleted_at IS NULL
