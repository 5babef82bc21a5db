-- API keys, and the witness that makes a loss in Redis visible.

-- A key itself is never stored: only its HMAC-SHA-256.
CREATE TABLE api_keys (
  name text PRIMARY KEY CONSTRAINT api_keys_name_not_empty CHECK (name <> ''),
  scopes text[] NOT NULL CONSTRAINT api_keys_scopes_known
    CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['ingest', 'read', 'operate', 'admin']),
  hmac bytea NOT NULL CONSTRAINT api_keys_hmac_unique UNIQUE
    CONSTRAINT api_keys_hmac_is_sha256 CHECK (octet_length(hmac) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz
);

-- The highest sequence per partition that was answered with 2xx, seen from outside Redis.
CREATE TABLE witness (
  partition integer PRIMARY KEY CONSTRAINT witness_partition_range CHECK (partition >= 0),
  sequence bigint NOT NULL,
  reported_at timestamptz NOT NULL,
  -- When a loss last set the sequence back; reports from before it are out of date.
  lost_at timestamptz
);

-- Ranges that were answered with 2xx and are gone; both ends included.
CREATE TABLE ledger_losses (
  partition integer NOT NULL,
  from_sequence bigint NOT NULL,
  to_sequence bigint NOT NULL,
  detected_at timestamptz NOT NULL,
  PRIMARY KEY (partition, from_sequence, to_sequence, detected_at),
  CONSTRAINT ledger_losses_range_is_forward CHECK (from_sequence <= to_sequence)
);
