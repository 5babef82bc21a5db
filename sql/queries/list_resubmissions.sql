-- Unfinished resubmissions of one store, the oldest first.
-- $1 store; $2 begun at least so long ago (ms); $3 how many at most.
-- Rows: id text.
SELECT id FROM resubmissions
WHERE store = $1::text AND begun_at <= now() - $2::float8 * interval '1 millisecond'
ORDER BY begun_at, id LIMIT $3::integer
