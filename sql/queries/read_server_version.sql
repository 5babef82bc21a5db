-- The server's version as one number: 140005 is 14.5.
-- Rows: one; version integer.
SELECT current_setting('server_version_num')::integer AS version
