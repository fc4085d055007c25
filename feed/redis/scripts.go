package redis

import (
	"context"

	"github.com/redis/rueidis"
)

// Scripts run where something is decided, never for a delivery or a page. Each has one stripe's keys.
var (
	// takeScript: KEYS lease, log; ARGV node, marker but for the run_id. Whoever holds the lease begins a new epoch.
	takeScript = rueidis.NewLuaScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local run = redis.call('INFO', 'server'):match('run_id:(%w+)')
redis.call('DEL', KEYS[2])
redis.call('RPUSH', KEYS[2], ARGV[2] .. run)
return 1
`)

	// renewScript: KEYS lease; ARGV node, ms. It takes a lease that nobody has.
	renewScript = rueidis.NewLuaScript(`
local who = redis.call('GET', KEYS[1])
if who and who ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

	// leaveScript: KEYS lease; ARGV node.
	leaveScript = rueidis.NewLuaScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`)

	// trimScript: KEYS log; ARGV marker but for the run_id, n. It takes the first n entries away, if the epoch is the owner's yet.
	trimScript = rueidis.NewLuaScript(`
local m = redis.call('LINDEX', KEYS[1], 0)
if not m or m:sub(1, 9) ~= ARGV[1] then return 0 end
redis.call('LTRIM', KEYS[1], ARGV[2] + 1, -1)
redis.call('LPUSH', KEYS[1], m)
return 1
`)

	// proveScript: KEYS log. It ends a stripe whose timelines were kept by another process of the server than this one: a replica
	// that was promoted, or a server that started again, may lack what was written last.
	proveScript = rueidis.NewLuaScript(`
local m = redis.call('LINDEX', KEYS[1], 0)
if not m then return 0 end
if m:sub(10) == redis.call('INFO', 'server'):match('run_id:(%w+)') then return 1 end
redis.call('DEL', KEYS[1])
return 0
`)
)

// done runs a script that answers 1 where it did what it is for.
func (e *Engine) done(ctx context.Context, s *rueidis.Lua, keys []string, args ...string) (bool, error) {
	n, err := s.Exec(ctx, e.client, keys, args).AsInt64()
	return n == 1, err
}
