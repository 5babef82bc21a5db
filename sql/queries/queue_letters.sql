-- Gives letters that wait to an operation, the oldest alerts first.
-- $1 alert_ids, $2 destination, $3 reason, $4 team, $5 rule_id, $6 from which failure on (ms since 1970): each may be null;
-- $7 destinations that alerts are sent to; $8 letters at most; $9 operation_id; $10 members that the copy which is sent
-- has instead (JSON object as text), or null.
-- Rows: letters integer; exactly one.
WITH selected AS (
  SELECT alert_id FROM dead_letters
  WHERE state = 'kept' AND destination = ANY ($7::text[])
    AND ($1::text[] IS NULL OR alert_id = ANY ($1::text[]))
    AND ($2::text IS NULL OR destination = $2::text)
    AND ($3::text IS NULL OR reason = $3::text)
    AND ($4::text IS NULL OR alert ->> 'team' = $4::text)
    AND ($5::integer IS NULL OR alert -> 'rule_id' = to_jsonb($5::integer))
    AND ($6::float8 IS NULL OR last_failed_at >= to_timestamp($6::float8 / 1000))
  ORDER BY alert_at, alert_order, alert_id LIMIT $8::integer FOR UPDATE
), queued AS (
  UPDATE dead_letters AS letter SET
    state = 'queued',
    operation_id = $9::text,
    edited_alert = alert || $10::jsonb,
    retry_at = NULL
  FROM selected WHERE letter.alert_id = selected.alert_id
  RETURNING letter.alert_id
)
SELECT count(*)::integer AS letters FROM queued
