-- Takes the lock of whoever brings all rejects back within their bounds, until the transaction ends. MUTT in ASCII, 4.
-- Rows: one; is_locked boolean: false when somebody else is at it.
SELECT pg_try_advisory_xact_lock(1297437780, 4) AS is_locked
