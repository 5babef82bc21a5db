--[==[
Appends one entry to a lane, exactly once and without a gap per writer.

The XADD is the first write but for the arrivals, which only say whom to divert: at maxmemory the first write is refused
and nothing has happened.

An express lane is kept short: when it would hold more than its fair number of messages, keys that brought too many are
diverted to the overflow lane, until their last message has left that. The ledger's field 'diversion' counts the changes
of the diverted keys; an append to the express lane is taken only from a writer that knows all of them, so that a key is
at every moment diverted for all writers or for none. An entry of the overflow lane keeps how far the express lane was.

A mark is a field of the marks: its key, to the contents that came under it, the newest first, four at most. When they are
as many as they may be, or as old, they become the older ones, which go: so the newest are always known, and at most
twice as many.

KEYS  1 stream of the lane   2 ledger   3 writer   4 marks   5 older marks
      6 diverted keys, with their messages in the overflow lane   7 arrivals
ARGV  1 lane name            2 sequence of the writer   3 messages in the payload   4 payload
      5 most entries         6 most payload bytes       7 most messages (0: any)    8 most age of the head, ms (0: any)
      9 writer's time to live, ms    10 highest accepted this process was told    11 id jump
      12 marks, each 16 bytes of key and 8 of content ('': none)    13 most marks    14 their window, ms
      of an overflow lane: 15 'overflow'   16 messages by key: 'key count key count '   17 name of the express lane
      of an express lane:  15 'express'    16 the same, '' when not told   17 version of the diverted keys known
                           18 fair number of messages (0: any)    19 fewest messages of a key that is diverted
                           20 most diverted keys    21 most arrivals   22 most keys of arrivals   23 their time to live, ms

Results
  {'stored', accepted + offset, entry id, verdicts, of an express lane: messages in it}
  {'repeat', accepted + offset, entry id or '', verdicts}
  {'duplicate', accepted + offset, verdicts}            {'rerouted', version, diverted keys…}
  {'gap', last sequence}                                {'full', 'entries' | 'bytes' | 'messages' | 'age'}
  {'older', accepted + offset}                          error TAMPERED: stream and ledger do not belong together
  verdicts: a digit per mark. 0 new, 1 new under a known key, 2 known, 3 known under a key that had another content first
]==]
local lane, sequence, count, payload = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local role, keys = ARGV[15], ARGV[16] or ''
local size = #payload + (role == 'overflow' and #keys or 0)
local field = 'lane:' .. lane .. ':'

local function whole(number)
  return string.format('%.0f', number)
end

local function rerouted(version)
  local reply = redis.call('HKEYS', KEYS[6])
  table.insert(reply, 1, version)
  table.insert(reply, 1, 'rerouted')
  return reply
end

-- Notes what the keys of this payload bring; in a crowded lane, diverts those that brought too much.
local function divert(isCrowded)
  local arrivals, named = KEYS[7], {}
  local total = redis.call('HINCRBY', arrivals, 'total', count)
  for key, messages in string.gmatch(keys, '(%S+) (%d+) ') do
    table.insert(named, {key, redis.call('HINCRBY', arrivals, key, messages)})
  end
  local active = redis.call('HLEN', arrivals) - 1
  if total > tonumber(ARGV[21]) or active > tonumber(ARGV[22]) then
    redis.call('DEL', arrivals)
  else
    redis.call('PEXPIRE', arrivals, ARGV[23])
  end
  local most, room = math.max(total / active, tonumber(ARGV[19])), ARGV[20] - redis.call('HLEN', KEYS[6])
  local isAny = false
  for _, each in ipairs(isCrowded and named or {}) do
    if each[2] >= most and room > 0 and redis.call('HSETNX', KEYS[6], each[1], 0) == 1 then
      room = room - 1
      isAny = true
    end
  end
  return isAny
end

