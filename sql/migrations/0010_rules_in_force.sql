-- What happens to rules while they are in force: those that were over their budget, and how often each has matched.

-- The version of a rule that is suspended: left out by every node. Another version of the same rule is not, so saving the
-- rule lifts it without touching this table. Written in the transaction of a configuration change.
CREATE TABLE rule_suspensions (
  rule_id integer PRIMARY KEY REFERENCES alert_rules (id),
  rule_version integer NOT NULL CONSTRAINT rule_suspensions_version_positive CHECK (rule_version > 0),
  suspended_at timestamptz NOT NULL DEFAULT now(),
  suspended_by text NOT NULL CONSTRAINT rule_suspensions_by_not_empty CHECK (suspended_by <> ''),
  reason text NOT NULL,
  -- The event that took it over its budget first.
  event_id text NOT NULL
);

-- Added up by every node every few seconds, so it says roughly how often, and surely whether; the audit says what
-- happened. Rows are updated in place over and over: room is left for that.
CREATE TABLE rule_activity (
  rule_id integer PRIMARY KEY REFERENCES alert_rules (id),
  hits bigint NOT NULL CONSTRAINT rule_activity_hits_positive CHECK (hits > 0),
  first_received_at timestamptz NOT NULL,
  last_received_at timestamptz NOT NULL
) WITH (fillfactor = 50);
