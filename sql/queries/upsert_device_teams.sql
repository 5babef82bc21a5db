-- Says which team answers for a host; one that is said already is left alone. Each host once.
-- Arrays of equal length: $1 host names (case-folded), $2 teams.
-- Rows: one per host that is new or changed; hostname text, team text, old_team text or null when new.
WITH given AS (
  SELECT hostname, team FROM unnest($1::text[], $2::text[]) AS each (hostname, team)
), before AS (
  SELECT known.hostname, known.team FROM device_teams AS known JOIN given ON given.hostname = known.hostname
), changed AS (
  INSERT INTO device_teams AS known (hostname, team) SELECT hostname, team FROM given
  ON CONFLICT (hostname) DO UPDATE SET team = excluded.team, updated_at = now() WHERE known.team <> excluded.team
  RETURNING known.hostname, known.team
)
SELECT changed.hostname, changed.team, before.team AS old_team
FROM changed LEFT JOIN before ON before.hostname = changed.hostname
ORDER BY changed.hostname
