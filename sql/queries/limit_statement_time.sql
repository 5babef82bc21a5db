-- Ends each following statement of this transaction that takes longer.
-- $1 ms, as text.
-- Rows: one, without meaning.
SELECT set_config('statement_timeout', $1::text, true) AS statement_timeout
