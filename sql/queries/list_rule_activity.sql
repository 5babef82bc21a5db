-- How often living rules have matched; those that never did are not there.
-- Rows: rule_id integer, hits bigint, first_received_ms bigint, last_received_ms bigint.
SELECT activity.rule_id, activity.hits,
  (extract(epoch FROM activity.first_received_at) * 1000)::bigint AS first_received_ms,
  (extract(epoch FROM activity.last_received_at) * 1000)::bigint AS last_received_ms
FROM rule_activity AS activity
JOIN alert_rules AS rule ON rule.id = activity.rule_id AND rule.deleted_at IS NULL
ORDER BY activity.rule_id
