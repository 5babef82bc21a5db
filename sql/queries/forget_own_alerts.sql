-- Removes troubles that nobody has seen for long.
-- $1 time limit (ms).
-- Rows: none.
DELETE FROM own_alerts WHERE observers = '{}'::jsonb AND seen_at < now() - $1::bigint * interval '1 millisecond'
