--[==[
Gives one's own lease up. The epoch stays, so that it only grows; the nonce goes, so that late commits are fenced.

KEYS  1 owner
ARGV  1 lane group   2 nonce
Results  1 released   0 was not one's own
]==]
local nonce, epoch = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '- 0 0', '^(%S+) (%d+) ')
if nonce ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], '- ' .. epoch .. ' 0')
return 1
