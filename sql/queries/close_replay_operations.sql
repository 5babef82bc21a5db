-- Operations of which no letter waits any more have been dealt with.
-- Rows: id text.
UPDATE replay_operations AS operation SET dealt_at = now()
WHERE dealt_at IS NULL
  AND NOT EXISTS (SELECT FROM dead_letters AS letter WHERE letter.operation_id = operation.id AND letter.state = 'queued')
RETURNING id
