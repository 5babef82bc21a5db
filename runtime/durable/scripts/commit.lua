--[==[
Deletes what was handled and stores everything that follows from it: all or nothing, and only for the owner.

Lua does not roll back, so everything that can fail is checked before the first write, and the first write deletes:
once a script has written, Redis refuses it nothing more, so it goes through at maxmemory too. That is why a commit
without inputs begins with a delete of nothing.

KEYS  1 owner   2 ledger   3 strikes   4 groups   5 diverted keys   6… streams and delayed sets, by the plan's key numbers
ARGV  1 plan as JSON:
        laneGroup, token ('nonce:epoch'), idJump
        lanes     [{name, key, ids, inMessages, inBytes, counts, outBytes, entriesMax, bytesMax, messagesMax (0: any)}]
                  ids: entries to delete; counts: messages of each output; a bound of 0 entries: no outputs
        first     {key, id}: the first input, absent when there is none
        sets      [{name, key, removals, delays (ms), addedBytes, entriesMax, bytesMax}]
        firstSet  number in `sets` of the first removal, when there is one and no first input
        returned  [[key, messages]]: what leaves the overflow lane; absent when nothing does
        overflow  the key number of that lane
        attempt, spills [[lane, after, count, bytes]]   what of lanes without outputs is put outside; absent: nothing
        refill    {lane, after, count, missing, bytes}  the outputs come from outside; absent when they do not
        counters  [[name, amount]]   open [[id, parts]]   settle [[id, parts, counter]]
      2… payloads: removals of each set, then outputs of each lane, then added members of each set

Results  {'committed'}   {'repeat'}: also when numbers of a spill or refill do not go on   {'fenced', current 'nonce:epoch'}
           {'full', lane or set}   error TAMPERED
]==]
local plan = cjson.decode(ARGV[1])
local ledger, strikes, groups, diverted = KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function whole(number)
  return string.format('%.0f', number)
end

local function numberOf(field)
  return tonumber(redis.call('HGET', ledger, field) or 0)
end

-- Checks. The lengths also prove that every key has the type the writes below need.
local nonce, epoch = string.match(redis.call('HGET', KEYS[1], plan.laneGroup) or '', '^(%S+) (%d+) ')
local current = nonce and (nonce .. ':' .. epoch) or ''
if current ~= plan.token then
  return {'fenced', current}
end
local hasStrikes = redis.call('HLEN', strikes) > 0
redis.call('HLEN', groups)
redis.call('HLEN', diverted)
local offset = tonumber(redis.call('HGET', ledger, 'offset') or 0)

if plan.spills and numberOf('spill:attempt') ~= plan.attempt then
  return {'repeat'}
end
for _, spill in ipairs(plan.spills or {}) do
  if numberOf('spill:' .. spill[1] .. ':last') ~= spill[2] then
    return {'repeat'}
  end
end
if plan.refill and numberOf('spill:' .. plan.refill.lane .. ':taken') ~= plan.refill.after then
  return {'repeat'}
end

local payload = 2
for _, set in ipairs(plan.sets) do
  local removedBytes = 0
  set.removeFrom = payload
  for number = payload, payload + set.removals - 1 do
    removedBytes = removedBytes + #ARGV[number]
  end
  payload = payload + set.removals
  local remaining = redis.call('ZCARD', KEYS[set.key]) - set.removals
  if #set.delays > 0 and remaining > 0 then
    local bytes = tonumber(redis.call('HGET', ledger, 'set:' .. set.name .. ':bytes') or 0) - removedBytes
    if remaining + #set.delays > set.entriesMax or bytes + set.addedBytes > set.bytesMax then
      return {'full', set.name}
    end
  end
end
for _, lane in ipairs(plan.lanes) do
  local field = 'lane:' .. lane.name .. ':'
  local remaining = redis.call('XLEN', KEYS[lane.key]) - #lane.ids
  if #lane.counts > 0 then
    local known = redis.call('HMGET', ledger, field .. 'sequence', field .. 'messages', field .. 'bytes',
      'spill:' .. lane.name .. ':last', 'spill:' .. lane.name .. ':taken')
    -- Nothing overtakes what waits outside.
    if not plan.refill and tonumber(known[4] or 0) > tonumber(known[5] or 0) then
      return {'full', lane.name}
    end
    lane.top = tonumber(known[1])
    if not lane.top then
      if redis.call('EXISTS', KEYS[lane.key]) == 1 then
        return redis.error_reply('TAMPERED the ledger does not know the lane ' .. lane.name)
      end
      lane.top = math.ceil(offset / plan.idJump) * plan.idJump
    end
    lane.wasEmpty = remaining <= 0
    if remaining > 0 then
      local messages = tonumber(known[2] or 0) - lane.inMessages
      for _, count in ipairs(lane.counts) do
        messages = messages + count
      end
      local bytes = tonumber(known[3] or 0) - lane.inBytes + lane.outBytes
      if remaining + #lane.counts > lane.entriesMax or bytes > lane.bytesMax
        or (lane.messagesMax > 0 and messages > lane.messagesMax) then
        return {'full', lane.name}
      end
    end
  end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The first write: a delete that also tells a repeat.
local anomalies = 0
if plan.first then
  if redis.call('XDEL', KEYS[plan.first.key], plan.first.id) == 0 then
    return {'repeat'}
  end
elseif plan.firstSet then
  local set = plan.sets[plan.firstSet]
  if redis.call('ZREM', KEYS[set.key], ARGV[set.removeFrom]) == 0 then
    return {'repeat'}
  end
