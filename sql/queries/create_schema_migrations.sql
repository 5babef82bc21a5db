-- The ledger of migrations. Needs the lock of lock_migrations: IF NOT EXISTS alone fails when two do it at once.
-- Rows: none.
CREATE TABLE IF NOT EXISTS schema_migrations (
  number integer PRIMARY KEY,
  name text NOT NULL,
  -- SHA-256 of the file in hex, with LF line ends.
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)
