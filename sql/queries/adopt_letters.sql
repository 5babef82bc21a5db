-- Letters and batches that name no store, from before stores were named, are of this one from here on.
-- $1 store; $2 partitions.
-- Rows: none.
WITH adopted AS (
  UPDATE dead_letters SET store = $1::text WHERE store = '' AND partition = ANY ($2::integer[])
)
UPDATE dead_letter_batches SET store = $1::text WHERE store = '' AND partition = ANY ($2::integer[])
