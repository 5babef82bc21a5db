-- Notes that a node sees a trouble no more. Those who last said that they do before the time limit do not count either.
-- $1 signature, $2 node, $3 time limit (ms).
-- Rows: one, or none for a trouble that nobody ever noted: is_last, whether no other node sees it.
UPDATE own_alerts AS known SET
  observers = (
    SELECT coalesce(jsonb_object_agg(node, at), '{}'::jsonb)
    FROM jsonb_each(known.observers) AS seen (node, at)
    WHERE node <> $2::text AND at::text::bigint > extract(epoch FROM now()) * 1000 - $3::bigint
  )
WHERE signature = $1::text
RETURNING observers = '{}'::jsonb AS is_last
