-- What operators do about rejects: send them again, or throw them away.
--
-- Events are stored in Redis and rejects here, so no transaction holds both. A resubmission is therefore written down
-- whole, frames and all, before anything is sent: whoever finds it unfinished sends the same frames under the same writer
-- id, which Redis takes once. It is gone when its rejects are marked.

ALTER TABLE rejects
  ADD COLUMN state text NOT NULL DEFAULT 'parked'
    CONSTRAINT rejects_state_known CHECK (state IN ('parked', 'resubmitting', 'resubmitted')),
  -- The resubmission under way; null when there is none.
  ADD COLUMN resubmission_id text,
  ADD COLUMN resubmitted_at timestamptz,
  ADD CONSTRAINT rejects_resubmission_is_under_way CHECK ((state = 'resubmitting') = (resubmission_id IS NOT NULL)),
  ADD CONSTRAINT rejects_resubmitted_has_time CHECK ((state = 'resubmitted') = (resubmitted_at IS NOT NULL));
CREATE INDEX rejects_newest ON rejects (received_at DESC, id DESC);
CREATE INDEX rejects_under_way ON rejects (resubmission_id) WHERE resubmission_id IS NOT NULL;

-- Since ever, as the others. A resubmitted reject is kept as long as any other; a discarded one is gone.
ALTER TABLE reject_totals
  ADD COLUMN resubmitted_rows bigint NOT NULL DEFAULT 0,
  ADD COLUMN discarded_rows bigint NOT NULL DEFAULT 0,
  ADD COLUMN discarded_bytes bigint NOT NULL DEFAULT 0;

CREATE TABLE resubmissions (
  -- Is the writer id of its frames.
  id text PRIMARY KEY CONSTRAINT resubmissions_id_is_writer_id CHECK (id ~ '^[0-9a-f]{32}$'),
  -- The Redis that takes the frames. Only its node may send them: another Redis knows nothing of the writer.
  store text NOT NULL,
  begun_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX resubmissions_of_store ON resubmissions (store, begun_at);

CREATE TABLE resubmission_frames (
  resubmission_id text NOT NULL CONSTRAINT resubmission_frames_resubmission_exists
    REFERENCES resubmissions ON DELETE CASCADE,
  partition integer NOT NULL,
  -- Of the writer in this partition, from 1.
  sequence integer NOT NULL CONSTRAINT resubmission_frames_sequence_positive CHECK (sequence > 0),
  events integer NOT NULL CONSTRAINT resubmission_frames_events_positive CHECK (events > 0),
  frame bytea NOT NULL,
  PRIMARY KEY (resubmission_id, partition, sequence)
);
