-- Drops the oldest rejects of one key until at least so many rows and bytes are gone, and counts them.
-- $1 key_name, $2 rows to drop, $3 bytes to drop.
-- Rows: one; dropped_rows bigint, dropped_bytes bigint.
WITH aged AS (
  SELECT id,
    row_number() OVER oldest_first AS nth,
    sum(body_bytes) OVER oldest_first - body_bytes AS bytes_before
  FROM rejects WHERE key_name = $1::text
  WINDOW oldest_first AS (ORDER BY received_at, id ROWS UNBOUNDED PRECEDING)
), gone AS (
  DELETE FROM rejects USING aged
  WHERE rejects.id = aged.id AND (aged.nth <= $2::bigint OR aged.bytes_before < $3::bigint)
  RETURNING rejects.body_bytes
), counted AS (
  SELECT count(*) AS gone_rows, coalesce(sum(body_bytes), 0)::bigint AS gone_bytes FROM gone
)
UPDATE reject_totals AS totals SET
  kept_rows = totals.kept_rows - gone_rows,
  kept_bytes = totals.kept_bytes - gone_bytes,
  dropped_rows = totals.dropped_rows + gone_rows,
  dropped_bytes = totals.dropped_bytes + gone_bytes
FROM counted WHERE totals.key_name = $1::text
RETURNING gone_rows AS dropped_rows, gone_bytes AS dropped_bytes
