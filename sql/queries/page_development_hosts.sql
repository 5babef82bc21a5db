-- $1 the host name after which to begin, or null; $2 how many at most.
-- Rows: hostname text (case-folded), created_ms bigint (ms since 1970).
SELECT hostname, (extract(epoch FROM created_at) * 1000)::bigint AS created_ms
FROM development_hosts WHERE $1::text IS NULL OR hostname > $1::text
ORDER BY hostname LIMIT $2::integer
