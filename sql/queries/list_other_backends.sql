-- The server's processes of every other connection to this database.
-- Rows: pid integer.
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
