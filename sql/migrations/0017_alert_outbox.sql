-- Alerts that have no room in the mailbox of their destination. They wait here, in order, until it has: the match actor of
-- their partition puts them here and brings them back. Redis holds the books: of a store, partition and destination, only
-- what is numbered behind the last one taken, up to the last one booked, is in here; anything else is left of an attempt
-- that came to nothing, and is written over or dropped.

CREATE TABLE alert_outbox (
  -- Names the Redis: several may share a PostgreSQL.
  store text NOT NULL,
  partition integer NOT NULL,
  destination text NOT NULL,
  -- From 1 on, in the order in which the alerts are to be sent.
  number bigint NOT NULL CONSTRAINT alert_outbox_number_positive CHECK (number > 0),
  -- The attempt that put it here; a later one writes over it, an earlier one does not.
  attempt bigint NOT NULL,
  alert_id text NOT NULL,
  -- As it is in the mailbox.
  payload bytea NOT NULL,
  spilled_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (store, partition, destination, number)
);
-- The way of one alert is asked for by its id.
CREATE INDEX alert_outbox_alert ON alert_outbox (alert_id);
