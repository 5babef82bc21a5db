-- Rows: one; keys bigint, how many are neither revoked nor expired.
SELECT count(*) AS keys FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
