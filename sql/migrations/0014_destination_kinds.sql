-- More kinds of destinations, and what only some of them have. The new columns are null where nobody says anything, so that
-- no row is touched and a program that does not know them goes on. It would send to a kind that it does not know as to a
-- webhook: while nodes are upgraded, destinations of the new kinds are best added last.

ALTER TABLE destinations
  DROP CONSTRAINT IF EXISTS destinations_kind_known,
  ADD CONSTRAINT destinations_kind_known
    CHECK (kind IN ('moogsoft', 'moogsoft_cloud', 'pagerduty', 'alertmanager', 'webhook'));

-- How the credential goes along.
ALTER TABLE destinations ADD COLUMN IF NOT EXISTS auth text
  CONSTRAINT destinations_auth_known CHECK (auth IN ('bearer', 'basic', 'auth_token'));
-- What the body of a webhook is made from, in Liquid, and what it makes.
ALTER TABLE destinations ADD COLUMN IF NOT EXISTS template text
  CONSTRAINT destinations_template_not_empty CHECK (template <> '');
ALTER TABLE destinations ADD COLUMN IF NOT EXISTS content_type text
  CONSTRAINT destinations_content_type_of_template CHECK (content_type IS NULL OR template IS NOT NULL);
-- How long an alert fires at an Alertmanager that nobody resolves.
ALTER TABLE destinations ADD COLUMN IF NOT EXISTS resolve_after_ms bigint
  CONSTRAINT destinations_resolve_after_positive CHECK (resolve_after_ms > 0);
