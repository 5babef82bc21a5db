-- Holds the row of a store until the transaction ends: a node of it that says that it lives waits for that.
-- $1 store.
-- Rows: name text; exactly one.
INSERT INTO stores AS known (name) VALUES ($1::text) ON CONFLICT (name) DO UPDATE SET node = known.node RETURNING name
