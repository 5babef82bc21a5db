-- What could not go its way: rejects (unusable input), quarantined events (they break their handler) and dead letters
-- (alerts no destination takes).
--
-- Rejects are bounded per API key, oldest first, counted in reject_totals; the other two are never dropped by us.

CREATE TABLE rejects (
  id text PRIMARY KEY,
  received_at timestamptz NOT NULL,
  key_name text NOT NULL,
  sender text NOT NULL,
  correlation_id text NOT NULL,
  -- Its place in the request, from 0.
  position integer NOT NULL,
  code text NOT NULL,
  message text NOT NULL,
  body bytea NOT NULL,
  -- Of the body; kept so that the bound is checked without reading bodies.
  body_bytes bigint NOT NULL GENERATED ALWAYS AS (octet_length(body)) STORED,
  replays integer NOT NULL DEFAULT 0
);
CREATE INDEX rejects_oldest ON rejects (key_name, received_at, id);

-- What is kept and what was dropped, per API key. Its row lock makes parking for one key happen in turn.
CREATE TABLE reject_totals (
  key_name text PRIMARY KEY,
  kept_rows bigint NOT NULL,
  kept_bytes bigint NOT NULL,
  dropped_rows bigint NOT NULL DEFAULT 0,
  dropped_bytes bigint NOT NULL DEFAULT 0
);

CREATE TABLE quarantined_events (
  event_id text PRIMARY KEY,
  received_at timestamptz NOT NULL,
  partition integer NOT NULL,
  attempts integer NOT NULL,
  reason text NOT NULL,
  history jsonb NOT NULL,
  body bytea NOT NULL,
  quarantined_at timestamptz NOT NULL DEFAULT now(),
  replays integer NOT NULL DEFAULT 0
);
CREATE INDEX quarantined_events_newest ON quarantined_events (quarantined_at DESC, event_id);

CREATE TABLE dead_letters (
  -- Names the destination too: it is the hash of event, rule and destination.
  alert_id text PRIMARY KEY,
  partition integer NOT NULL,
  destination text NOT NULL,
  alert jsonb NOT NULL,
  reason text NOT NULL,
  error text NOT NULL,
  attempts integer NOT NULL,
  first_failed_at timestamptz NOT NULL,
  last_failed_at timestamptz NOT NULL,
  replays integer NOT NULL DEFAULT 0
);
CREATE INDEX dead_letters_newest ON dead_letters (last_failed_at DESC, alert_id);
CREATE INDEX dead_letters_destination ON dead_letters (destination, last_failed_at DESC);
