-- Takes as many tokens as there are, and no more than keep the letters that are on their way to the destination within
-- bounds: while it takes nothing, its letters stay here.
-- $1 name of the pace; $2 tokens that are wanted; $3 destination; $4 letters on their way at most, or null for twice as
-- many as the pace has in a second; $5 per second, when there is no such pace yet; $6 store: letters of others are not
-- counted, which may never come to an end.
-- Rows: taken integer; exactly one.
INSERT INTO replay_paces AS pace (name, per_second, tokens, taken)
SELECT $1::text, $5::float8, greatest(1, $5::float8) - first.taken, first.taken
FROM (
  SELECT greatest(0, floor(least(
    $2::integer, greatest(1, $5::float8),
    coalesce($4::integer, ceil(2 * $5::float8)) - (
      SELECT count(*) FROM dead_letters WHERE destination = $3::text AND store = $6::text AND state = 'replayed'
    )
  )))::integer AS taken
) AS first
ON CONFLICT (name) DO UPDATE SET
  taken = greatest(0, floor(least(
    $2::integer,
    least(
      greatest(1, pace.per_second),
      pace.tokens + pace.per_second * extract(epoch FROM clock_timestamp() - pace.tokens_at)::float8
    ),
    coalesce($4::integer, ceil(2 * pace.per_second)) - (
      SELECT count(*) FROM dead_letters WHERE destination = $3::text AND store = $6::text AND state = 'replayed'
    )
  )))::integer,
  tokens = least(
    greatest(1, pace.per_second),
    pace.tokens + pace.per_second * extract(epoch FROM clock_timestamp() - pace.tokens_at)::float8
  ) - greatest(0, floor(least(
    $2::integer,
    least(
      greatest(1, pace.per_second),
      pace.tokens + pace.per_second * extract(epoch FROM clock_timestamp() - pace.tokens_at)::float8
    ),
    coalesce($4::integer, ceil(2 * pace.per_second)) - (
      SELECT count(*) FROM dead_letters WHERE destination = $3::text AND store = $6::text AND state = 'replayed'
    )
  ))),
  tokens_at = clock_timestamp()
RETURNING taken
