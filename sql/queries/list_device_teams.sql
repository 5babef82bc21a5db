-- Rows: hostname text (case-folded), team text.
SELECT hostname, team FROM device_teams ORDER BY hostname
