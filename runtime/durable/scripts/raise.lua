--[==[
Makes sure that no append reports a number up to the given one again, after the store came back older than it was:
raises the offset, and lets the ids of every lane jump so that none is ever used twice. Each jump is noted with the
lane, so that its messages can still be measured from its first and last id. The version of the diverted keys jumps, too:
what a writer knows of them is no longer so.

KEYS  1 ledger
ARGV  1 sequence   2 id jump
Results  what the store knew before: accepted + offset
]==]
local function whole(number)
  return string.format('%.0f', number)
end

local accepted = tonumber(redis.call('HGET', KEYS[1], 'accepted') or 0)
local known = accepted + tonumber(redis.call('HGET', KEYS[1], 'offset') or 0)
local lost = tonumber(ARGV[1]) - known
if lost <= 0 then
  return known
end
local jump = math.ceil(lost / ARGV[2]) * ARGV[2]
local fields = redis.call('HGETALL', KEYS[1])
redis.call('HDEL', KEYS[1], '-')
redis.call('HSET', KEYS[1], 'offset', whole(tonumber(ARGV[1]) - accepted))
redis.call('HINCRBY', KEYS[1], 'diversion', whole(jump))
for index = 1, #fields, 2 do
  local lane = string.match(fields[index], '^lane:(.+):sequence$')
  if lane then
    local top, gaps = tonumber(fields[index + 1]), 'lane:' .. lane .. ':gaps'
    redis.call('HSET', KEYS[1], fields[index], whole(top + jump),
      gaps, (redis.call('HGET', KEYS[1], gaps) or '') .. whole(top) .. '+' .. whole(jump) .. ' ')
  end
end
return known
