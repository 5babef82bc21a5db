-- Locks the totals of API keys until the transaction ends: whoever changes both does this before it touches their
-- rejects. In the order of the names, so that two transactions never wait for each other.
-- $1 key_names.
-- Rows: one per key that has totals; key_name text.
SELECT key_name FROM reject_totals WHERE key_name = ANY ($1::text[]) ORDER BY key_name FOR UPDATE
