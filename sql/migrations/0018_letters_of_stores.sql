-- A dead letter belongs to the Redis in which its event is in flight: nodes with a Redis of their own may share a
-- PostgreSQL, and only there the event ends when the letter does. What is here already has no store that can be named; the
-- owner of its partition that sees it first takes it.

ALTER TABLE dead_letters ADD COLUMN store text NOT NULL DEFAULT '';
ALTER TABLE dead_letter_batches ADD COLUMN store text NOT NULL DEFAULT '';

-- Every question about letters to be released is one of a store.
DROP INDEX dead_letters_queued, dead_letters_discarding, dead_letters_replayed, dead_letters_retry, dead_letters_unplanned,
  dead_letter_batches_partition;
CREATE INDEX dead_letters_queued ON dead_letters (operation_id, store, partition, destination, alert_at, alert_order)
  WHERE state = 'queued';
CREATE INDEX dead_letters_discarding ON dead_letters (store, partition, alert_id) WHERE state = 'discarding';
CREATE INDEX dead_letters_replayed ON dead_letters (destination, store, partition, alert_id) WHERE state = 'replayed';
CREATE INDEX dead_letters_retry ON dead_letters (store, partition, destination, alert_at, alert_order)
  WHERE state = 'kept' AND retry_at IS NOT NULL;
CREATE INDEX dead_letters_unplanned ON dead_letters (reason, store, partition)
  WHERE state = 'kept' AND retry_at IS NULL AND NOT is_given_up;
CREATE INDEX dead_letters_of_nobody ON dead_letters (partition) WHERE store = '';
CREATE INDEX dead_letter_batches_store ON dead_letter_batches (store, partition);
