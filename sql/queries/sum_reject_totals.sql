-- What is kept of all API keys together. Reads one row per key and no reject.
-- Rows: one; kept_rows bigint, kept_bytes bigint.
SELECT coalesce(sum(kept_rows), 0)::bigint AS kept_rows, coalesce(sum(kept_bytes), 0)::bigint AS kept_bytes
FROM reject_totals