-- Of each key what is known, then in order what each mark is and what it makes known.
local function judge(marks)
  local keys, contents, verdicts, isDuplicate = {}, {}, {}, false
  for mark = 1, #marks / 24 do
    keys[mark] = string.sub(marks, mark * 24 - 23, mark * 24 - 8)
  end
  -- A call takes no more than some thousands of arguments.
  for from = 1, #keys, 1000 do
    local to = math.min(from + 999, #keys)
    local present = redis.call('HMGET', KEYS[4], unpack(keys, from, to))
    local older = redis.call('HMGET', KEYS[5], unpack(keys, from, to))
    for mark = from, to do
      contents[keys[mark]] = present[mark - from + 1] or older[mark - from + 1] or ''
    end
  end
  for mark, key in ipairs(keys) do
    local content, earlier, at = string.sub(marks, mark * 24 - 7, mark * 24), contents[key], 1
    while at < #earlier and string.sub(earlier, at, at + 7) ~= content do
      at = at + 8
    end
    if at < #earlier then
      isDuplicate = true
      verdicts[mark] = at == #earlier - 7 and '2' or '3'
    else
      verdicts[mark] = earlier == '' and '0' or '1'
      contents[key] = content .. string.sub(earlier, 1, 24)
    end
  end
  return table.concat(verdicts), isDuplicate, contents
end

local known = redis.call('HMGET', KEYS[2], 'accepted', 'offset', field .. 'sequence', field .. 'entriesIn',
  field .. 'messages', field .. 'bytes', field .. 'headAtMs', 'diversion')
local accepted, offset = tonumber(known[1] or 0), tonumber(known[2] or 0)
if accepted + offset < tonumber(ARGV[10]) then
  return {'older', accepted + offset}
end

-- What is told as stored before is a write, too: a wait for replicas covers no more than what was written before it on
-- the same connection. The delete comes first so that it is one at maxmemory as well.
local function touch()
  redis.call('HDEL', KEYS[2], '-')
  redis.call('HSET', KEYS[2], 'accepted', whole(accepted))
end

local verdicts, isDuplicate, contents = '', false, nil
if ARGV[12] ~= '' then
  verdicts, isDuplicate, contents = judge(ARGV[12])
end

local last, lastId = string.match(redis.call('HGET', KEYS[3], lane) or '0 ', '^(%d+) (.*)$')
last = tonumber(last)
if sequence <= last then
  touch()
  return {'repeat', accepted + offset, sequence == last and lastId or '', verdicts}
end
if sequence > last + 1 then
  return {'gap', last}
end
-- Before the bounds: what is stored already is no more to store.
if isDuplicate then
  touch()
  return {'duplicate', accepted + offset, verdicts}
end

local entries, messages, bytes = redis.call('XLEN', KEYS[1]), tonumber(known[5] or 0), tonumber(known[6] or 0)
if role == 'express' then
  local version, fair = tonumber(known[8] or 0), tonumber(ARGV[18])
  if version ~= tonumber(ARGV[17]) then
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
  local after = redis.call('HGET', KEYS[2], 'lane:' .. ARGV[17] .. ':sequence') or '0'
  redis.call('XADD', KEYS[1], id, 'p', payload, 't', whole(now), 'k', keys, 'a', after)
  local isAny = false
  for key, number in string.gmatch(keys, '(%S+) (%d+) ') do
    isAny = redis.call('HSETNX', KEYS[6], key, 0) == 1 or isAny
    redis.call('HINCRBY', KEYS[6], key, number)
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
if contents then
  local held, fields = redis.call('HLEN', KEYS[4]), {}
  for key, newest in pairs(contents) do
    fields[#fields + 1] = key
    fields[#fields + 1] = newest
  end
  local isOld = now - tonumber(redis.call('HGET', KEYS[2], 'marksSinceMs') or 0) >= tonumber(ARGV[14])
  if held > 0 and (held + #fields / 2 > tonumber(ARGV[13]) or isOld) then
    redis.call('UNLINK', KEYS[5])
    redis.call('RENAME', KEYS[4], KEYS[5])
    held = 0
  end
  if held == 0 then
    redis.call('HSET', KEYS[2], 'marksSinceMs', whole(now))
  end
  for from = 1, #fields, 2000 do
    redis.call('HSET', KEYS[4], unpack(fields, from, math.min(from + 1999, #fields)))
  end
  redis.call('PEXPIRE', KEYS[4], ARGV[14])
end
if role == 'express' then
  return {'stored', accepted + count + offset, id, verdicts, messages + count}
end
return {'stored', accepted + count + offset, id, verdicts}
