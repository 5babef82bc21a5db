-- Records one migration in the transaction that applied it.
-- $1 number integer, $2 name text, $3 checksum text (SHA-256 in hex).
-- Rows: none.
INSERT INTO schema_migrations (number, name, checksum) VALUES ($1::integer, $2::text, $3::text)
