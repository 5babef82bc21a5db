-- Letters of a destination were taken, or failed again: its pace grows by a half, or halves, once a second at most.
-- $1 name of the pace; $2 whether it grows; $3 per second at least; $4 per second at most.
-- Rows: per_second float8; none when it was changed just now, or there is no such pace.
UPDATE replay_paces SET
  per_second = greatest($3::float8, least($4::float8, per_second * CASE WHEN $2::boolean THEN 1.5 ELSE 0.5 END)),
  changed_at = clock_timestamp()
WHERE name = $1::text AND changed_at < clock_timestamp() - interval '1 second'
RETURNING per_second
