package redis

import (
	"crypto/sha1"
	"encoding/hex"
)

// script is a Lua program that the server knows by its hash once it has run.
type script struct{ source, sha string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source)) // the name that EVALSHA wants
	return script{source, hex.EncodeToString(sum[:])}
}

// later tells whether position a is later than b. Lua's own comparison of strings follows the server's locale.
const later = `
local function later(a, b)
  for i = 1, #a do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x > y end
  end
  return false
end
local zero = string.rep('\0', 20)
local function merge(a, b) -- the later of one system; of two systems a; what is known of one that is not
  if a == zero then return b end
  if a:sub(1, 8) == b:sub(1, 8) and later(b, a) then return b end
  return a
end
`

var (
	// leaseScript: KEYS record, tombstone; ARGV lease, holder, renew, over, ttl. Returns granted, record, position.
	// A renewal keeps the TTL of the value: who waits for a load that fails must still find it.
	leaseScript = newScript(later + `
local r = redis.call('GET', KEYS[1])
local t = redis.call('GET', KEYS[2])
local at = t and t:sub(17, 36) or zero
local lease, holder, renew, over, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local kind = r and r:sub(1, 1)
if kind == 'l' then at = merge(at, r:sub(34, 53)) end
if not r or (kind == 'l' and over == r:sub(2, 17)) then
  r = 'l' .. lease .. holder .. at
  redis.call('SET', KEYS[1], r, 'PX', ttl)
  return {1, r, at}
end
if kind == 'v' and renew == r:sub(2, 17) then
  r = 's' .. lease .. holder .. r:sub(2)
elseif kind == 's' and over == r:sub(2, 17) then
  r = 's' .. lease .. holder .. r:sub(34)
else
  return {0, r, at}
end
redis.call('SET', KEYS[1], r, 'KEEPTTL')
return {1, r, at}
`)

	// fillScript: KEYS record; ARGV lease, value, ttl. Returns whether the lease was held.
	fillScript = newScript(`
local head = redis.call('GETRANGE', KEYS[1], 0, 16)
if head ~= 'l' .. ARGV[1] and head ~= 's' .. ARGV[1] then return 0 end
redis.call('SET', KEYS[1], 'v' .. ARGV[2], 'PX', ARGV[3])
return 1
`)

	// releaseScript: KEYS record; ARGV lease. The old value stays for as long as it was to.
	releaseScript = newScript(`
local head = redis.call('GETRANGE', KEYS[1], 0, 16)
if head == 'l' .. ARGV[1] then
  redis.call('DEL', KEYS[1])
elseif head == 's' .. ARGV[1] then
  redis.call('SET', KEYS[1], 'v' .. redis.call('GETRANGE', KEYS[1], 33, -1), 'KEEPTTL')
end
return 0
`)

	// fenceScript: KEYS record, tombstone; ARGV random id, position, lease, holder, ttl. The tombstone is written in any
	// case, since writing it is what tells the nodes.
	fenceScript = newScript(later + `
local t = redis.call('GET', KEYS[2])
local id, at, lease, holder, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local overtaken, keep = false, ttl
if t then
  local was = t:sub(17, 36)
  overtaken = at ~= zero and at:sub(1, 8) == was:sub(1, 8) and later(was, at)
  at = merge(at, was)
  keep = math.max(ttl, redis.call('PTTL', KEYS[2]))
end
redis.call('SET', KEYS[2], id .. at, 'PX', keep)
if lease == '' or overtaken then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], 'l' .. lease .. holder .. at, 'PX', ttl)
end
return 0
`)

	// tagScript: KEYS meta, log, then a pulse per tag; ARGV most of the log, a new history's id, tags. Returns the epoch.
	tagScript = newScript(`
redis.call('HSETNX', KEYS[1], 'id', ARGV[2])
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[2], epoch, ARGV[i])
  redis.call('SET', KEYS[i], epoch)
  redis.call('DEL', KEYS[i])
end
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[1])
if over > 0 then
  local last = redis.call('ZRANGE', KEYS[2], over - 1, over - 1, 'WITHSCORES')
  redis.call('HSET', KEYS[1], 'horizon', string.format('%.0f', tonumber(last[2])))
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', last[2])
end
return epoch
`)

	// advanceScript: KEYS applied, pulse; ARGV most systems, then system and timeline with offset in turns.
	advanceScript = newScript(later + `
local news = false
for i = 2, #ARGV, 2 do
  local was = redis.call('HGET', KEYS[1], ARGV[i])
  if not was and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[1]) then
    return redis.error_reply('SYSTEMS the token bears as many systems as it can')
  end
  if not was or later(ARGV[i+1], was) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i+1])
    news = true
  end
end
if news then
  redis.call('SET', KEYS[2], '')
  redis.call('DEL', KEYS[2])
end
return 0
`)

	// markScript: KEYS mark; ARGV ttl, most systems, then system and timeline with offset in turns. Positions that would be of more
	// systems than a token bears are left out.
	markScript = newScript(later + `
for i = 3, #ARGV, 2 do
  local was = redis.call('HGET', KEYS[1], ARGV[i])
  if was and later(ARGV[i+1], was) or not was and redis.call('HLEN', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i+1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 0
`)

	// confirmScript: KEYS meta, pulse; ARGV a new history's id. Returns the history's id and a new sequence number.
	confirmScript = newScript(`
redis.call('HSETNX', KEYS[1], 'id', ARGV[1])
local n = redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('SET', KEYS[2], n)
redis.call('DEL', KEYS[2])
return {redis.call('HGET', KEYS[1], 'id'), n}
`)

	// awaitScript: KEYS nodes; ARGV the history's id, sequence, trust in ms. Returns how many nodes trust their memory
	// and have not said that they were told. Who has been silent for ten times as long is taken off.
	awaitScript = newScript(`
local time = redis.call('TIME')
local now, trust, waiting = time[1] * 1000 + math.floor(time[2] / 1000), tonumber(ARGV[3]), 0
local nodes = redis.call('HGETALL', KEYS[1])
for i = 1, #nodes, 2 do
  local id, seq, at = nodes[i+1]:match('^(%S*) (%d+) (%d+)$')
  local age = at and now - tonumber(at) or 100 * trust
  if age > 10 * trust then
    redis.call('HDEL', KEYS[1], nodes[i])
  elseif age <= trust and not (id == ARGV[1] and tonumber(seq) >= tonumber(ARGV[2])) then
    waiting = waiting + 1
  end
end
return waiting
`)

	// probeScript: KEYS meta, nodes, applied; ARGV node, id and sequence it was told of, the highest epoch it knows, a new
	// history's id. It registers the node, and begins a new history where the counter has gone backwards or vanished.
	// Returns id, epoch, horizon, sequence, seconds, microseconds, applied.
	probeScript = newScript(`
local time = redis.call('TIME')
redis.call('HSETNX', KEYS[1], 'id', ARGV[5])
local epoch = tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0)
if epoch < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], 'id', ARGV[5], 'epoch', ARGV[4], 'horizon', ARGV[4])
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)))
local m = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'horizon', 'seq')
return {m[1], m[2] or '0', m[3] or '0', m[4] or '0', time[1], time[2], redis.call('HGETALL', KEYS[3])}
`)

	// clockScript: KEYS meta. The clock of the control master.
	clockScript = newScript(`return redis.call('TIME')`)

	// anewScript: KEYS meta; ARGV the id that was, the id that is to be: once for all nodes that saw the same flush.
	anewScript = newScript(`
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then redis.call('HSET', KEYS[1], 'id', ARGV[2]) end
return 0
`)
)
