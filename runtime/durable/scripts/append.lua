--[==[
Appends one entry to a lane, exactly once and without a gap per writer.

The XADD is the first write: at maxmemory it is refused and nothing has happened.

KEYS  1 stream of the lane   2 ledger   3 writer
ARGV  1 lane name            2 sequence of the writer   3 messages in the payload   4 payload
      5 most entries         6 most payload bytes       7 most messages (0: any)    8 most age of the head, ms (0: any)
      9 writer's time to live, ms    10 highest accepted this process was told    11 id jump

Results
  {'stored', accepted + offset, entry id}     {'repeat', accepted + offset, entry id or ''}
  {'gap', last sequence}                      {'full', 'entries' | 'bytes' | 'messages' | 'age'}
  {'older', accepted + offset}                error TAMPERED: stream and ledger do not belong together
]==]
local lane, sequence, count, payload = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local field = 'lane:' .. lane .. ':'

local function whole(number)
  return string.format('%.0f', number)
end

local known = redis.call('HMGET', KEYS[2], 'accepted', 'offset', field .. 'sequence', field .. 'entriesIn',
  field .. 'messages', field .. 'bytes', field .. 'headAtMs')
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

local top = tonumber(known[3])
if not top then
  if redis.call('EXISTS', KEYS[1]) == 1 then
    return redis.error_reply('TAMPERED the ledger does not know the lane ' .. lane)
  end
  top = math.ceil(offset / ARGV[11]) * ARGV[11]
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entries, messages, bytes = redis.call('XLEN', KEYS[1]), tonumber(known[5] or 0), tonumber(known[6] or 0)
local headAt = tonumber(known[7] or 0)
local isHeadNew = entries == 0
if entries == 0 then
  messages, bytes, headAt = 0, 0, now
else
  if entries + 1 > tonumber(ARGV[5]) then return {'full', 'entries'} end
  if bytes + #payload > tonumber(ARGV[6]) then return {'full', 'bytes'} end
  if ARGV[7] ~= '0' and messages + count > tonumber(ARGV[7]) then return {'full', 'messages'} end
  if ARGV[8] ~= '0' and now - headAt > tonumber(ARGV[8]) then
    -- The remembered head may be gone; only now is the real one worth reading with its payload.
    headAt = tonumber(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][2][4])
    isHeadNew = true
    if now - headAt > tonumber(ARGV[8]) then return {'full', 'age'} end
  end
end

local id = whole(top + count) .. '-' .. ARGV[3]
redis.call('XADD', KEYS[1], id, 'p', payload, 't', whole(now))
redis.call('HSET', KEYS[2], 'accepted', whole(accepted + count), field .. 'sequence', whole(top + count),
  field .. 'entriesIn', whole(tonumber(known[4] or 0) + 1), field .. 'messages', whole(messages + count),
  field .. 'bytes', whole(bytes + #payload))
if isHeadNew then
  redis.call('HSET', KEYS[2], field .. 'headAtMs', whole(headAt))
end
if entries == 0 then
  redis.call('HDEL', KEYS[2], field .. 'gaps')
end
redis.call('HSET', KEYS[3], lane, ARGV[2] .. ' ' .. id)
redis.call('PEXPIRE', KEYS[3], ARGV[9])
return {'stored', accepted + count + offset, id}
