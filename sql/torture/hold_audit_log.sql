-- Until the transaction ends nobody reads or writes a decision.
LOCK TABLE event_audit_log IN ACCESS EXCLUSIVE MODE