else
  redis.call('HDEL', ledger, '-')
end

-- The other deletes.
for _, lane in ipairs(plan.lanes) do
  for _, id in ipairs(lane.ids) do
    local isFirst = plan.first.key == lane.key and plan.first.id == id
    if not isFirst and redis.call('XDEL', KEYS[lane.key], id) == 0 then
      anomalies = anomalies + 1
    end
    if hasStrikes then
      redis.call('HDEL', strikes, lane.name .. ' ' .. id)
    end
  end
end
for number, set in ipairs(plan.sets) do
  local removedBytes = 0
  for argument = set.removeFrom, set.removeFrom + set.removals - 1 do
    local isFirst = not plan.first and plan.firstSet == number and argument == set.removeFrom
    if isFirst or redis.call('ZREM', KEYS[set.key], ARGV[argument]) == 1 then
      removedBytes = removedBytes + #ARGV[argument]
    else
      anomalies = anomalies + 1
    end
  end
  if removedBytes > 0 then
    redis.call('HINCRBY', ledger, 'set:' .. set.name .. ':bytes', whole(-removedBytes))
  end
end

-- What follows.
for _, lane in ipairs(plan.lanes) do
  local field = 'lane:' .. lane.name .. ':'
  local messages, bytes = -lane.inMessages, lane.outBytes - lane.inBytes
  for _, count in ipairs(lane.counts) do
    lane.top = lane.top + count
    messages = messages + count
    redis.call('XADD', KEYS[lane.key], whole(lane.top) .. '-' .. whole(count), 'p', ARGV[payload], 't', whole(now))
    payload = payload + 1
  end
  redis.call('HINCRBY', ledger, field .. 'messages', whole(messages))
  redis.call('HINCRBY', ledger, field .. 'bytes', whole(bytes))
  if #lane.ids > 0 then
    redis.call('HINCRBY', ledger, field .. 'entriesOut', #lane.ids)
  end
  if #lane.counts > 0 then
    redis.call('HINCRBY', ledger, field .. 'entriesIn', #lane.counts)
    redis.call('HSET', ledger, field .. 'sequence', whole(lane.top))
    if lane.wasEmpty then
      redis.call('HSET', ledger, field .. 'headAtMs', whole(now))
      redis.call('HDEL', ledger, field .. 'gaps')
    end
  end
end
for _, set in ipairs(plan.sets) do
  local addedBytes = 0
  for _, delay in ipairs(set.delays) do
    if redis.call('ZADD', KEYS[set.key], whole(now + delay), ARGV[payload]) == 1 then
      addedBytes = addedBytes + #ARGV[payload]
    end
    payload = payload + 1
  end
  redis.call('HINCRBY', ledger, 'set:' .. set.name .. ':bytes', whole(addedBytes))
end
if plan.returned then
  local isAny = false
  for _, each in ipairs(plan.returned) do
    if redis.call('HINCRBY', diverted, each[1], whole(-each[2])) <= 0 then
      redis.call('HDEL', diverted, each[1])
      isAny = true
    end
  end
  -- Nothing waits there: a key that a writer was to bring, and did not, is as good as returned.
  if redis.call('XLEN', KEYS[plan.overflow]) == 0 and redis.call('DEL', diverted) == 1 then
    isAny = true
  end
  if isAny then
    redis.call('HINCRBY', ledger, 'diversion', 1)
  end
end
for _, spill in ipairs(plan.spills or {}) do
  local field = 'spill:' .. spill[1] .. ':'
  redis.call('HSET', ledger, field .. 'last', whole(spill[2] + spill[3]))
  redis.call('HINCRBY', ledger, field .. 'bytes', whole(spill[4]))
  redis.call('HINCRBY', ledger, 'spill:messages', whole(spill[3]))
  redis.call('HINCRBY', ledger, 'spill:bytes', whole(spill[4]))
end
if plan.refill then
  local refill, field = plan.refill, 'spill:' .. plan.refill.lane .. ':'
  local taken, bytes = refill.after + refill.count, refill.bytes
  if taken >= numberOf(field .. 'last') then
    -- The last ones: with them goes what was booked of any that are missing.
    bytes = numberOf(field .. 'bytes')
  end
  redis.call('HSET', ledger, field .. 'taken', whole(taken))
  redis.call('HINCRBY', ledger, field .. 'bytes', whole(-bytes))
  redis.call('HINCRBY', ledger, 'spill:messages', whole(-refill.count))
  redis.call('HINCRBY', ledger, 'spill:bytes', whole(-bytes))
  anomalies = anomalies + refill.missing
end
for _, counter in ipairs(plan.counters) do
  redis.call('HINCRBY', ledger, 'counter:' .. counter[1], whole(counter[2]))
end
for _, group in ipairs(plan.open) do
  redis.call('HINCRBY', groups, group[1], group[2])
end
for _, group in ipairs(plan.settle) do
  local left = tonumber(redis.call('HGET', groups, group[1]) or 0) - group[2]
  if left > 0 then
    redis.call('HSET', groups, group[1], whole(left))
  elseif redis.call('HDEL', groups, group[1]) == 1 then
    redis.call('HINCRBY', ledger, 'counter:' .. group[3], 1)
  end
  if left < 0 then
    anomalies = anomalies + 1
  end
end
if anomalies > 0 then
  redis.call('HINCRBY', ledger, 'anomalies', anomalies)
end
return {'committed'}
