-- Whether a destination has taken a later alert of a signature, or was not to hear of it.
-- $1 signature; $2 destination; $3 receipt of the event (ms since 1970); $4 event_id, or null for an alert of none.
-- Rows: is_superseded boolean; exactly one.
SELECT EXISTS (
  SELECT FROM alert_receipts
  WHERE signature_hash = hashtextextended($1::text, 0) AND received_at >= to_timestamp($3::float8 / 1000)
    AND (received_at > to_timestamp($3::float8 / 1000) OR alert_order(event_ids[1]) > alert_order($4::text))
    AND destination = $2::text
) AS is_superseded
