-- Which Redis there are behind this PostgreSQL, and when a node of each last said so: letters, alerts and resubmissions of
-- one that is gone for good are nobody's until another takes them over, which must not happen while its nodes live.
CREATE TABLE stores (
  name text PRIMARY KEY CONSTRAINT stores_name_not_empty CHECK (name <> ''),
  -- The node that said so last.
  node text,
  -- Null: no node that knows of this table ever did.
  seen_at timestamptz
);

-- Nodes of versions before this table are known by what they answered.
CREATE VIEW store_sightings AS
SELECT coalesce(stores.name, told.store) AS store, stores.node, coalesce(stores.seen_at, told.seen_at) AS seen_at
FROM stores FULL JOIN (
  SELECT store, max(reported_at) AS seen_at FROM witness WHERE store <> '' AND reported_at <= now() GROUP BY store
) AS told ON told.store = stores.name;
