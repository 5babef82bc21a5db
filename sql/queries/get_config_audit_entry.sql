-- $1 id.
-- Rows: one, or none when there is no such entry; those of search_config_audit.
SELECT id, (extract(epoch FROM changed_at) * 1000)::bigint AS changed_ms, changed_by, operation, resource, record_key,
  old_values, new_values, reason, correlation_id, hash
FROM config_audit_log WHERE id = $1::bigint
