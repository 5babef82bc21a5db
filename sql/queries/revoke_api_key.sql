-- Ends a key. Its row stays, so that its name is never taken again.
-- $1 name.
-- Rows: one, or none when there is no such key or it was revoked before; old_values and new_values jsonb, without HMACs.
WITH before AS (
  SELECT name, to_jsonb(api_keys) - ARRAY['hmac', 'previous_hmac'] AS old_values FROM api_keys WHERE name = $1::text
)
UPDATE api_keys AS key SET revoked_at = now() FROM before
WHERE key.name = before.name AND key.revoked_at IS NULL
RETURNING before.old_values, to_jsonb(key) - ARRAY['hmac', 'previous_hmac'] AS new_values
