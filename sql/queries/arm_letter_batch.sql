-- Redis has been given the name of the batch: from now on it may be released, and must not be armed again.
-- $1 id.
-- Rows: id text; none when somebody has finished it meanwhile.
UPDATE dead_letter_batches SET is_armed = true WHERE id = $1::text RETURNING id
