-- Removes the batches of a store that no letter is in any more.
-- $1 store.
-- Rows: none.
DELETE FROM dead_letter_batches AS batch
WHERE store = $1::text AND NOT EXISTS (SELECT FROM dead_letters WHERE batch_id = batch.id)
