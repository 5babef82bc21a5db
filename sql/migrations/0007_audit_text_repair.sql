-- What of an event was no text: PostgreSQL holds neither invalid UTF-8 nor NUL, so raw_message has U+FFFD in their place.
-- text_repaired says that something was replaced, raw_bytes keeps the record as received where raw_message is another.
-- Both are added without touching a row, and a program that does not know them goes on.

ALTER TABLE event_audit_log ADD COLUMN text_repaired boolean NOT NULL DEFAULT false;
ALTER TABLE event_audit_log ADD COLUMN raw_bytes bytea;
