-- After rules came with ids of their own: the next free id is behind them.
-- Rows: one, without meaning.
SELECT setval(
  pg_get_serial_sequence('alert_rules', 'id'),
  greatest((SELECT max(id) FROM alert_rules), nextval(pg_get_serial_sequence('alert_rules', 'id')))
) AS last_id
