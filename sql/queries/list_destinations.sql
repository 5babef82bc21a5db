-- Rows: name text, kind text, url text, secret_ref text or null, routes jsonb, rate_per_second float8,
-- concurrency integer, timeout_ms integer.
SELECT name, kind, url, secret_ref, routes, rate_per_second, concurrency, timeout_ms FROM destinations ORDER BY name
