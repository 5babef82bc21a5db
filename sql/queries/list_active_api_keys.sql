-- The keys that are neither revoked nor expired, each with the one it replaced as long as that works.
-- $1 now (ms since 1970).
-- Rows: name text, scopes text[], hmac bytea, expires_ms bigint (ms since 1970) or null, previous_hmac bytea or null,
-- previous_expires_ms bigint (ms since 1970) or null, pepper_fingerprint text, event_ids boolean.
SELECT name, scopes, hmac, (extract(epoch FROM expires_at) * 1000)::bigint AS expires_ms,
  CASE WHEN previous_expires_at > to_timestamp($1::float8 / 1000) THEN previous_hmac END AS previous_hmac,
  (extract(epoch FROM previous_expires_at) * 1000)::bigint AS previous_expires_ms, pepper_fingerprint, event_ids
FROM api_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > to_timestamp($1::float8 / 1000))
ORDER BY name
