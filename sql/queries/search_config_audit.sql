-- Entries of the configuration audit, the newest first.
-- $1 changed_by or null; $2 part of changed_by, whatever its case, or null; $3 operation or null; $4 resource or null;
-- $5 record_key or null; $6 from (included) and $7 to (not included) which time (ms since 1970), or null; $8 the id
-- before which to begin, or null; $9 how many at most.
-- Rows: id bigint, changed_ms bigint (ms since 1970), changed_by text, operation text, resource text, record_key text,
-- old_values jsonb or null, new_values jsonb or null, reason text or null, correlation_id text or null, hash bytea.
SELECT id, (extract(epoch FROM changed_at) * 1000)::bigint AS changed_ms, changed_by, operation, resource, record_key,
  old_values, new_values, reason, correlation_id, hash
FROM config_audit_log
WHERE ($1::text IS NULL OR changed_by = $1::text)
  AND ($2::text IS NULL OR strpos(lower(changed_by), lower($2::text)) > 0)
  AND ($3::text IS NULL OR operation = $3::text)
  AND ($4::text IS NULL OR resource = $4::text)
  AND ($5::text IS NULL OR record_key = $5::text)
  AND ($6::float8 IS NULL OR changed_at >= to_timestamp($6::float8 / 1000))
  AND ($7::float8 IS NULL OR changed_at < to_timestamp($7::float8 / 1000))
  AND ($8::bigint IS NULL OR id < $8::bigint)
ORDER BY id DESC LIMIT $9::integer
