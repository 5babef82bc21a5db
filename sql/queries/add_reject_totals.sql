-- Adds what was parked to the totals, and locks them until the transaction ends. In the order of the names, so that
-- two transactions never wait for each other.
-- Arrays of equal length: $1 key_name, $2 rows, $3 bytes.
-- Rows: one per key; key_name text, kept_rows bigint, kept_bytes bigint.
INSERT INTO reject_totals AS totals (key_name, kept_rows, kept_bytes)
SELECT key_name, parked_rows, parked_bytes
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS given (key_name, parked_rows, parked_bytes)
ORDER BY key_name
ON CONFLICT (key_name) DO UPDATE SET
  kept_rows = totals.kept_rows + excluded.kept_rows,
  kept_bytes = totals.kept_bytes + excluded.kept_bytes
RETURNING key_name, kept_rows, kept_bytes
