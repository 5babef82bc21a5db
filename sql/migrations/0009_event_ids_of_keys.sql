-- Whether the `id` of an event, sent with this key, says which one it is when it comes again. Only where it is opted for:
-- what senders put there is often no name of one event. Added without touching a row, and a program that does not know it
-- goes on.

ALTER TABLE api_keys ADD COLUMN event_ids boolean NOT NULL DEFAULT false;
