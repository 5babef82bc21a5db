-- Rejects of one request, or the one of this id, in the order of the request.
-- $1 correlation_id, or id; $2 how many at most.
-- Rows: id text, received_ms bigint (ms since 1970), key_name text, sender text, code text, message text, state text.
SELECT id, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, key_name, sender, code, message, state
FROM rejects WHERE correlation_id = $1::text OR id = $1::text
ORDER BY received_at, position, id LIMIT $2::integer
