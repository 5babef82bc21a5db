-- Says that a node of this store lives.
-- $1 store; $2 node.
-- Rows: none.
INSERT INTO stores (name, node, seen_at) VALUES ($1::text, $2::text, now())
ON CONFLICT (name) DO UPDATE SET node = excluded.node, seen_at = excluded.seen_at
