-- Lets the statements of this transaction take as long as they need; for migrations and the moving of rows.
-- Rows: one, without meaning.
SELECT set_config('statement_timeout', '0', true) AS statement_timeout
