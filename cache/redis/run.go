package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"
)

// call is one run of a script. Its keys lie in one slot.
type call struct {
	keys, args []string
}

// run runs a script once per call, all in one round trip (on a cluster one per master, at the same time), and has take
// read the answers. A server that does not know the script has not run it, so those calls are sent again with its text.
func (r *Remote) run(ctx context.Context, s script, calls []call, take func(i int, answer rueidis.RedisMessage) error) error {
	commands := make(rueidis.Commands, len(calls))
	for i, c := range calls {
		commands[i] = r.client.B().Evalsha().Sha1(s.sha).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build()
	}
	var again []int
	for i, result := range r.client.DoMulti(ctx, commands...) {
		answer, err := result.ToMessage()
		if known, ok := rueidis.IsRedisErr(err); ok && known.IsNoScript() {
			again = append(again, i)
			continue
		}
		if err == nil {
			err = take(i, answer)
		}
		if err != nil {
			return err
		}
	}
	if again == nil {
		return nil
	}
	commands = commands[:0:0]
	for _, i := range again {
		c := calls[i]
		commands = append(commands, r.client.B().Eval().Script(s.source).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build())
	}
	for j, result := range r.client.DoMulti(ctx, commands...) {
		answer, err := result.ToMessage()
		if err == nil {
			err = take(again[j], answer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nothing is taken from an answer that only says that it was done.
func nothing(int, rueidis.RedisMessage) error { return nil }

// once runs a script for one call.
func (r *Remote) once(ctx context.Context, s script, c call) (answer rueidis.RedisMessage, err error) {
	err = r.run(ctx, s, []call{c}, func(_ int, m rueidis.RedisMessage) error {
		answer = m
		return nil
	})
	return answer, err
}

var errAnswer = errors.New("redis: an answer of another shape than the script's")

// fields takes an answer of n fields apart.
func fields(m rueidis.RedisMessage, n int) ([]rueidis.RedisMessage, error) {
	a, err := m.ToArray()
	if err == nil && len(a) != n {
		err = errAnswer
	}
	return a, err
}

// failed names what could not be done.
func failed(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis: %s: %w", verb, err)
}
