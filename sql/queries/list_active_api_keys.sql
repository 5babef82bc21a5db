-- The keys that are neither revoked nor expired.
-- $1 now (ms since 1970).
-- Rows: name text, scopes text[], hmac bytea, expires_ms bigint (ms since 1970) or null.
SELECT name, scopes, hmac, (extract(epoch FROM expires_at) * 1000)::bigint AS expires_ms
FROM api_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > to_timestamp($1::float8 / 1000))
ORDER BY name
