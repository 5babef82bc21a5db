-- What is kept and what was dropped, per API key.
-- Rows: key_name text, kept_rows bigint, kept_bytes bigint, dropped_rows bigint, dropped_bytes bigint.
SELECT key_name, kept_rows, kept_bytes, dropped_rows, dropped_bytes FROM reject_totals ORDER BY key_name
