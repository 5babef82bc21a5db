-- $1 name, or null for all of them; $2 the name after which to begin, or null; $3 how many at most, or null.
-- Rows: name text, kind text, url text, secret_ref text or null, routes jsonb, rate_per_second float8,
-- concurrency integer, timeout_ms integer, auth text or null, template text or null, content_type text or null,
-- resolve_after_ms bigint or null, stale_after_ms integer or null, collapse boolean, hold jsonb or null (see migration
-- 0013), version integer, updated_ms bigint (ms since 1970).
SELECT name, kind, url, secret_ref, routes, rate_per_second, concurrency, timeout_ms, auth, template, content_type,
  resolve_after_ms, stale_after_ms, collapse, hold, version,
  (extract(epoch FROM updated_at) * 1000)::bigint AS updated_ms
FROM destinations
WHERE ($1::text IS NULL OR name = $1::text) AND ($2::text IS NULL OR name > $2::text)
ORDER BY name LIMIT $3::integer
