-- Notes that a node sees a trouble. Those who last said so before the time limit see it no more.
-- $1 signature, $2 node, $3 time limit (ms).
-- Rows: one: is_first, whether nobody else and not this node itself saw it before.
INSERT INTO own_alerts AS known (signature, observers, seen_at)
VALUES (
  $1::text, jsonb_build_object($2::text, floor(extract(epoch FROM now()) * 1000)::bigint), now()
)
ON CONFLICT (signature) DO UPDATE SET
  observers = (
    SELECT coalesce(jsonb_object_agg(node, at), '{}'::jsonb) || excluded.observers
    FROM jsonb_each(known.observers) AS seen (node, at)
    WHERE at::text::bigint > extract(epoch FROM now()) * 1000 - $3::bigint
  ),
  seen_at = CASE
    WHEN EXISTS (
      SELECT FROM jsonb_each(known.observers) AS seen (node, at)
      WHERE at::text::bigint > extract(epoch FROM now()) * 1000 - $3::bigint
    ) THEN known.seen_at
    ELSE excluded.seen_at
  END
RETURNING seen_at = now() AS is_first
