-- Who sent an event, and which destination took an alert: what is asked for when somebody wants to know where an event
-- went. Both are added without touching a row, and a program that does not know them goes on.

-- sender: `<address> <program> <protocol>` in one text, `-` for an address that is not known. Both are null for an event
-- that was stored by a program which did not keep them.
ALTER TABLE event_audit_log ADD COLUMN api_key text;
ALTER TABLE event_audit_log ADD COLUMN sender text;

-- One row per alert that a destination took: the first time that it did, since an alert whose answer was lost is sent
-- again. By the month of the event's receipt, as the audit rows, so that both go together; the default partition takes
-- every time no month exists for.
CREATE TABLE alert_receipts (
  -- Names the destination too: it is the hash of event, rule and destination.
  alert_id text NOT NULL,
  -- Of the event.
  received_at timestamptz NOT NULL,
  event_ids text[] NOT NULL,
  destination text NOT NULL,
  partition integer NOT NULL,
  -- HTTP.
  status smallint NOT NULL,
  attempts integer NOT NULL CONSTRAINT alert_receipts_attempts_positive CHECK (attempts > 0),
  delivered_at timestamptz NOT NULL,
  PRIMARY KEY (alert_id, received_at)
) PARTITION BY RANGE (received_at);

CREATE TABLE alert_receipts_default PARTITION OF alert_receipts DEFAULT;

-- As create_event_audit_month was, for a table of the same kind.
CREATE FUNCTION create_month_of(parent text, month date) RETURNS TABLE (is_new boolean, moved bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '5s'
AS $$
DECLARE
  first_day date := date_trunc('month', month)::date;
  lower_bound timestamptz := first_day::timestamp AT TIME ZONE 'UTC';
  upper_bound timestamptz := (first_day + interval '1 month')::timestamp AT TIME ZONE 'UTC';
  month_table text := parent || '_' || to_char(first_day, 'YYYY_MM');
BEGIN
  PERFORM pg_advisory_xact_lock(1297437780, 2);
  is_new := false;
  moved := 0;
  IF to_regclass(month_table) IS NULL THEN
    EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', parent);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', month_table, parent);
    EXECUTE format(
      'WITH gone AS (DELETE FROM %I WHERE received_at >= $1 AND received_at < $2 RETURNING *)
       INSERT INTO %I SELECT * FROM gone', parent || '_default', month_table
    ) USING lower_bound, upper_bound;
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format(
      'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
      parent, month_table, lower_bound, upper_bound
    );
    is_new := true;
  END IF;
  RETURN NEXT;
END
$$;

-- A month of audit rows has one of receipts beside it, whichever program asks for it. What is returned is of the audit.
CREATE OR REPLACE FUNCTION create_event_audit_month(month date) RETURNS TABLE (is_new boolean, moved bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '5s'
AS $$
BEGIN
  PERFORM create_month_of('alert_receipts', month);
  RETURN QUERY SELECT made.is_new, made.moved FROM create_month_of('event_audit_log', month) AS made;
END
$$;
