--[==[
Charges a failed attempt to an entry that is still in its lane.

KEYS  1 stream of the lane   2 strikes
ARGV  1 entry id   2 field in the strikes hash   3 strike as JSON {lo, hi, reason, message, atMs}   4 strikes kept
Results  the record as JSON {total, ranges, latest}   nil: the entry is gone
]==]
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1], 'COUNT', 1) == 0 then
  return false
end
local strike = cjson.decode(ARGV[3])
local range = string.format('%d-%d', strike.lo, strike.hi)
local raw = redis.call('HGET', KEYS[2], ARGV[2])
local record = raw and cjson.decode(raw) or {total = 0, ranges = {}, latest = {}}
record.total = record.total + 1
record.ranges[range] = (record.ranges[range] or 0) + 1
table.insert(record.latest, strike)
if #record.latest > tonumber(ARGV[4]) then
  table.remove(record.latest, 1)
end
local json = cjson.encode(record)
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], json)
return json
