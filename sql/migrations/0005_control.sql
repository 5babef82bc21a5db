-- What the control frame adds: settings, versions of teams and destinations, and keys that are rotated.
--
-- Versions of one record never go back, also when it was removed and made again: a new record goes on from the newest
-- version that the configuration audit holds of it. So a version that somebody saw never means two things.

-- What was set for the whole installation; a key that is not here has its default. What a key and a value may be is the
-- program's to say, since it is the program that reads them.
CREATE TABLE settings (
  key text PRIMARY KEY CONSTRAINT settings_key_is_dotted
    CHECK (key ~ '^[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)+$' AND length(key) <= 128),
  value jsonb NOT NULL CONSTRAINT settings_value_is_plain
    CHECK (jsonb_typeof(value) IN ('number', 'string', 'boolean')),
  version integer NOT NULL CONSTRAINT settings_version_positive CHECK (version > 0),
  -- {until_ms, error_rate_max, latency_p99_ms_max, previous_value}: the change is watched, and taken back when it does
  -- harm. previous_value is null when the key was not set before.
  guard jsonb CONSTRAINT settings_guard_is_object CHECK (jsonb_typeof(guard) = 'object'),
  updated_at timestamptz NOT NULL DEFAULT now(),
  updated_by text NOT NULL CONSTRAINT settings_updated_by_not_empty CHECK (updated_by <> '')
);

ALTER TABLE device_teams
  ADD COLUMN version integer NOT NULL DEFAULT 1 CONSTRAINT device_teams_version_positive CHECK (version > 0);
ALTER TABLE destinations
  ADD COLUMN version integer NOT NULL DEFAULT 1 CONSTRAINT destinations_version_positive CHECK (version > 0);

-- The key before the last rotation, which works until its own end.
ALTER TABLE api_keys
  ADD COLUMN previous_hmac bytea CONSTRAINT api_keys_previous_hmac_is_sha256 CHECK (octet_length(previous_hmac) = 32),
  ADD COLUMN previous_expires_at timestamptz,
  -- Names the pepper of the digests, so that a node with another one can say why it knows none of them.
  ADD COLUMN pepper_fingerprint text NOT NULL DEFAULT '',
  ADD CONSTRAINT api_keys_previous_is_whole CHECK ((previous_hmac IS NULL) = (previous_expires_at IS NULL));

-- The version that a record which is made now begins with.
CREATE FUNCTION next_record_version(of_resource text, of_record_key text) RETURNS integer
LANGUAGE sql STABLE
AS $$
  SELECT coalesce((
    SELECT (coalesce(log.new_values, log.old_values) ->> 'version')::integer
    FROM config_audit_log AS log
    WHERE log.resource = of_resource AND log.record_key = of_record_key
    ORDER BY log.id DESC LIMIT 1
  ), 0) + 1
$$;
