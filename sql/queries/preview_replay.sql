-- What a replay would do: letters that are selected, the oldest alerts first.
-- $1 alert_ids, $2 destination, $3 reason, $4 team, $5 rule_id, $6 from which failure on (ms since 1970): each may be null;
-- $7 destinations that alerts are sent to; $8 letters at most; $9 rows at most.
-- Rows: alert_id text, destination text, reason text, is_superseded boolean; letters and superseded_letters bigint: of all
-- that are selected, the same in every row.
WITH selected AS (
  SELECT alert_id, destination, reason, alert_at, alert_order, signature_hash FROM dead_letters
  WHERE state = 'kept' AND destination = ANY ($7::text[])
    AND ($1::text[] IS NULL OR alert_id = ANY ($1::text[]))
    AND ($2::text IS NULL OR destination = $2::text)
    AND ($3::text IS NULL OR reason = $3::text)
    AND ($4::text IS NULL OR alert ->> 'team' = $4::text)
    AND ($5::integer IS NULL OR alert -> 'rule_id' = to_jsonb($5::integer))
    AND ($6::float8 IS NULL OR last_failed_at >= to_timestamp($6::float8 / 1000))
  ORDER BY alert_at, alert_order, alert_id LIMIT $8::integer
), judged AS (
  SELECT alert_id, destination, reason, alert_at, alert_order, EXISTS (
    SELECT FROM alert_receipts AS receipt
    WHERE receipt.signature_hash = selected.signature_hash AND receipt.received_at >= selected.alert_at
      AND (receipt.received_at > selected.alert_at OR alert_order(receipt.event_ids[1]) > selected.alert_order)
      AND receipt.destination = selected.destination
  ) AS is_superseded
  FROM selected
)
SELECT alert_id, destination, reason, is_superseded, count(*) OVER () AS letters,
  count(*) FILTER (WHERE is_superseded) OVER () AS superseded_letters
FROM judged ORDER BY alert_at, alert_order, alert_id LIMIT $9::integer
