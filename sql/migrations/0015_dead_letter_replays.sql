-- What operators and the remediation actor do about dead letters: replay them, or discard them.
--
-- Letters are kept here, alerts wait in Redis, and no transaction holds both. So letters leave in batches that are
-- written down first: a batch is armed (Redis is given its name), then released (one commit there takes the name away
-- and stores everything that follows), then finished here. Whoever finds one unfinished goes on with it; without its
-- name the commit is a repeat, and stores nothing twice.

-- Of events that came in one frame, and so at one time, which was first; of any other text nothing.
CREATE FUNCTION alert_order(event_id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT CASE WHEN event_id ~ '^[0-9a-f-]{36}-[0-9]{1,6}$' THEN left(event_id, 36) || lpad(substr(event_id, 38), 6, '0') ELSE '' END
$$;

ALTER TABLE dead_letters
  -- kept: waits for a person or for its time. queued: an operation replays it. discarding: somebody discarded it, the
  -- ledger does not know yet. leaving: in a batch. replayed: on its way once more. The others have ended.
  ADD COLUMN state text NOT NULL DEFAULT 'kept' CONSTRAINT dead_letters_state_known CHECK (
    state IN ('kept', 'queued', 'discarding', 'leaving', 'replayed', 'delivered', 'superseded', 'discarded')
  ),
  -- Receipt of the event.
  ADD COLUMN alert_at timestamptz,
  ADD COLUMN alert_order text COLLATE "C" GENERATED ALWAYS AS (
    CASE WHEN alert -> 'event_ids' ->> 0 IS NULL THEN '' ELSE alert_order(alert -> 'event_ids' ->> 0) END
  ) STORED,
  -- A signature may be longer than an index takes.
  ADD COLUMN signature_hash bigint GENERATED ALWAYS AS (hashtextextended(alert ->> 'signature', 0)) STORED,
  -- Sent instead of the alert by the replay that it is queued for.
  ADD COLUMN edited_alert jsonb,
  ADD COLUMN operation_id text,
  ADD COLUMN batch_id text,
  -- What it ends its batch as.
  ADD COLUMN batch_end text CONSTRAINT dead_letters_batch_end_known CHECK (
    batch_end IN ('replayed', 'superseded', 'discarded')
  ),
  ADD COLUMN automatic_replays integer NOT NULL DEFAULT 0,
  -- When it is replayed without a person; null: not, or not known yet.
  ADD COLUMN retry_at timestamptz,
  -- Replayed without a person so often that it is not again.
  ADD COLUMN is_given_up boolean NOT NULL DEFAULT false,
  ADD COLUMN ended_at timestamptz;
UPDATE dead_letters SET alert_at = CASE
  WHEN alert ->> 'received_at' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$' THEN (alert ->> 'received_at')::timestamptz
  ELSE first_failed_at
END;
ALTER TABLE dead_letters ALTER COLUMN alert_at SET NOT NULL;
CREATE INDEX dead_letters_queued ON dead_letters (operation_id, partition, destination, alert_at, alert_order)
  WHERE state = 'queued';
CREATE INDEX dead_letters_discarding ON dead_letters (partition, alert_id) WHERE state = 'discarding';
CREATE INDEX dead_letters_batch ON dead_letters (batch_id, alert_at, alert_order) WHERE batch_id IS NOT NULL;
CREATE INDEX dead_letters_replayed ON dead_letters (destination, partition, alert_id) WHERE state = 'replayed';
CREATE INDEX dead_letters_retry ON dead_letters (partition, destination, alert_at, alert_order)
  WHERE state = 'kept' AND retry_at IS NOT NULL;
CREATE INDEX dead_letters_unplanned ON dead_letters (reason, partition)
  WHERE state = 'kept' AND retry_at IS NULL AND NOT is_given_up;
CREATE INDEX dead_letters_signature ON dead_letters (signature_hash, alert_at)
  WHERE state IN ('kept', 'queued', 'leaving', 'replayed');

-- Of which alert of a signature a destination has heard last. Rows from before this have none, and are not indexed.
ALTER TABLE alert_receipts ADD COLUMN signature_hash bigint;
CREATE INDEX alert_receipts_signature ON alert_receipts (signature_hash, received_at) WHERE signature_hash IS NOT NULL;

-- What an operator asked for: letters to be replayed, and how far that is.
CREATE TABLE replay_operations (
  id text PRIMARY KEY,
  begun_at timestamptz NOT NULL DEFAULT now(),
  begun_by text NOT NULL,
  reason text,
  -- As it was asked for.
  selection jsonb NOT NULL,
  letters integer NOT NULL,
  per_second double precision NOT NULL CONSTRAINT replay_operations_rate_positive CHECK (per_second > 0),
  -- Letters of it were taken back while they waited.
  canceled_at timestamptz,
  canceled_letters integer NOT NULL DEFAULT 0,
  -- None of it waits any more.
  dealt_at timestamptz
);
CREATE INDEX replay_operations_newest ON replay_operations (begun_at DESC, id DESC);
CREATE INDEX replay_operations_open ON replay_operations (begun_at) WHERE dealt_at IS NULL;

-- One row per time that a letter was to be replayed.
CREATE TABLE dead_letter_replays (
  alert_id text NOT NULL CONSTRAINT dead_letter_replays_letter_exists REFERENCES dead_letters ON DELETE CASCADE,
  -- From 1.
  nth integer NOT NULL,
  -- Null: without a person.
  operation_id text,
  is_edited boolean NOT NULL,
  replayed_at timestamptz NOT NULL DEFAULT now(),
  -- Null: on its way.
  outcome text CONSTRAINT dead_letter_replays_outcome_known CHECK (outcome IN ('delivered', 'failed', 'superseded')),
  error text,
  ended_at timestamptz,
  PRIMARY KEY (alert_id, nth)
);
CREATE INDEX dead_letter_replays_operation ON dead_letter_replays (operation_id, outcome)
  WHERE operation_id IS NOT NULL;

CREATE TABLE dead_letter_batches (
  id text PRIMARY KEY,
  partition integer NOT NULL,
  is_armed boolean NOT NULL DEFAULT false,
  begun_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dead_letter_batches_partition ON dead_letter_batches (partition);

-- How fast letters are replayed, by what paces them: an operation, or a destination that takes letters again. Tokens as
-- of a bucket, by the clock of this server, so that all nodes share it.
CREATE TABLE replay_paces (
  name text PRIMARY KEY,
  per_second double precision NOT NULL,
  tokens double precision NOT NULL,
  -- By the last call.
  taken integer NOT NULL DEFAULT 0,
  tokens_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Quarantined events go back through the ingest mailbox as rejects do (migration 8).
ALTER TABLE quarantined_events
  ADD COLUMN state text NOT NULL DEFAULT 'quarantined' CONSTRAINT quarantined_events_state_known CHECK (
    state IN ('quarantined', 'resubmitting', 'resubmitted')
  ),
  ADD COLUMN resubmission_id text,
  ADD COLUMN resubmitted_at timestamptz;
CREATE INDEX quarantined_events_under_way ON quarantined_events (resubmission_id) WHERE resubmission_id IS NOT NULL;
