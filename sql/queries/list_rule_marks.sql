-- What tells whether a rule is another than it was, for all living rules in one text: a row for each would cost the reader
-- more than all the rest.
-- Rows: one; marks text, `id:mark` separated by spaces, in the order of ids; empty when there is no rule.
SELECT coalesce(string_agg(
  concat(rule.id, ':', rule.version, '/', (extract(epoch FROM rule.updated_at) * 1000000)::bigint,
    CASE WHEN suspension.rule_id IS NOT NULL THEN '/suspended' END),
  ' ' ORDER BY rule.id
), '') AS marks
FROM alert_rules AS rule
LEFT JOIN rule_suspensions AS suspension
  ON suspension.rule_id = rule.id AND suspension.rule_version = rule.version
WHERE rule.deleted_at IS NULL
