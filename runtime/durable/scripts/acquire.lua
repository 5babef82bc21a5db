--[==[
Takes a lease that is free, expired or one's own. The epoch grows each time, so that whoever held it before is fenced.
The delete comes first so that ownership can still move at maxmemory: only an owner can drain.

KEYS  1 owner
ARGV  1 lane group   2 nonce   3 time to live, ms
Results  {'taken', epoch}   {'held', nonce of the holder, ms left}
]==]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local nonce, epoch, expiresAt = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '- 0 0', '^(%S+) (%d+) (%d+)$')
if nonce ~= ARGV[2] and tonumber(expiresAt) > now then
  return {'held', nonce, tonumber(expiresAt) - now}
end
local taken = string.format('%.0f', epoch + 1)
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. taken .. ' ' .. string.format('%.0f', now + ARGV[3]))
return {'taken', tonumber(taken)}
