-- Stores a key by its HMAC; a name or HMAC that is taken is left alone.
-- $1 name, $2 scopes, $3 hmac (bytea, 32 bytes), $4 expires_at (ms since 1970) or null.
-- Rows: one, or none when the name or the HMAC is taken; new_values jsonb, without the HMAC.
INSERT INTO api_keys (name, scopes, hmac, expires_at)
VALUES ($1::text, $2::text[], $3::bytea, to_timestamp($4::float8 / 1000))
ON CONFLICT DO NOTHING
RETURNING to_jsonb(api_keys) - 'hmac' AS new_values
