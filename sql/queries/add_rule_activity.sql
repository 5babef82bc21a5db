-- Adds hits to rules; those that are gone for good are passed over. In the order of ids, so that nodes do not lock each
-- other out.
-- $1 rule ids, $2 hits, $3 receipt of the newest event (ms since 1970), all of one length, each rule once.
-- Rows: none.
INSERT INTO rule_activity AS activity (rule_id, hits, first_received_at, last_received_at)
SELECT rule.id, news.hits, to_timestamp(news.received_ms / 1000.0), to_timestamp(news.received_ms / 1000.0)
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS news (rule_id, hits, received_ms)
JOIN alert_rules AS rule ON rule.id = news.rule_id
ORDER BY rule.id
ON CONFLICT (rule_id) DO UPDATE SET
  hits = activity.hits + excluded.hits,
  last_received_at = greatest(activity.last_received_at, excluded.last_received_at)
