-- Tokens that were taken and not needed.
-- $1 name of the pace; $2 tokens.
-- Rows: none.
UPDATE replay_paces SET tokens = tokens + $2::integer WHERE name = $1::text
