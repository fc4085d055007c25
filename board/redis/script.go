package redis

import "github.com/redis/rueidis"

// observe is board.Gain and Window.Add for what was seen.
//
// KEYS: of the posts the hash and a set for each window, then the same of the authors. ARGV: how many are kept, the seconds after
// which all ends, for each window the score of one like at this time and the least that is kept; then for each observation the
// list (p or a), the id, the author or nothing, the value and what can have been added.
var observe = rueidis.NewLuaScript(`
local keep, ends = tonumber(ARGV[1]), ARGV[2]
local function log2(x) return math.log(x) / math.log(2) end

local function forget(base, id)
  for w = 1, 3 do
    if redis.call('ZSCORE', KEYS[base + w], id) then return end
  end
  redis.call('HDEL', KEYS[base], id)
end

local function drop(base, key, ids)
  for _, id in ipairs(ids) do
    redis.call('ZREM', key, id)
    forget(base, id)
  end
end

local function add(base, id, gain)
  if gain ~= 0 then
    for w = 1, 3 do
      local key, e = KEYS[base + w], log2(math.abs(gain)) + tonumber(ARGV[1 + 2 * w])
      local score = redis.call('ZSCORE', key, id)
      score = score and tonumber(score)
      if gain < 0 then
        if score and score > e then
          score = score + log2(1 - 2 ^ (e - score))
        else
          score = nil
        end
      elseif score then
        local high, low = math.max(score, e), math.min(score, e)
        score = high + log2(1 + 2 ^ (low - high))
      else
        score = e
      end
      if score then
        redis.call('ZADD', key, string.format('%.17g', score), id)
      else
        redis.call('ZREM', key, id)
      end
    end
  end
  forget(base, id)
end

for i = 9, #ARGV, 5 do
  local base = ARGV[i] == 'p' and 1 or 5
  local id, author, value, touched = ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local before = redis.call('HGET', KEYS[base], id)
  local gain = before and value - tonumber(before) or math.max(0, math.min(touched, value))
  redis.call('HSET', KEYS[base], id, ARGV[i + 3])
  add(base, id, gain)
  if author ~= '' then add(5, author, gain) end
end

for base = 1, 5, 4 do
  for w = 1, 3 do
    local key = KEYS[base + w]
    drop(base, key, redis.call('ZRANGEBYSCORE', key, '-inf', '(' .. ARGV[2 + 2 * w], 'LIMIT', 0, 1000))
    local more = redis.call('ZCARD', key) - keep
    if more > 0 then drop(base, key, redis.call('ZRANGE', key, 0, math.min(more, 1000) - 1)) end
    redis.call('EXPIRE', key, ends)
  end
  redis.call('EXPIRE', KEYS[base], ends)
end
return nil
`)
