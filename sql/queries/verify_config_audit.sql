-- Checks the chain of the configuration audit from its first entry to its head.
-- $1 how many problems at most.
-- Rows: id bigint, problem text: `missing` (entries before this one are gone), `altered` (its content is not what was
-- sealed), `unlinked` (it does not follow from the entry before), `truncated` (entries after this one are gone).
WITH linked AS (
  SELECT log.id, log.previous_hash, log.hash, config_audit_hash(log) AS actual_hash,
    coalesce(lag(log.id) OVER in_order, 0) AS previous_id,
    coalesce(lag(log.hash) OVER in_order, sha256('mutt config audit'::bytea)) AS expected_previous_hash
  FROM config_audit_log AS log
  WINDOW in_order AS (ORDER BY log.id)
), last AS (
  SELECT id, hash FROM linked ORDER BY id DESC LIMIT 1
)
SELECT id, problem FROM (
  SELECT id, 'missing' AS problem FROM linked WHERE id <> previous_id + 1
  UNION ALL
  SELECT id, 'altered' FROM linked WHERE hash <> actual_hash
  UNION ALL
  SELECT id, 'unlinked' FROM linked WHERE id = previous_id + 1 AND previous_hash <> expected_previous_hash
  UNION ALL
  SELECT coalesce(last.id, 0), 'truncated'
  FROM config_audit_head AS head LEFT JOIN last ON true
  WHERE head.id <> coalesce(last.id, 0) OR (last.id IS NOT NULL AND head.hash <> last.hash)
) AS found
ORDER BY id, problem LIMIT $1::integer
