-- $1 host names, case-folded.
-- Rows: one per host that is new; hostname text, created_ms bigint (ms since 1970), new_values jsonb.
INSERT INTO development_hosts (hostname) SELECT DISTINCT unnest($1::text[])
ON CONFLICT (hostname) DO NOTHING
RETURNING hostname, (extract(epoch FROM created_at) * 1000)::bigint AS created_ms,
  to_jsonb(development_hosts) AS new_values
