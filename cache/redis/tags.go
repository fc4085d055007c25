package redis

import (
	"context"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet/position"
)

// logMost is how many tags the log keeps; one that drops out raises the horizon.
const logMost = 10_000

// FenceTags gives tags a new epoch in one script, and pushes each.
func (r *Remote) FenceTags(ctx context.Context, tags []string) (uint64, error) {
	c := call{
		keys: []string{r.keys.meta(), r.keys.log()},
		args: append([]string{strconv.Itoa(logMost), newHistory()}, tags...),
	}
	for _, t := range tags {
		c.keys = append(c.keys, r.keys.tagged()+t)
	}
	m, err := r.once(ctx, tagScript, c)
	if err != nil {
		return 0, failed("fence tags", err)
	}
	epoch, err := m.AsInt64()
	return uint64(epoch), failed("fence tags", err)
}

// Advance publishes how far changes have been fenced; of each system the later position stays. A pulse has the nodes ask.
func (r *Remote) Advance(ctx context.Context, applied position.Token) error {
	if len(applied) == 0 {
		return nil
	}
	c := call{keys: []string{r.keys.applied(), r.keys.advance()}, args: []string{strconv.Itoa(position.MaxSystems)}}
	for _, p := range applied {
		text := formatPosition(p)
		c.args = append(c.args, text[:8], text[8:])
	}
	_, err := r.once(ctx, advanceScript, c)
	return failed("advance", err)
}

// parseApplied reads what HGETALL gave within a script: systems and positions in turns.
func parseApplied(m *rueidis.RedisMessage) (position.Token, error) {
	pairs, err := m.AsStrSlice()
	if err != nil {
		return nil, err
	}
	var t position.Token
	for i := 0; i+1 < len(pairs); i += 2 {
		text := pairs[i] + pairs[i+1]
		if len(text) != positionLen {
			return nil, errAnswer
		}
		t = t.Raise(parsePosition(text))
	}
	return t, nil
}

// confirmSeq is what a Confirm waits for all nodes to be told: a number within one history.
type confirmSeq struct {
	history string
	n       uint64
}

func (s confirmSeq) args() []string { return []string{s.history, strconv.FormatUint(s.n, 10)} }
