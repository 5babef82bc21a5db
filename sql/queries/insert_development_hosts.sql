-- $1 host names, case-folded.
-- Rows: hostname text of each that is new.
INSERT INTO development_hosts (hostname) SELECT DISTINCT unnest($1::text[])
ON CONFLICT (hostname) DO NOTHING
RETURNING hostname
