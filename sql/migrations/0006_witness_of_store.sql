-- The witness of each store: nodes with a Redis of their own may share one PostgreSQL, and their sequences have nothing
-- to do with each other. What is here already belongs to no store that can be named: sequences of several may be mixed in
-- it, so it is kept and not believed. Losses that were recorded before are everybody's.

ALTER TABLE witness ADD COLUMN store text NOT NULL DEFAULT '';
ALTER TABLE witness DROP CONSTRAINT witness_pkey, ADD CONSTRAINT witness_pkey PRIMARY KEY (store, partition);

ALTER TABLE ledger_losses ADD COLUMN store text NOT NULL DEFAULT '';
ALTER TABLE ledger_losses DROP CONSTRAINT ledger_losses_pkey,
  ADD CONSTRAINT ledger_losses_pkey PRIMARY KEY (store, partition, from_sequence, to_sequence, detected_at);
