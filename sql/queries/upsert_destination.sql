-- Creates a destination or gives it new values, with its next version; does nothing when it has them already.
-- $1 name, $2 kind, $3 url, $4 secret_ref or null, $5 routes (JSON array as text), $6 rate_per_second, $7 concurrency,
-- $8 timeout_ms, $9 auth or null, $10 template or null, $11 content_type or null, $12 resolve_after_ms or null,
-- $13 stale_after_ms or null, $14 collapse. A hold stays.
-- Rows: one, or none when nothing changed; old_values jsonb or null when new, new_values jsonb.
WITH before AS (
  SELECT to_jsonb(destinations) AS old_values FROM destinations WHERE name = $1::text
), changed AS (
  INSERT INTO destinations AS known (
    name, kind, url, secret_ref, routes, rate_per_second, concurrency, timeout_ms, auth, template, content_type,
    resolve_after_ms, stale_after_ms, collapse, version
  ) VALUES (
    $1::text, $2::text, $3::text, $4::text, $5::jsonb, $6::float8, $7::integer, $8::integer,
    $9::text, $10::text, $11::text, $12::bigint, $13::integer, $14::boolean,
    next_record_version('destinations', $1::text)
  )
  ON CONFLICT (name) DO UPDATE SET
    kind = excluded.kind, url = excluded.url, secret_ref = excluded.secret_ref, routes = excluded.routes,
    rate_per_second = excluded.rate_per_second, concurrency = excluded.concurrency, timeout_ms = excluded.timeout_ms,
    auth = excluded.auth, template = excluded.template, content_type = excluded.content_type,
    resolve_after_ms = excluded.resolve_after_ms, stale_after_ms = excluded.stale_after_ms, collapse = excluded.collapse,
    version = known.version + 1, updated_at = now()
  WHERE ROW(
    known.kind, known.url, known.secret_ref, known.routes, known.rate_per_second, known.concurrency, known.timeout_ms,
    known.auth, known.template, known.content_type, known.resolve_after_ms, known.stale_after_ms, known.collapse
  ) IS DISTINCT FROM ROW(
    excluded.kind, excluded.url, excluded.secret_ref, excluded.routes, excluded.rate_per_second, excluded.concurrency,
    excluded.timeout_ms, excluded.auth, excluded.template, excluded.content_type, excluded.resolve_after_ms,
    excluded.stale_after_ms, excluded.collapse
  )
  RETURNING to_jsonb(known) AS new_values
)
SELECT (SELECT old_values FROM before) AS old_values, new_values FROM changed
