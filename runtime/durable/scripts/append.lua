--[==[
Appends one entry to a lane, exactly once and without a gap per writer.

The XADD is the first write but for the arrivals, which only say whom to divert: at maxmemory the first write is refused
and nothing has happened.

An express lane is kept short: when it would hold more than its fair number of messages, keys that brought too many are
diverted to the overflow lane, until their last message has left that. The ledger's field 'diversion' counts the changes
of the diverted keys; an append to the express lane is taken only from a writer that knows all of them, so that a key is
at every moment diverted for all writers or for none. An entry of the overflow lane keeps how far the express lane was.

KEYS  1 stream of the lane   2 ledger   3 writer
      of an express or overflow lane: 4 diverted keys, with their messages in the overflow lane   5 arrivals
ARGV  1 lane name            2 sequence of the writer   3 messages in the payload   4 payload
      5 most entries         6 most payload bytes       7 most messages (0: any)    8 most age of the head, ms (0: any)
      9 writer's time to live, ms    10 highest accepted this process was told    11 id jump
      of an overflow lane: 12 'overflow'   13 messages by key: 'key count key count '   14 name of the express lane
      of an express lane:  12 'express'    13 the same, '' when not told   14 version of the diverted keys known
                           15 fair number of messages (0: any)    16 fewest messages of a key that is diverted
                           17 most diverted keys    18 most arrivals   19 most keys of arrivals   20 their time to live, ms

Results
  {'stored', accepted + offset, entry id, of an express lane: messages in it}
  {'repeat', accepted + offset, entry id or ''}    {'rerouted', version, diverted keys…}
  {'gap', last sequence}                      {'full', 'entries' | 'bytes' | 'messages' | 'age'}
  {'older', accepted + offset}                error TAMPERED: stream and ledger do not belong together
]==]
local lane, sequence, count, payload = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local role, keys = ARGV[12], ARGV[13] or ''
local size = #payload + (role == 'overflow' and #keys or 0)
local field = 'lane:' .. lane .. ':'

local function whole(number)
  return string.format('%.0f', number)
end

local function rerouted(version)
  local reply = redis.call('HKEYS', KEYS[4])
  table.insert(reply, 1, version)
  table.insert(reply, 1, 'rerouted')
  return reply
end

-- Notes what the keys of this payload bring; in a crowded lane, diverts those that brought too much.
local function divert(isCrowded)
  local arrivals, named = KEYS[5], {}
  local total = redis.call('HINCRBY', arrivals, 'total', count)
  for key, messages in string.gmatch(keys, '(%S+) (%d+) ') do
    table.insert(named, {key, redis.call('HINCRBY', arrivals, key, messages)})
  end
  local active = redis.call('HLEN', arrivals) - 1
  if total > tonumber(ARGV[18]) or active > tonumber(ARGV[19]) then
    redis.call('DEL', arrivals)
  else
    redis.call('PEXPIRE', arrivals, ARGV[20])
  end
  local most, room = math.max(total / active, tonumber(ARGV[16])), ARGV[17] - redis.call('HLEN', KEYS[4])
  local isAny = false
  for _, each in ipairs(isCrowded and named or {}) do
    if each[2] >= most and room > 0 and redis.call('HSETNX', KEYS[4], each[1], 0) == 1 then
      room = room - 1
      isAny = true
    end
  end
  return isAny
end

local known = redis.call('HMGET', KEYS[2], 'accepted', 'offset', field .. 'sequence', field .. 'entriesIn',
  field .. 'messages', field .. 'bytes', field .. 'headAtMs', 'diversion')
local accepted, offset = tonumber(known[1] or 0), tonumber(known[2] or 0)
if accepted + offset < tonumber(ARGV[10]) then
  return {'older', accepted + offset}
end

local last, lastId = string.match(redis.call('HGET', KEYS[3], lane) or '0 ', '^(%d+) (.*)$')
last = tonumber(last)
if sequence <= last then
  return {'repeat', accepted + offset, sequence == last and lastId or ''}
end
if sequence > last + 1 then
  return {'gap', last}
end

local entries, messages, bytes = redis.call('XLEN', KEYS[1]), tonumber(known[5] or 0), tonumber(known[6] or 0)
if role == 'express' then
  local version, fair = tonumber(known[8] or 0), tonumber(ARGV[15])
  if version ~= tonumber(ARGV[14]) then
    return rerouted(version)
  end
  if keys ~= '' and fair > 0 and entries > 0 and divert(messages + count > fair) then
    return rerouted(redis.call('HINCRBY', KEYS[2], 'diversion', 1))
  end
end

local top = tonumber(known[3])
if not top then
  if redis.call('EXISTS', KEYS[1]) == 1 then
    return redis.error_reply('TAMPERED the ledger does not know the lane ' .. lane)
  end
  top = math.ceil(offset / ARGV[11]) * ARGV[11]
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local headAt = tonumber(known[7] or 0)
local isHeadNew = entries == 0
if entries == 0 then
  messages, bytes, headAt = 0, 0, now
else
  if entries + 1 > tonumber(ARGV[5]) then return {'full', 'entries'} end
  if bytes + size > tonumber(ARGV[6]) then return {'full', 'bytes'} end
  if ARGV[7] ~= '0' and messages + count > tonumber(ARGV[7]) then return {'full', 'messages'} end
  if ARGV[8] ~= '0' and now - headAt > tonumber(ARGV[8]) then
    -- The remembered head may be gone; only now is the real one worth reading with its payload.
    headAt = tonumber(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][2][4])
    isHeadNew = true
    if now - headAt > tonumber(ARGV[8]) then return {'full', 'age'} end
  end
end

local id = whole(top + count) .. '-' .. ARGV[3]
if role == 'overflow' then
  local after = redis.call('HGET', KEYS[2], 'lane:' .. ARGV[14] .. ':sequence') or '0'
  redis.call('XADD', KEYS[1], id, 'p', payload, 't', whole(now), 'k', keys, 'a', after)
  local isAny = false
  for key, number in string.gmatch(keys, '(%S+) (%d+) ') do
    isAny = redis.call('HSETNX', KEYS[4], key, 0) == 1 or isAny
    redis.call('HINCRBY', KEYS[4], key, number)
  end
  if isAny then
    redis.call('HINCRBY', KEYS[2], 'diversion', 1)
  end
else
  redis.call('XADD', KEYS[1], id, 'p', payload, 't', whole(now))
end
redis.call('HSET', KEYS[2], 'accepted', whole(accepted + count), field .. 'sequence', whole(top + count),
  field .. 'entriesIn', whole(tonumber(known[4] or 0) + 1), field .. 'messages', whole(messages + count),
  field .. 'bytes', whole(bytes + size))
if isHeadNew then
  redis.call('HSET', KEYS[2], field .. 'headAtMs', whole(headAt))
end
if entries == 0 then
  redis.call('HDEL', KEYS[2], field .. 'gaps')
end
redis.call('HSET', KEYS[3], lane, ARGV[2] .. ' ' .. id)
redis.call('PEXPIRE', KEYS[3], ARGV[9])
if role == 'express' then
  return {'stored', accepted + count + offset, id, messages + count}
end
return {'stored', accepted + count + offset, id}
