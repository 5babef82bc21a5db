-- What no rule matched, by host and template of its messages: for people who look for what a rule is missing for, and so
-- that one meta-alert of it stays one when a thread dies. Match threads bound the rows.

CREATE TABLE unmatched_templates (
  -- As events have it, case-folded.
  host text NOT NULL,
  -- 16 hex digits of SHA-256 of program, trap OID and template: the same on every host.
  fingerprint text NOT NULL CONSTRAINT unmatched_templates_fingerprint_is_hex CHECK (fingerprint ~ '^[0-9a-f]{16}$'),
  -- Of the mailbox: only the owner of the partition adds to it.
  partition integer NOT NULL,
  program text,
  trap_oid text,
  -- The message with all that varies masked.
  template text NOT NULL,
  -- The beginning of one of its messages, and the event it is of.
  sample text NOT NULL,
  sample_event_id text NOT NULL,
  event_count bigint NOT NULL,
  -- Times of receipt.
  first_seen timestamptz NOT NULL,
  last_seen timestamptz NOT NULL,
  window_started_at timestamptz NOT NULL,
  window_count bigint NOT NULL,
  -- Of the last meta-alert.
  alerted_at timestamptz,
  alerts jsonb NOT NULL DEFAULT '[]',
  -- The frame whose batch takes the alerts along, for as long as there may be no other: until it was quiet for a window.
  latched_by text,
  CONSTRAINT unmatched_templates_latched_has_time CHECK (latched_by IS NULL OR alerted_at IS NOT NULL),
  PRIMARY KEY (host, fingerprint)
);
CREATE INDEX unmatched_templates_fingerprint ON unmatched_templates (fingerprint, event_count DESC, host);
-- For a thread that begins.
CREATE INDEX unmatched_templates_partition ON unmatched_templates (partition, last_seen);
