--[==[
What of some lanes waits outside, and what the lanes themselves hold; with a new attempt, which ends every earlier one.
Attempts go by the server's clock, so that they grow also in a store that came back older.

KEYS  1 owner   2 ledger   3… lanes
ARGV  1 lane group   2 token ('nonce:epoch')   3 '1' for a new attempt   4… names of the lanes
Results  {'looked', attempt, messages and bytes outside of all lanes, then last, taken, bytes outside, entries and bytes
          in it of each lane}   {'fenced', current 'nonce:epoch'}
]==]
local ledger = KEYS[2]
local nonce, epoch = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%S+) (%d+) ')
local current = nonce and (nonce .. ':' .. epoch) or ''
if current ~= ARGV[2] then
  return {'fenced', current}
end
local known = redis.call('HMGET', ledger, 'spill:attempt', 'spill:messages', 'spill:bytes')
local attempt = tonumber(known[1] or 0)
local result = {'looked', '', known[2] or '0', known[3] or '0'}
for number = 3, #KEYS do
  local lane = ARGV[number + 1]
  local of = redis.call('HMGET', ledger, 'spill:' .. lane .. ':last', 'spill:' .. lane .. ':taken',
    'spill:' .. lane .. ':bytes', 'lane:' .. lane .. ':bytes')
  local entries = tostring(redis.call('XLEN', KEYS[number]))
  for _, value in ipairs({of[1] or '0', of[2] or '0', of[3] or '0', entries, of[4] or '0'}) do
    table.insert(result, value)
  end
end
if ARGV[3] == '1' then
  local time = redis.call('TIME')
  attempt = math.max(attempt + 1, time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('HSET', ledger, 'spill:attempt', string.format('%.0f', attempt))
end
result[2] = string.format('%.0f', attempt)
return result
