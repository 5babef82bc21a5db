--[==[
How much may be sent to one place outside by who asks, after what it tells of its last tries. Server time throughout.

The first write deletes: once a script has written, Redis refuses it nothing more, so what drains the mailboxes goes
through at maxmemory too. Times are kept with their lengths, so that a clock that was set back lengthens none of them.

KEYS  1 pace
ARGV  1 tokens per second   2 most tokens   3 wanted   4 returned   5 nonce   6 lease of a prober, ms
      7 '1': something was taken, before the failures   8 failures   9 '1': they open the breaker   10 open for, ms
      11 rest, ms   12 failures that open   13 why   14 ms between looks at another's probe   15 time to live, ms
Results  {granted, ask again in ms, open (1) or not, failures, for a probe (1) or not, rest left ms, open since ms, why}
]==]
local rate, most, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local nonce, toldFailures, openMs, restMs = ARGV[5], tonumber(ARGV[8]), tonumber(ARGV[10]), tonumber(ARGV[11])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local known = redis.call('HMGET', KEYS[1], 'tokens', 'atMs', 'failures', 'openSinceMs', 'restUntilMs', 'restMs',
  'prober', 'probeUntilMs', 'why')
local tokens = tonumber(known[1]) or most
tokens = math.min(most, tokens + math.max(0, now - (tonumber(known[2]) or now)) * rate / 1000 + ARGV[4])
local failures, openSince = tonumber(known[3]) or 0, tonumber(known[4]) or 0
local restLength = tonumber(known[6]) or 0
local restUntil = math.min(tonumber(known[5]) or 0, now + restLength)
local prober, probeUntil = known[7] or '', math.min(tonumber(known[8]) or 0, now + ARGV[6])
local why = known[9] or ''

local function rest(ms)
  if ms > 0 and now + ms > restUntil then
    restUntil, restLength = now + ms, ms
  end
end

local isProber = prober == nonce
if ARGV[7] == '1' then
  failures, openSince, prober, why = 0, 0, '', ''
end
if toldFailures > 0 then
  -- While it is open only the probe says something new: the others were begun before.
  if openSince == 0 or isProber then
    failures = failures + toldFailures
    if ARGV[9] == '1' then
      failures = math.max(failures, tonumber(ARGV[12]))
    end
    if openSince > 0 or failures >= tonumber(ARGV[12]) then
      if openSince == 0 then
        openSince = now
      end
      prober = ''
      rest(openMs)
    end
    why = ARGV[13]
  end
end
rest(restMs)

local granted, wait, isProbe = 0, 0, 0
if wanted > 0 then
  if now < restUntil then
    wait = restUntil - now
  elseif openSince > 0 and prober ~= '' and prober ~= nonce and now < probeUntil then
    wait = math.min(tonumber(ARGV[14]), probeUntil - now)
  elseif tokens < 1 then
    wait = (1 - tokens) * 1000 / rate
  elseif openSince > 0 then
    granted, isProbe, prober, probeUntil = 1, 1, nonce, now + ARGV[6]
  else
    granted = math.min(wanted, math.floor(tokens))
  end
  tokens = tokens - granted
end

local function exact(number)
  return string.format('%.3f', number)
end
redis.call('HDEL', KEYS[1], '-')
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'atMs', exact(now), 'failures', failures,
  'openSinceMs', exact(openSince), 'restUntilMs', exact(restUntil), 'restMs', exact(restLength), 'prober', prober,
  'probeUntilMs', exact(probeUntil), 'why', why)
redis.call('PEXPIRE', KEYS[1], ARGV[15])
return {granted, math.ceil(wait), openSince > 0 and 1 or 0, failures, isProbe, math.ceil(math.max(0, restUntil - now)),
  math.floor(openSince), why}
