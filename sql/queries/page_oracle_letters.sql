-- Every dead letter there ever was, by key set: for whoever checks the books from outside.
-- $1 alert_id after which to begin; $2 how many at most.
-- Rows: alert_id text, destination text, state text, reason text, rule_id integer, description text.
SELECT alert_id, destination, state, reason, (alert ->> 'rule_id')::integer AS rule_id, alert ->> 'description' AS description
FROM dead_letters WHERE alert_id > $1::text ORDER BY alert_id LIMIT $2::integer
