-- What was applied, in order.
-- Rows: number integer, name text, checksum text.
SELECT number, name, checksum FROM schema_migrations ORDER BY number
