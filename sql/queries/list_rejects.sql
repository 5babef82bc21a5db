-- Rejects, the newest receipt first.
-- $1 code or null; $2 sender or null; $3 state or null; $4 from which time of receipt (ms since 1970, included) or null;
-- $5 received_at (ms since 1970) and $6 id of the reject after which to begin, or null; $7 bytes of the body to show;
-- $8 how many at most.
-- Rows: id text, received_ms bigint (ms since 1970), key_name text, sender text, correlation_id text, position integer,
-- code text, message text, state text, replays integer, resubmitted_ms bigint or null, body_bytes bigint, body bytea (its
-- beginning).
SELECT id, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, key_name, sender, correlation_id, position,
  code, message, state, replays, (extract(epoch FROM resubmitted_at) * 1000)::bigint AS resubmitted_ms, body_bytes,
  substring(body FROM 1 FOR $7::integer) AS body
FROM rejects
WHERE ($1::text IS NULL OR code = $1::text)
  AND ($2::text IS NULL OR sender = $2::text)
  AND ($3::text IS NULL OR state = $3::text)
  AND received_at >= coalesce(to_timestamp($4::float8 / 1000), '-infinity'::timestamptz)
  -- Said apart, so that the index is entered where the page begins.
  AND received_at <= coalesce(to_timestamp($5::float8 / 1000), 'infinity'::timestamptz)
  AND ($6::text IS NULL OR (received_at, id) < (to_timestamp($5::float8 / 1000), $6::text))
ORDER BY received_at DESC, id DESC LIMIT $8::integer
