--[==[
Lists the members of a delayed set that are due by the server's clock. Writes nothing.

KEYS  1 delayed set
ARGV  1 most members
Results  {ms until the next one not due, or -1, member, due ms, member, due ms, …}
]==]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local result = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local nextOne = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
table.insert(result, 1, nextOne[2] and tonumber(nextOne[2]) - tonumber(now) or -1)
return result
