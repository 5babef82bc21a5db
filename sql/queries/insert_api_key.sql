-- Stores a key by its HMAC; a name or HMAC that is taken is left alone.
-- $1 name, $2 scopes, $3 hmac (bytea, 32 bytes), $4 expires_at (ms since 1970) or null, $5 pepper_fingerprint,
-- $6 event_ids.
-- Rows: one, or none when the name or the HMAC is taken; new_values jsonb, without HMACs.
INSERT INTO api_keys (name, scopes, hmac, expires_at, pepper_fingerprint, event_ids)
SELECT $1::text, $2::text[], $3::bytea, to_timestamp($4::float8 / 1000), $5::text, $6::boolean
WHERE NOT EXISTS (SELECT FROM api_keys WHERE previous_hmac = $3::bytea)
ON CONFLICT DO NOTHING
RETURNING to_jsonb(api_keys) - ARRAY['hmac', 'previous_hmac'] AS new_values
