-- Parks unusable input; a reject that is already there stays as it is.
-- Arrays of equal length: $1 id, $2 received_at (ms since 1970), $3 key_name, $4 sender, $5 correlation_id,
-- $6 position (from 0), $7 code, $8 message, $9 body (bytea).
-- Rows: one per API key; key_name text, parked_rows bigint, parked_bytes bigint.
WITH parked AS (
  INSERT INTO rejects (id, received_at, key_name, sender, correlation_id, position, code, message, body)
  SELECT id, to_timestamp(received_ms::float8 / 1000), key_name, sender, correlation_id, position, code, message, body
  FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::text[], $8::text[], $9::bytea[]
  ) AS given (id, received_ms, key_name, sender, correlation_id, position, code, message, body)
  ON CONFLICT (id) DO NOTHING
  RETURNING key_name, body_bytes
)
SELECT key_name, count(*) AS parked_rows, sum(body_bytes)::bigint AS parked_bytes FROM parked GROUP BY key_name
