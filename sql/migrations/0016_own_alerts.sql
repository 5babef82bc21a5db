-- Which nodes see a trouble that all nodes of an installation may see, so that one of them tells it and the last one says
-- when it is over. A row is a trouble; what is in it is worthless a minute after nobody has renewed it.
CREATE TABLE own_alerts (
  -- `mutt::<condition>::<object>`.
  signature text PRIMARY KEY,
  -- By node: when it last said that it sees it, ms since 1970 by the clock of this server.
  observers jsonb NOT NULL CONSTRAINT own_alerts_observers_object CHECK (jsonb_typeof(observers) = 'object'),
  seen_at timestamptz NOT NULL DEFAULT now()
);
