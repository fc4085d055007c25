package redis

import (
	"context"
	"encoding/binary"
	"strconv"
	"time"

	"github.com/freshet/freshet/position"
)

const markLen = positionLen - 8 // timeline and offset; the system is the field

// Mark merges a token into a mark, in one script.
func (r *Remote) Mark(ctx context.Context, key string, t position.Token, ttl time.Duration) error {
	args := []string{millis(ttl), strconv.Itoa(position.MaxSystems)}
	for _, p := range t {
		args = append(args, strconv.FormatUint(p.System, 10), formatPosition(p)[8:])
	}
	_, err := r.once(ctx, markScript, call{keys: []string{r.keys.mark(key)}, args: args})
	return failed("mark", err)
}

// Marked gives a mark.
func (r *Remote) Marked(ctx context.Context, key string) (t position.Token, err error) {
	all, err := r.client.Do(ctx, r.client.B().Hgetall().Key(r.keys.mark(key)).Build()).AsStrMap()
	if err != nil {
		return nil, failed("read mark", err)
	}
	for system, at := range all {
		n, err := strconv.ParseUint(system, 10, 64)
		if err != nil || len(at) != markLen {
			return nil, failed("read mark", errAnswer)
		}
		t = t.Raise(position.Position{System: n, Timeline: binary.BigEndian.Uint32([]byte(at)), Offset: binary.BigEndian.Uint64([]byte(at[4:]))})
	}
	return t, nil
}
