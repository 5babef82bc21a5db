-- $1 host name, or null for all of them; $2 the host name after which to begin, or null; $3 how many at most.
-- Rows: hostname text (case-folded), team text, version integer, updated_ms bigint (ms since 1970).
SELECT hostname, team, version, (extract(epoch FROM updated_at) * 1000)::bigint AS updated_ms
FROM device_teams
WHERE ($1::text IS NULL OR hostname = $1::text) AND ($2::text IS NULL OR hostname > $2::text)
ORDER BY hostname LIMIT $3::integer
