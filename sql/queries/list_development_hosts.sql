-- Rows: hostname text, case-folded.
SELECT hostname FROM development_hosts ORDER BY hostname
