--[==[
Prolongs one's own lease, also an expired one that nobody took meanwhile: its epoch is still the owner's.

KEYS  1 owner
ARGV  1 lane group   2 nonce   3 time to live, ms
Results  {'renewed', epoch}   {'lost', nonce of the holder or '-'}
]==]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nonce, epoch = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '- 0 0', '^(%S+) (%d+) ')
if nonce ~= ARGV[2] then
  return {'lost', nonce}
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], nonce .. ' ' .. epoch .. ' ' .. string.format('%.0f', now + ARGV[3]))
return {'renewed', tonumber(epoch)}
