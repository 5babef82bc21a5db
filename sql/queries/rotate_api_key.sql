-- Gives a key that works another HMAC; the present one works until its time.
-- $1 name, $2 hmac (bytea, 32 bytes), $3 until when the present one works (ms since 1970).
-- Rows: one, or none when no key of this name works; old_values and new_values jsonb, without HMACs.
WITH before AS (
  SELECT name, to_jsonb(api_keys) - ARRAY['hmac', 'previous_hmac'] AS old_values FROM api_keys WHERE name = $1::text
)
UPDATE api_keys AS key SET
  previous_hmac = key.hmac, previous_expires_at = least(to_timestamp($3::float8 / 1000), key.expires_at),
  hmac = $2::bytea
FROM before
WHERE key.name = before.name AND key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > now())
RETURNING before.old_values, to_jsonb(key) - ARRAY['hmac', 'previous_hmac'] AS new_values
