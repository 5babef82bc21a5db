--[==[
One consistent look at a partition's books and at the real structures. Writes nothing.

KEYS  1 ledger   2 groups   3 marks   4 older marks   5 diverted keys   6… streams, then delayed sets
ARGV  1 number of streams
Results  {ledger as field, value, …   open groups   [entries, first id, last id] per stream   members per delayed set
          marks   diverted keys}
]==]
local streams, sets = {}, {}
for number = 6, 5 + ARGV[1] do
  local key = KEYS[number]
  local first, last = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1], redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  table.insert(streams, {redis.call('XLEN', key), first and first[1] or '', last and last[1] or ''})
end
for number = 6 + ARGV[1], #KEYS do
  table.insert(sets, redis.call('ZCARD', KEYS[number]))
end
local marks = redis.call('HLEN', KEYS[3]) + redis.call('HLEN', KEYS[4])
return {redis.call('HGETALL', KEYS[1]), redis.call('HLEN', KEYS[2]), streams, sets, marks, redis.call('HLEN', KEYS[5])}
