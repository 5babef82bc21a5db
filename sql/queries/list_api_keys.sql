-- Keys as people see them, revoked and expired ones too, without HMACs.
-- $1 name, or null for all of them; $2 the name after which to begin, or null; $3 how many at most.
-- Rows: name text, scopes text[], pepper_fingerprint text, event_ids boolean, and in ms since 1970: created_ms bigint, and expires_ms,
-- revoked_ms and previous_expires_ms bigint or null.
SELECT name, scopes, pepper_fingerprint, event_ids,
  (extract(epoch FROM created_at) * 1000)::bigint AS created_ms,
  (extract(epoch FROM expires_at) * 1000)::bigint AS expires_ms,
  (extract(epoch FROM revoked_at) * 1000)::bigint AS revoked_ms,
  (extract(epoch FROM previous_expires_at) * 1000)::bigint AS previous_expires_ms
FROM api_keys
WHERE ($1::text IS NULL OR name = $1::text) AND ($2::text IS NULL OR name > $2::text)
ORDER BY name LIMIT $3::integer
