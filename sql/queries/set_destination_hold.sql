-- Holds a destination, or ends that; raises its version. Does nothing when it is so already.
-- $1 name, $2 hold (JSON object as text, see migration 0013) or null.
-- Rows: one, or none when nothing changed or there is no such destination; old_values jsonb, new_values jsonb.
WITH before AS (
  SELECT to_jsonb(destinations) AS old_values FROM destinations WHERE name = $1::text
), changed AS (
  UPDATE destinations AS known SET hold = $2::jsonb, version = known.version + 1, updated_at = now()
  WHERE known.name = $1::text AND known.hold IS DISTINCT FROM $2::jsonb
  RETURNING to_jsonb(known) AS new_values
)
SELECT (SELECT old_values FROM before) AS old_values, new_values FROM changed
