-- Says which team answers for a host, with its next version; one that is said already is left alone. Each host once.
-- Arrays of equal length: $1 host names (case-folded), $2 teams.
-- Rows: one per host that is new or changed; record_key text (the host), old_values jsonb (null when new), new_values
-- jsonb.
WITH given AS (
  SELECT hostname, team FROM unnest($1::text[], $2::text[]) AS each (hostname, team)
), before AS (
  SELECT known.hostname, to_jsonb(known) AS old_values
  FROM device_teams AS known JOIN given ON given.hostname = known.hostname
), changed AS (
  INSERT INTO device_teams AS known (hostname, team, version)
  SELECT hostname, team, next_record_version('device_teams', hostname) FROM given
  ON CONFLICT (hostname) DO UPDATE SET team = excluded.team, version = known.version + 1, updated_at = now()
  WHERE known.team <> excluded.team
  RETURNING known.hostname, to_jsonb(known) AS new_values
)
SELECT changed.hostname AS record_key, before.old_values, changed.new_values
FROM changed LEFT JOIN before ON before.hostname = changed.hostname
ORDER BY changed.hostname
