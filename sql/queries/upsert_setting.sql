-- Sets a key, with its next version; does nothing when it has this value and this guard already.
-- $1 key, $2 value (JSON as text), $3 guard (JSON object as text) or null, $4 updated_by.
-- Rows: one, or none when nothing changed; those of list_settings, and old_values jsonb (null when new), new_values
-- jsonb.
WITH before AS (
  SELECT to_jsonb(settings) AS old_values FROM settings WHERE key = $1::text
), changed AS (
  INSERT INTO settings AS known (key, value, version, guard, updated_by)
  VALUES ($1::text, $2::jsonb, next_record_version('settings', $1::text), $3::jsonb, $4::text)
  ON CONFLICT (key) DO UPDATE SET
    value = excluded.value, guard = excluded.guard, version = known.version + 1, updated_at = now(),
    updated_by = excluded.updated_by
  WHERE ROW(known.value, known.guard) IS DISTINCT FROM ROW(excluded.value, excluded.guard)
  RETURNING known.key, known.value, known.version, known.guard, known.updated_at, known.updated_by,
    to_jsonb(known) AS new_values
)
SELECT key, value, version, guard, (extract(epoch FROM updated_at) * 1000)::bigint AS updated_ms, updated_by,
  (SELECT old_values FROM before) AS old_values, new_values
FROM changed
