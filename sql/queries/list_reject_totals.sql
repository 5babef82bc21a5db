-- What is kept and what became of the rest, per API key.
-- Rows: key_name text, kept_rows bigint, kept_bytes bigint, dropped_rows bigint, dropped_bytes bigint, resubmitted_rows
-- bigint, discarded_rows bigint, discarded_bytes bigint.
SELECT key_name, kept_rows, kept_bytes, dropped_rows, dropped_bytes, resubmitted_rows, discarded_rows, discarded_bytes
FROM reject_totals ORDER BY key_name
