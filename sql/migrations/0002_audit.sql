-- One row per decided event: what came, what was decided, by which rule, and the alerts that follow from it.
--
-- Partitioned by the month of receipt, in UTC: the sender's clock is data and never places a row. The default
-- partition takes every receipt time no month exists for, so an insert never fails for want of one; its rows are moved
-- before their month is created. No foreign key to rules: a rule may be changed or deleted while its matches are in
-- flight. The key makes a repeated insert a no-op: the first row for an event wins for ever.
CREATE TABLE event_audit_log (
  received_at timestamptz NOT NULL,
  event_id text NOT NULL,
  event_time timestamptz NOT NULL,
  clock_skewed boolean NOT NULL,
  hostname text NOT NULL,
  severity smallint,
  environment text NOT NULL CONSTRAINT event_audit_log_environment_known CHECK (environment IN ('prod', 'dev')),
  team text,
  matched_rule_id integer,
  rule_version integer,
  rule_set_version bigint NOT NULL,
  handling_decision text NOT NULL CONSTRAINT event_audit_log_decision_known
    CHECK (handling_decision IN ('Page_and_ticket', 'Page_only', 'Ticket_only', 'Ignore', 'Unmatched')),
  -- Whether alerts follow from it, not whether they were delivered: that is the ledger's to say.
  forwarded boolean NOT NULL,
  matches jsonb NOT NULL,
  alerts jsonb NOT NULL,
  correlation_id text NOT NULL,
  raw_message text NOT NULL,
  PRIMARY KEY (received_at, event_id)
) PARTITION BY RANGE (received_at);
CREATE INDEX event_audit_log_host ON event_audit_log (hostname, received_at DESC);
CREATE INDEX event_audit_log_event ON event_audit_log (event_id);

CREATE TABLE event_audit_log_default PARTITION OF event_audit_log DEFAULT;

-- Creates the partition of one month, unless it exists, after moving that month's rows out of the default partition.
-- Returns whether it is new and how many rows moved.
--
-- The lock on the parent makes inserts wait (readers do not): one that was routed to the default partition before the
-- month appeared would fail. A new table is attached, not created in place, since that needs the weaker lock.
CREATE FUNCTION create_event_audit_month(month date) RETURNS TABLE (is_new boolean, moved bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '5s'
AS $$
DECLARE
  first_day date := date_trunc('month', month)::date;
  lower_bound timestamptz := first_day::timestamp AT TIME ZONE 'UTC';
  upper_bound timestamptz := (first_day + interval '1 month')::timestamp AT TIME ZONE 'UTC';
  month_table text := 'event_audit_log_' || to_char(first_day, 'YYYY_MM');
BEGIN
  -- MUTT in ASCII, 2: the audit months.
  PERFORM pg_advisory_xact_lock(1297437780, 2);
  is_new := false;
  moved := 0;
  IF to_regclass(month_table) IS NULL THEN
    LOCK TABLE event_audit_log IN SHARE ROW EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE event_audit_log INCLUDING ALL)', month_table);
    EXECUTE format(
      'WITH gone AS (DELETE FROM event_audit_log_default WHERE received_at >= $1 AND received_at < $2 RETURNING *)
       INSERT INTO %I SELECT * FROM gone', month_table
    ) USING lower_bound, upper_bound;
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format(
      'ALTER TABLE event_audit_log ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
      month_table, lower_bound, upper_bound
    );
    is_new := true;
  END IF;
  RETURN NEXT;
END
$$;
