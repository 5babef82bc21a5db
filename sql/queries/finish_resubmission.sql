-- Marks the rejects and quarantined events of a resubmission as resubmitted, counts the rejects, and forgets it with its
-- frames. Again it does nothing.
-- $1 resubmission_id.
-- Rows: none.
WITH gone AS (
  DELETE FROM resubmissions WHERE id = $1::text
), events AS (
  UPDATE quarantined_events SET
    state = 'resubmitted', resubmission_id = NULL, resubmitted_at = now(), replays = replays + 1
  WHERE resubmission_id = $1::text
), marked AS (
  UPDATE rejects SET state = 'resubmitted', resubmission_id = NULL, resubmitted_at = now(), replays = replays + 1
  WHERE resubmission_id = $1::text
  RETURNING key_name
), counted AS (
  SELECT key_name, count(*) AS marked_rows FROM marked GROUP BY key_name
)
UPDATE reject_totals AS totals SET resubmitted_rows = totals.resubmitted_rows + marked_rows
FROM counted WHERE totals.key_name = counted.key_name
