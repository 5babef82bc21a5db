-- Since when decisions are kept.
-- Rows: one; received_ms bigint (ms since 1970), or null when there is none.
SELECT (extract(epoch FROM min(received_at)) * 1000)::bigint AS received_ms FROM event_audit_log
