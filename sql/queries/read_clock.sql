-- What time it is for the server.
-- Rows: one; now_ms double precision, ms since 1970 UTC.
SELECT extract(epoch FROM clock_timestamp())::double precision * 1000 AS now_ms
