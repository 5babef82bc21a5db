-- What is set.
-- $1 key, or null for all of them; $2 whether only those that are being watched.
-- Rows: key text, value jsonb, version integer, guard jsonb or null, updated_ms bigint (ms since 1970), updated_by text.
SELECT key, value, version, guard, (extract(epoch FROM updated_at) * 1000)::bigint AS updated_ms, updated_by
FROM settings
WHERE ($1::text IS NULL OR key = $1::text) AND (guard IS NOT NULL OR NOT $2::boolean)
ORDER BY key
