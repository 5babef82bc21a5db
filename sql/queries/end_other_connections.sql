-- Ends every other connection to this database.
-- Rows: one. ended bigint.
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS ended
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
