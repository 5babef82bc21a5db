-- Makes programs that migrate the same database do so one after the other, until this transaction ends. The key:
-- 1297437780 spells MUTT in ASCII, 1 is migrations (2 audit months, 3 the configuration audit chain).
-- Rows: one, without meaning.
SELECT pg_advisory_xact_lock(1297437780, 1)::text AS locked
